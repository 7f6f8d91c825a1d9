package main

import (
	"cmp"
	"errors"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

const unwrapHelp = `Open the data keys of a tenant with your own KMS identity, and say which of them open.

The keyset is read with your kubeconfig, or from a file. Each entry costs one KMS call, made as you: Vault with the token
in $VAULT_TOKEN or --vault-token-file, AWS and Azure with their SDKs' default chains. No key is printed: a fingerprint tells whether two
namespaces hold the same key.

With --reveal, one data key is printed in base64 and nothing else; it opens everything that was encrypted with it.

Exit codes: 0, every entry opens; 1, the question could not be answered; 2, an entry does not open.`

const unwrapExample = `  # do all keys of a tenant open, in every namespace?
  VAULT_TOKEN=$(vault print token) kubectl hipaa unwrap acme-health --vault-address https://vault.example:8200
  # from a backup, without a cluster
  kubectl hipaa unwrap -f keyset.json -o json
  # hand one key to another program
  kubectl hipaa unwrap -n acme-health-app --name records --reveal | decrypt-backup`

type unwrapOptions struct {
	connection
	tenant, namespace, file string
	operatorNamespace       string
	name                    string
	version                 int64
	output                  string
	reveal, force           bool
	vault                   vaultkeys.Config
}

func unwrap() *cobra.Command {
	var o unwrapOptions
	c := &cobra.Command{
		Use:               "unwrap [TENANT]",
		Short:             "Say which data keys open, with your own KMS identity",
		Long:              unwrapHelp,
		Example:           unwrapExample,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.tenant = args[0]
			}
			if err := o.check(); err != nil {
				return err
			}
			return o.run(c)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "", "open the keyset of this namespace alone")
	f.StringVarP(&o.file, "filename", "f", "", "open the keyset.json in this file; no cluster is asked")
	o.flags(c)
	f.StringVar(&o.operatorNamespace, "operator-namespace", v1alpha1.OperatorNamespace, "namespace of the operator, where the software keys of local:// are")
	f.StringVar(&o.name, "name", "", "only the data key of this name (default all; with --reveal, default)")
	f.Int64Var(&o.version, "version", 0, "only this version (default all; with --reveal, the primary one)")
	f.StringVarP(&o.output, "output", "o", "", "json: print JSON")
	f.BoolVar(&o.reveal, "reveal", false, "print one data key in base64")
	f.BoolVar(&o.force, "force", false, "with --reveal: also on a terminal")
	f.StringVar(&o.vault.Address, "vault-address", os.Getenv("VAULT_ADDR"), "address of Vault or OpenBao (default $VAULT_ADDR)")
	f.StringVar(&o.vault.Namespace, "vault-namespace", os.Getenv("VAULT_NAMESPACE"), "Vault namespace (default $VAULT_NAMESPACE)")
	f.StringVar(&o.vault.CAFile, "vault-ca-file", os.Getenv("VAULT_CACERT"), "PEM file Vault's certificate is checked against (default $VAULT_CACERT)")
	f.StringVar(&o.vault.TokenFile, "vault-token-file", "", "file with a Vault token (default $VAULT_TOKEN itself); there is no flag for the token: every user of the machine can read arguments")
	if err := c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // only for a flag that does not exist
	}
	return c
}

func (o *unwrapOptions) check() error {
	sources := slices.DeleteFunc([]string{o.tenant, o.namespace, o.file}, func(s string) bool { return s == "" })
	switch {
	case len(sources) != 1:
		return errors.New("expected exactly one of TENANT, --namespace and --filename: see --help")
	case o.output != "" && o.output != "json":
		return errors.New("expected -o json, or no -o for a table")
	case o.version < 0:
		return errors.New("expected a --version of 1 or more")
	case o.reveal && (o.tenant != "" || o.output != ""):
		return errors.New("--reveal prints one key and nothing else: name a --namespace or a file instead of a tenant, and leave -o out")
	case o.force && !o.reveal:
		return errors.New("--force does nothing without --reveal")
	}
	if o.vault.TokenFile == "" {
		o.vault.Token = os.Getenv("VAULT_TOKEN")
	}
	if o.reveal {
		o.name = cmp.Or(o.name, v1alpha1.DefaultDataKey)
	}
	return nil
}

func (o *unwrapOptions) run(c *cobra.Command) error {
	ctx := contextOf(c)
	found, kms, err := o.find(ctx)
	if err != nil {
		return err
	}
	if o.reveal {
		return o.revealKey(ctx, c, found[0], kms)
	}
	return o.report(ctx, c, found, kms)
}
