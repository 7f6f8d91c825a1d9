package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/page"
)

// environment that stands as defaults in the flags, and would stand in their help.
var environment = []string{"POD_NAMESPACE", "VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT"}

// helped is the text of --help and the flags it is about.
func helped() (string, *flag.FlagSet) {
	o, f, out := options{}, flag.NewFlagSet("manager", flag.ContinueOnError), &bytes.Buffer{}
	help(out, o.flags(f))
	return out.String(), f
}

// TestHelpIsDocumented: docs/command-line.md is what --help prints, wherever it is printed.
func TestHelpIsDocumented(t *testing.T) {
	text, _ := helped()
	page.Hold(t, "docs/command-line.md", "manager", "```text\n"+text+"```\n")
	for _, name := range environment {
		t.Setenv(name, "https://elsewhere")
	}
	if elsewhere, _ := helped(); elsewhere != text {
		t.Error("the help depends on the environment")
	}
}

// TestHelpIsComplete: every flag has a meaning, and one with a value says what kind of value; every variable is explained.
func TestHelpIsComplete(t *testing.T) {
	text, f := helped()
	f.VisitAll(func(one *flag.Flag) {
		unit, usage := flag.UnquoteUsage(one)
		if b, ok := one.Value.(interface{ IsBoolFlag() bool }); unit == "" != (ok && b.IsBoolFlag()) || unit == "value" || unit == "string" {
			t.Errorf("--%s: value %q", one.Name, unit)
		}
		if len(usage) < 10 || !strings.Contains(text, "\n  --"+one.Name) {
			t.Errorf("--%s is not explained: %q", one.Name, usage)
		}
	})
	for _, name := range environment {
		if !strings.Contains(text[strings.Index(text, "\nEnvironment\n"):], name) {
			t.Errorf("%s is not explained", name)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 125 {
			t.Errorf("too long: %s", line)
		}
	}
}
