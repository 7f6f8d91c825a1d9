package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
	"github.com/hipaatenant/hipaa-tenant-operator/test/loopback"
)

const run = "run-1"

// listening starts a target on an address, and waits until it listens.
func listening(t *testing.T, address string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Listen(ctx, address, run) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	awaitGreeting(t, address)
}

func awaitGreeting(t *testing.T, address string) {
	t.Helper()
	one := netprobe.Try{Address: netip.MustParseAddr(address), Kind: netprobe.Allowed}
	for deadline := time.Now().Add(10 * time.Second); !try(t.Context(), one, run); {
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s", address)
		}
	}
}

// fake listens on an address and does as it likes with connections of some kinds.
func fake(t *testing.T, address string, with func(net.Conn), kinds ...netprobe.Kind) {
	t.Helper()
	for _, k := range kinds {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(address), k.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				with(conn)
			}
		}()
	}
}

// forward is what a network does that lets a kind of connection through to a target elsewhere.
func forward(target string, kind netprobe.Kind) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		to, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(target), kind.Port()).String())
		if err != nil {
			return
		}
		defer to.Close()
		_, _ = io.Copy(conn, to)
	}
}

// TestConnect makes real connections over loopback to a network that lets some kinds through: the rest is refused.
func TestConnect(t *testing.T) {
	for i, c := range []struct {
		through    []netprobe.Kind
		result     netprobe.Result
		directions []netprobe.Kind
	}{
		{[]netprobe.Kind{netprobe.Allowed}, netprobe.Enforced, nil},
		{[]netprobe.Kind{netprobe.Allowed, netprobe.Ingress}, netprobe.NotEnforced, []netprobe.Kind{netprobe.Ingress}},
		{[]netprobe.Kind{netprobe.Allowed, netprobe.Egress}, netprobe.NotEnforced, []netprobe.Kind{netprobe.Egress}},
		{netprobe.Kinds(), netprobe.NotEnforced, []netprobe.Kind{netprobe.Ingress, netprobe.Egress}},
		{nil, netprobe.Inconclusive, nil},
	} {
		t.Run(fmt.Sprint(c.through), func(t *testing.T) {
			t.Parallel()
			target, seen := loopback.Address(10+i), loopback.Address(20+i)
			listening(t, target)
			for _, k := range c.through {
				fake(t, seen, forward(target, k), k)
			}
			answer := Connect(t.Context(), []netip.Addr{netip.MustParseAddr(seen)}, run, 0)
			if answer.Run != run || answer.Result != c.result || !slices.Equal(answer.Directions, c.directions) || answer.Rounds != 3 {
				t.Errorf("answer %+v, want %s %v after 3 rounds", answer, c.result, c.directions)
			}
			if (answer.Why != "") != (c.result == netprobe.Inconclusive) {
				t.Errorf("why is %q", answer.Why)
			}
		})
	}
}

