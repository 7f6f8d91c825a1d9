package main

import (
	"cmp"
	"crypto/fips140"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/gcpkms"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
)

// What the operator does with the admission policies.
const (
	admissionManage = "manage"
	admissionVerify = "verify"
)

// release is the version of a build made by the Makefile; others answer with what Go recorded.
var release string

type options struct {
	done        bool // the question was answered, nothing is to be run
	namespace   string
	metrics     string
	probes      string
	leaderElect bool
	admission   string
	concurrency int
	atRest      time.Duration
	vault       vault.Config
	vaultRole   string
	vaultMount  string
	kmsPlugins  string
	gcp         gcpkms.Config
	log         zap.Options
}

func parse(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("manager", flag.ContinueOnError)
	f.StringVar(&o.namespace, "namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), v1alpha1.OperatorNamespace),
		"namespace of the operator: its lease, tombstones and local:// keys live there (default $POD_NAMESPACE, then hipaa-system)")
	f.StringVar(&o.metrics, "metrics-bind-address", ":8080", "address the metrics are served on; 0 turns them off")
	f.StringVar(&o.probes, "health-probe-bind-address", ":8081", "address /healthz and /readyz are served on; 0 turns them off")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "let one of several replicas work at a time")
	f.StringVar(&o.admission, "admission-policies", admissionManage,
		"manage: apply the admission policies and put them back; verify: only report, for clusters where GitOps owns them")
	f.IntVar(&o.concurrency, "concurrency", 64, "tenants reconciled side by side, 1 to 256; the API server does more writes for the same CPU when many are under way")
	f.DurationVar(&o.atRest, "encryption-probe-interval", 10*time.Minute,
		"how often to observe how API servers store Secrets, at least 1s; 0 turns it off, and every tenant says that it is not known")
	f.StringVar(&o.vault.Address, "vault-address", os.Getenv("VAULT_ADDR"), "address of Vault or OpenBao for vault:// keys (default $VAULT_ADDR); empty turns the provider off")
	f.StringVar(&o.vault.Namespace, "vault-namespace", os.Getenv("VAULT_NAMESPACE"), "Vault namespace (default $VAULT_NAMESPACE)")
	f.StringVar(&o.vault.CAFile, "vault-ca-file", os.Getenv("VAULT_CACERT"), "PEM file Vault's certificate is checked against (default $VAULT_CACERT)")
	f.StringVar(&o.vault.TokenFile, "vault-token-file", "", "file that holds a Vault token; read anew for every request")
	f.StringVar(&o.vaultRole, "vault-kubernetes-role", "", "role to log in to Vault as, with the operator's service account")
	f.StringVar(&o.vaultMount, "vault-kubernetes-mount", "kubernetes", "mount of Vault's Kubernetes auth method")
	f.StringVar(&o.gcp.Endpoint, "gcpkms-endpoint", gcpkms.DefaultEndpoint, "host:port of Google Cloud KMS for gcpkms:// keys, such as that of a private endpoint")
	f.StringVar(&o.gcp.CAFile, "gcpkms-ca-file", "", "PEM file the certificate of that endpoint is checked against; empty means the system's")
	f.StringVar(&o.kmsPlugins, "kms-plugin-dir", "", "directory of KMS v2 plugins' sockets for kmsv2+unix:// keys, such as /run/kms; the operator connects to no other socket. Empty turns the provider off")
	showVersion := f.Bool("version", false, "print the version and exit")
	o.log.BindFlags(f)
	if err := f.Parse(args); err != nil {
		o.done = err == flag.ErrHelp //nolint:errorlint // the flag package returns the sentinel itself
		if o.done {
			err = nil
		}
		return o, err
	}
	if *showVersion {
		fmt.Println("hipaa-tenant-operator", version())
		o.done = true
	}
	return o, o.check(f.Args())
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("expected only flags, found %q: see --help", strings.Join(rest, " "))
	case o.namespace == "":
		return errors.New("--namespace must name the operator's namespace, found \"\"")
	case o.admission != admissionManage && o.admission != admissionVerify:
		return fmt.Errorf("--admission-policies must be manage or verify, found %q", o.admission)
	case o.concurrency < 1 || o.concurrency > 256:
		return fmt.Errorf("--concurrency must be 1 to 256, found %d", o.concurrency)
	case o.atRest != 0 && o.atRest < time.Second:
		return fmt.Errorf("--encryption-probe-interval must be 0, or 1s or more, found %s", o.atRest)
	case o.vaultRole != "" && o.vault.TokenFile != "":
		return fmt.Errorf("--vault-token-file and --vault-kubernetes-role exclude each other: give one")
	}
	if o.vaultRole != "" {
		o.vault.Kubernetes = &vault.KubernetesAuth{Role: o.vaultRole, Mount: o.vaultMount}
	}
	return nil
}

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// fips says in which mode the cryptographic module runs, and which one it is, for the log and the evidence: such as
// "on, module v1.0.0". "latest" is the one of this version of Go, not yet certified.
func fips() string {
	mode := "off"
	switch {
	case fips140.Enforced():
		mode = "only"
	case fips140.Enabled():
		mode = "on"
	}
	return mode + ", module " + fips140.Version()
}
