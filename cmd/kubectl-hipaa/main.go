// Command kubectl-hipaa is the command line beside the operator. On the PATH, kubectl finds it as "kubectl hipaa".
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// release is the version of a build made by the Makefile.
var release = "unreleased"

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// root exits with 0 when it did what was asked, and with 1 when it did not; then nothing stands on the standard output.
func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "kubectl-hipaa",
		Short:         "Work with HIPAA tenants",
		Version:       release,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hipaa"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(policies())
	return c
}