// TestOnlyTheTargetCounts: a connection that somebody accepts has not reached the target, whatever they say on it. One that is
// not answered ends by itself.
func TestOnlyTheTargetCounts(t *testing.T) {
	says := func(text string) func(net.Conn) {
		return func(conn net.Conn) { _, _ = io.WriteString(conn, text); _ = conn.Close() }
	}
	for name, c := range map[string]struct {
		with func(net.Conn)
		want bool
	}{
		"the target":               {says(greeting(run, netprobe.Egress)), true},
		"a proxy that hangs up":    {func(conn net.Conn) { _ = conn.Close() }, false},
		"a proxy that says no":     {says("HTTP/1.1 403 Forbidden\r\n\r\n"), false},
		"a target of another run":  {says(greeting("run-2", netprobe.Egress)), false},
		"another port":             {says(greeting(run, netprobe.Allowed)), false},
		"half a greeting":          {says("hipaa-network-probe run-1"), false},
		"a listener without words": {func(net.Conn) {}, false},
		"an endless line":          {func(conn net.Conn) { _, _ = io.WriteString(conn, strings.Repeat("x", 1<<16)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			address := loopback.Address(2)
			fake(t, address, c.with, netprobe.Egress)
			begun := time.Now()
			if got := try(t.Context(), netprobe.Try{Address: netip.MustParseAddr(address), Kind: netprobe.Egress}, run); got != c.want {
				t.Errorf("it passed: %t, want %t", got, c.want)
			}
			if took := time.Since(begun); took > tryTimeout+5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestListenNeedsAllPorts: a target that does not listen on one of them ends, and with it the connection that is allowed.
func TestListenNeedsAllPorts(t *testing.T) {
	for _, taken := range netprobe.Kinds() {
		address := loopback.Address(3)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(address), taken.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		if err := Listen(t.Context(), address, run); err == nil || !strings.Contains(err.Error(), "of kind "+string(taken)) {
			t.Errorf("without port %d: error %v", taken.Port(), err)
		}
		if taken != netprobe.Allowed && try(t.Context(), netprobe.Try{Address: netip.MustParseAddr(address), Kind: netprobe.Allowed}, run) {
			t.Errorf("without port %d the allowed connection goes through", taken.Port())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGreetFailsWithItsListener, so that the process ends.
func TestGreetFailsWithItsListener(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- greet(l, "x\n") }()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("it ends without an error")
	}
}

// TestCommand: `manager probe` over loopback, with the answer where the kubelet reads it.
func TestCommand(t *testing.T) {
	address := loopback.Address(4)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, []string{"listen", "--run=" + run, "--address=" + address}, io.Discard) }()
	awaitGreeting(t, address)
	file := filepath.Join(t.TempDir(), "answer")
	if err := Run(t.Context(), []string{"connect", "--run=" + run, "--settle=0s", "--answer=" + file, address}, io.Discard); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("a target that is told to end says %v", err)
	}
	want := netprobe.Answer{Run: run, Result: netprobe.NotEnforced, Directions: []netprobe.Kind{netprobe.Ingress, netprobe.Egress}, Rounds: 3}
	if diff := cmp.Diff(want, readAnswer(t, file)); diff != "" {
		t.Errorf("nothing keeps them apart (-want +got):\n%s", diff)
	}
	if err := Run(t.Context(), []string{"connect", "--run=" + run, "--settle=0s", "--answer=" + file, address}, io.Discard); err == nil ||
		!strings.Contains(err.Error(), "nothing can be told: the connection over IPv4") {
		t.Errorf("nobody listens, and it says %v", err)
	}
	if got := readAnswer(t, file); got.Result != netprobe.Inconclusive || got.Run != run {
		t.Errorf("nobody listens, and the answer is %+v", got)
	}
}

func readAnswer(t *testing.T, file string) netprobe.Answer {
	t.Helper()
	text, err := os.ReadFile(file)
	var answer netprobe.Answer
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestAClientIsToldToEnd in time.
func TestAClientIsToldToEnd(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if answer := Connect(ctx, []netip.Addr{netip.MustParseAddr(loopback.Address(5))}, run, time.Minute); answer.Result != netprobe.Inconclusive {
		t.Errorf("answer %+v", answer)
	}
}

func TestBadCommandsAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"":                                `expected listen or connect, found ""`,
		"serve":                           `found "serve"`,
		"listen":                          `--run must be a word`,
		"listen --run=a b":                `expected only flags, found "b"`,
		"listen --run=a --speed=9":        "-speed",
		"connect --run=a":                 "expected 1 to 2 addresses, found 0",
		"connect --run=a 1.1.1.1 ::1 ::2": "found 3",
		"connect --run=a example.com":     "expected the IP address of a pod",
		"connect --run=a --settle=2m ::1": "--settle must be 0s to 1m, found 2m0s",
		"connect 127.0.0.1":               "--run must be a word",
		"connect --run=" + strings.Repeat("x", 65): "--run must be a word of up to 64 characters",
	} {
		if err := Run(t.Context(), strings.Fields(line), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that contains %q", line, err, want)
		}
	}
	for _, line := range []string{"--help", "help", "listen --help", "connect -h"} {
		var out strings.Builder
		if err := Run(t.Context(), strings.Fields(line), &out); err != nil || !strings.Contains(out.String(), "manager probe connect --run ID") {
			t.Errorf("%s: error %v, prints %q", line, err, out.String())
		}
	}
}
