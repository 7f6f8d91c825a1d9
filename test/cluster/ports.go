package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
)

// ports are the loopback ports of one cluster. They stay the same when a component is restarted.
type ports struct {
	APIServer  int `json:"apiServer"`
	EtcdClient int `json:"etcdClient"`
	EtcdPeer   int `json:"etcdPeer"`
}

// Ports are picked below the range that Linux gives to outgoing connections (32768 and up), so that no
// connection takes a component's port while the component is being restarted.
const (
	firstPort = 16000
	lastPort  = 32000
)

// errPortTaken says that another program took a port between the choice of it and its use.
var errPortTaken = errors.New("a port was taken by another program")

func freePorts() (ports, error) {
	var free []int
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if slices.Contains(free, port) {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return ports{}, err
		}
		if free = append(free, port); len(free) == 3 {
			return ports{APIServer: free[0], EtcdClient: free[1], EtcdPeer: free[2]}, nil
		}
	}
	return ports{}, fmt.Errorf("expected three free loopback ports between %d and %d, found %d in 200 tries; stop what listens there", firstPort, lastPort, len(free))
}
