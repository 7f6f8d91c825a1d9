package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// group of flags, as --help lists them.
type group struct {
	title  string
	define func(*flag.FlagSet)
	flags  []*flag.Flag
}

const helpHead = `The operator of HIPAA tenants. It runs in a cluster, as its service account, or with a kubeconfig outside of one.

Usage: manager [flags]
       manager probe listen|connect     the two ends of the network probe, see manager probe --help
`

const helpTail = `
Durations are written as 90s, 10m or 2h30m.

Environment
  POD_NAMESPACE                     default of --namespace
  VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT
                                    defaults of the flags of Vault. A token is read from a file only: every
                                    user of the machine can read arguments
  KUBECONFIG                        kubeconfig to use outside of a cluster (default ~/.kube/config)
  AWS_*, AZURE_*, GOOGLE_APPLICATION_CREDENTIALS
                                    read by the clouds' own libraries, for awskms://, azurekeyvault:// and gcpkms:// keys
  HTTPS_PROXY, NO_PROXY             for requests to the API server and to key services over HTTP
  GOGC, GOMEMLIMIT, GODEBUG         read by Go. GOGC is 50 when it is not set; GODEBUG=fips140=on or only turns
                                    FIPS 140-3 mode on

Exit codes: 0, told to end, or a question was answered; 1, could not start, or lost its lease.
`

// help lists every flag with its unit, default and meaning. A default that is taken from the environment is named in the
// meaning, so that the text is the same wherever it is printed.
func help(w io.Writer, groups []group) {
	var out strings.Builder
	out.WriteString(helpHead)
	for _, g := range groups {
		fmt.Fprintf(&out, "\n%s\n", g.title)
		for _, one := range g.flags {
			unit, usage := flag.UnquoteUsage(one)
			if unit != "" {
				unit = " " + unit
			}
			if one.DefValue != "" && !strings.Contains(usage, "(default ") {
				usage += fmt.Sprintf(" (default %s)", one.DefValue)
			}
			fmt.Fprintf(&out, "  --%s%s\n%s", one.Name, unit, fold(usage, "        "))
		}
	}
	out.WriteString(helpTail)
	fmt.Fprint(w, out.String())
}

const helpWidth = 110

// fold breaks a text into lines, each indented.
func fold(text, indent string) string {
	var out strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && len(line)+1+len(word) > helpWidth {
			out.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return out.String() + line + "\n"
}
