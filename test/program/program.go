// Package program starts the programs of this repository that are not shipped: those that build, show and measure.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Exit is a failure with an exit code of its own.
type Exit struct {
	Code int
	Err  error
}

func (e Exit) Error() string { return e.Err.Error() }
func (e Exit) Unwrap() error { return e.Err }

// Main runs a program until it ends, or is told to end, and exits with 1, or the code of an Exit, and a line that begins with its
// name when it fails. A second Ctrl-C does not wait for the cleaning up.
func Main(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		exit := Exit{Code: 1}
		_ = errors.As(err, &exit) // 1 it is where there is none
		os.Exit(exit.Code)
	}
}

// Quiet keeps what libraries say out of the output: what went wrong is in the errors the program returns.
func Quiet() {
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
}
