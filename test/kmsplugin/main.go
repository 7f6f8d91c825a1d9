// Command kms-plugin is a Kubernetes KMS v2 plugin, for tests: the API of kube-apiserver's --encryption-provider-config
// on a unix socket, and behind it keys that never leave a PKCS#11 token (SoftHSM2 of Debian).
//
// Once it serves, it prints the id of the newest key. Its starter then steers it by lines on standard input, each answered
// by one line: "rotate" makes a new key and answers its id, "health <word>" has Status say that word, "hang" keeps every
// call waiting until "wake". It ends when standard input does, so it goes when its starter does, however that dies. The
// token stays in its directory, and a later process finds the keys there.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"k8s.io/kms/pkg/service"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kms-plugin:", err)
		os.Exit(1)
	}
}

// timeout is how long a connection, and the socket itself, may take to be set up.
const timeout = 5 * time.Second

func run(in io.Reader, out io.Writer) error {
	module := flag.String("module", "/usr/lib/softhsm/libsofthsm2.so", "PKCS#11 library")
	dir := flag.String("token", "", "directory the token is kept in; made when it is missing")
	socket := flag.String("socket", "", "path of the socket to serve; one that is left over is replaced")
	flag.Parse()
	if *dir == "" || *socket == "" {
		return errors.New("expected --token and --socket")
	}
	t, err := openToken(*module, *dir)
	if err != nil {
		return err
	}
	defer t.close()
	if err := os.Remove(*socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	p := newPlugin(t)
	failed := make(chan error, 2)
	go func() { failed <- service.NewGRPCService(*socket, timeout, p).ListenAndServe() }()
	go func() { failed <- p.obey(*socket, in, out) }()
	return <-failed
}

// obey carries out one command per line. It returns nil when the input ends.
func (p *plugin) obey(socket string, in io.Reader, out io.Writer) error {
	if err := listening(socket); err != nil {
		return err
	}
	fmt.Fprintln(out, p.token.newest().id)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer, err := p.command(lines.Text())
		if err != nil {
			return err
		}
		fmt.Fprintln(out, answer)
	}
	return lines.Err()
}

// listening waits until the socket takes connections.
func listening(socket string) error {
	deadline := time.Now().Add(timeout)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

func (p *plugin) command(line string) (string, error) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "rotate":
		k, err := p.token.generate()
		return k.id, err
	case "health":
		p.setHealth(rest)
	case "hang":
		p.hold()
	case "wake":
		p.release()
	default:
		return "", fmt.Errorf("unknown command %q", line)
	}
	return verb, nil
}
