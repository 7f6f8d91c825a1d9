package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
	"github.com/hipaatenant/hipaa-tenant-operator/test/page"
)

// commands with all those below, as they are reached.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() && below.Name() != "completion" {
			all = append(all, commands(below)...)
		}
	}
	return all
}

func answer(t *testing.T, args ...string) string {
	t.Helper()
	c, out := root(), &bytes.Buffer{}
	c.SetOut(out)
	c.SetArgs(args)
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHelpIsDocumented: docs/command-line.md is what --help of each command prints, wherever it is printed.
func TestHelpIsDocumented(t *testing.T) {
	for _, name := range []string{"VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_TOKEN"} {
		t.Setenv(name, "")
	}
	var text strings.Builder
	for _, c := range commands(root()) {
		path := strings.Fields(strings.TrimPrefix(c.CommandPath(), "kubectl hipaa"))
		text.WriteString("### `" + c.CommandPath() + "`\n\n```text\n" + answer(t, append(path, "--help")...) + "```\n\n")
	}
	page.Hold(t, "docs/command-line.md", "kubectl-hipaa", strings.TrimSuffix(text.String(), "\n"))
}

// TestEveryFlagIsExplained with more than its name.
func TestEveryFlagIsExplained(t *testing.T) {
	for _, c := range commands(root()) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if len(f.Usage) < 10 {
				t.Errorf("%s --%s: %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
		if c.Short == "" || c.Runnable() && c.Parent() != nil && !strings.Contains(c.Use, " ") && c.Args == nil {
			t.Errorf("%s says neither what it does nor what it takes", c.CommandPath())
		}
	}
}

// TestVersion: it answers as the operator does.
func TestVersion(t *testing.T) {
	if got, want := answer(t, "--version"), "kubectl-hipaa "+buildinfo.Read().Version+"\n"; got != want {
		t.Errorf("--version prints %q, want %q", got, want)
	}
}
