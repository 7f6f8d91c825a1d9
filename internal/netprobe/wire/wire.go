// Package wire makes the connections of the network probe: `manager probe listen` and `manager probe connect`. It talks to no
// API server and holds no token.
package wire

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// Bounds of one connection.
const (
	// tryTimeout is longer than the second after which a lost SYN is sent again.
	tryTimeout = 2 * time.Second
	// pause between rounds, where connections are refused at once.
	pause = time.Second
	// greetTimeout is how long the target has for its greeting.
	greetTimeout = time.Second
)

// greeting is what the target says on a connection of a kind. A connection that is only accepted, by a proxy or a load balancer
// in between, or by somebody else at that address, says nothing of the target.
func greeting(run string, kind netprobe.Kind) string {
	return fmt.Sprintf("hipaa-network-probe %s %s\n", run, kind)
}

// Listen greets connections of every kind until the context ends. It fails, and with it the process, as soon as it does not
// listen on one of the ports any more: while a connection that is allowed goes through, the target listens on the others, too.
func Listen(ctx context.Context, address, run string) error {
	inner, stop := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop(nil)
	for _, kind := range netprobe.Kinds() {
		listener, err := (&net.ListenConfig{}).Listen(inner, "tcp", net.JoinHostPort(address, strconv.Itoa(int(kind.Port()))))
		if err != nil {
			return fmt.Errorf("listening for connections of kind %s: %w", kind, err)
		}
		context.AfterFunc(inner, func() { _ = listener.Close() })
		all.Go(func() { stop(greet(listener, greeting(run, kind))) })
	}
	<-inner.Done()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("no longer listening: %w", context.Cause(inner))
}

// greet answers one connection after the other. Nothing is read.
func greet(listener net.Listener, text string) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(time.Now().Add(greetTimeout))
		_, _ = conn.Write([]byte(text)) // who does not wait for it learns nothing
		_ = conn.Close()
	}
}

// Connect tries all kinds of connections to all addresses, round after round, until the answer is clear. It ends a round after
// twice settle at the latest.
func Connect(ctx context.Context, addresses []netip.Addr, run string, settle time.Duration) netprobe.Answer {
	begun := time.Now()
	var rounds []netprobe.Round
	for {
		tries := round(ctx, addresses, run)
		if ctx.Err() != nil {
			return netprobe.Answer{Run: run, Result: netprobe.Inconclusive, Why: "the client was told to end", Rounds: len(rounds)}
		}
		rounds = append(rounds, netprobe.Round{At: time.Since(begun), Tries: tries})
		if answer, done := netprobe.Judge(rounds, settle); done {
			answer.Run = run
			return answer
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// round tries what is forbidden to all addresses at once, and then what is allowed: that it goes through shows that the target
// was there all the while.
func round(ctx context.Context, addresses []netip.Addr, run string) []netprobe.Try {
	return append(
		side(ctx, addresses, run, netprobe.Ingress, netprobe.Egress),
		side(ctx, addresses, run, netprobe.Allowed)...)
}

func side(ctx context.Context, addresses []netip.Addr, run string, kinds ...netprobe.Kind) []netprobe.Try {
	tries := make([]netprobe.Try, 0, len(addresses)*len(kinds))
	for _, a := range addresses {
		for _, k := range kinds {
			tries = append(tries, netprobe.Try{Address: a, Kind: k})
		}
	}
	var all sync.WaitGroup
	for i := range tries {
		all.Go(func() { tries[i].Passed = try(ctx, tries[i], run) })
	}
	all.Wait()
	return tries
}

// try says whether a connection reached the target. One that is refused, by whom it may be, and one that is not answered did not.
func try(ctx context.Context, t netprobe.Try, run string) bool {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(t.Address, t.Kind.Port()).String())
	if err != nil {
		return false
	}
	defer conn.Close()
	if deadline, set := ctx.Deadline(); set && conn.SetReadDeadline(deadline) != nil {
		return false
	}
	want := greeting(run, t.Kind)
	said, err := bufio.NewReaderSize(conn, len(want)).ReadString('\n')
	return err == nil && said == want
}
