package wire

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// ErrInconclusive ends a client that could tell nothing. Its answer says why.
var ErrInconclusive = errors.New("nothing can be told")

// mostAddresses of one pod: one of each family.
const mostAddresses = 2

const usage = `The two ends of the network probe, which the operator starts as pods. They need no API server and no token.

Usage:
  manager probe listen --run ID [--address IP]
        greet connections on the probe's three ports until told to end
  manager probe connect --run ID [--settle DURATION] [--answer FILE] IP...
        try a connection that network policies allow and those they forbid, and write as JSON what that shows.
        Exit code 0: enforced, or not; 1: nothing can be told
`

// Run is `manager probe` with its arguments.
func Run(ctx context.Context, args []string, out io.Writer) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	f := flag.NewFlagSet("manager probe "+command, flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() { fmt.Fprint(out, usage) }
	run := f.String("run", "", "of the two pods that belong together")
	switch command {
	case "listen":
		address := f.String("address", "", "to listen on; empty means all")
		if done, err := parse(f, args, run); done || err != nil {
			return err
		}
		if f.NArg() > 0 {
			return fmt.Errorf("expected only flags, found %q", strings.Join(f.Args(), " "))
		}
		return Listen(ctx, *address, *run)
	case "connect":
		return connect(ctx, f, args, run)
	case "help", "-h", "--help":
		f.Usage()
		return nil
	}
	return fmt.Errorf("expected listen or connect, found %q: see manager probe --help", command)
}

// connect is `manager probe connect`.
func connect(ctx context.Context, f *flag.FlagSet, args []string, run *string) error {
	settle := f.Duration("settle", netprobe.Settle, "how long a network plug-in may take until its rules stand")
	answer := f.String("answer", "/dev/termination-log", "file to write the answer to")
	if done, err := parse(f, args, run); done || err != nil {
		return err
	}
	if *settle < 0 || *settle > time.Minute {
		return fmt.Errorf("--settle must be 0s to 1m, found %s", *settle)
	}
	addresses, err := parseAddresses(f.Args())
	if err != nil {
		return err
	}
	return write(Connect(ctx, addresses, *run, *settle), *answer)
}

// parse says that the question was answered, and nothing is to be done.
func parse(f *flag.FlagSet, args []string, run *string) (done bool, err error) {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return true, nil
	case err != nil:
		return false, err
	case *run == "" || len(*run) > 64 || strings.ContainsAny(*run, " \n"):
		return false, fmt.Errorf("--run must be a word of up to 64 characters, found %q", *run)
	}
	return false, nil
}

func parseAddresses(args []string) ([]netip.Addr, error) {
	if len(args) == 0 || len(args) > mostAddresses {
		return nil, fmt.Errorf("expected 1 to %d addresses, found %d", mostAddresses, len(args))
	}
	var list []netip.Addr
	for _, arg := range args {
		a, err := netip.ParseAddr(arg)
		if err != nil {
			return nil, fmt.Errorf("expected the IP address of a pod: %w", err)
		}
		list = append(list, a)
	}
	return list, nil
}

// write leaves the answer where the kubelet reads it.
func write(answer netprobe.Answer, file string) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	if answer.Result == netprobe.Inconclusive {
		return fmt.Errorf("%w: %s", ErrInconclusive, answer.Why)
	}
	return nil
}
