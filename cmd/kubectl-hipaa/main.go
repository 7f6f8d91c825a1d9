// Command kubectl-hipaa is the command line beside the operator. On the PATH, kubectl finds it as "kubectl hipaa".
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(code(err))
	}
}

// exit is an error with a code of its own. Commands that use one say in their help what it means.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string { return e.err.Error() }

func (e exit) Unwrap() error { return e.err }

func code(err error) int {
	if e, ok := errors.AsType[exit](err); ok {
		return e.code
	}
	return 1
}

// root exits with 0 when it did what was asked, and with 1 when it did not; then nothing stands on the standard output.
// Other codes mean that it did, and that the answer is bad.
func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "kubectl-hipaa",
		Short:         "Work with HIPAA tenants",
		Version:       buildinfo.Read().Version,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hipaa"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetVersionTemplate("kubectl-hipaa {{.Version}}\n")
	c.AddCommand(emergency(), policies(), unwrap())
	return c
}
