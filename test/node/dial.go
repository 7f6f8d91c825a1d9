package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// Dial opens a connection from the node's own network, as its kubelet does: network policies forbid none.
func (n *Node) Dial(ctx context.Context, address string) (net.Conn, error) {
	return dial(ctx, n.Namespace(), address)
}

// Connects opens a TCP connection from the network of a pod, and says whether it came about within two seconds. One that is refused
// is an error: its packets arrived where nobody listens, so nothing kept them out.
func (n *Node) Connects(ctx context.Context, pod *corev1.Pod, address string) (bool, error) {
	pids, err := n.pids(pod)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	connection, err := dial(ctx, fmt.Sprintf("/proc/%d/ns/net", pids[0]), address)
	var timeout net.Error
	switch {
	case err == nil:
		return true, connection.Close()
	case errors.As(err, &timeout) && timeout.Timeout():
		return false, nil
	}
	return false, fmt.Errorf("connecting from pod %s to %s: %w", pod.Name, address, err)
}

// dial opens a connection in the network namespace of a path. A socket belongs to the namespace that its thread is in when it is
// made, so the thread goes there and comes back; one that cannot come back ends with its goroutine.
func dial(ctx context.Context, namespace, address string) (net.Conn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- result{err: err}
			return
		}
		defer home.Close()
		if err := enter(namespace); err != nil {
			done <- result{err: err}
			return
		}
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- result{connection, err}
	}()
	r := <-done
	return r.connection, r.err
}

// enter takes this thread to a network namespace.
func enter(namespace string) error {
	there, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering %s: %w", namespace, err)
	}
	return nil
}
