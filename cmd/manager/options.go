package main

import (
	"cmp"
	"crypto/fips140"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/gcpkms"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
)

// What the operator does with the admission policies.
const (
	admissionManage = "manage"
	admissionVerify = "verify"
)

type options struct {
	done        bool // the question was answered, nothing is to be run
	namespace   string
	metrics     string
	probes      string
	leaderElect bool
	admission   string
	concurrency int
	atRest      time.Duration
	probe       probeOptions
	vault       vault.Config
	vaultRole   string
	vaultMount  string
	kmsPlugins  string
	gcp         gcpkms.Config
	log         zap.Options
	version     bool
}

// probeOptions are those of the network probe.
type probeOptions struct {
	interval  time.Duration
	namespace string
	image     string
}

func parse(args []string) (options, error) {
	o := options{}
	f := flag.NewFlagSet("manager", flag.ContinueOnError)
	groups := o.flags(f)
	f.Usage = func() { help(f.Output(), groups) }
	if err := f.Parse(args); err != nil {
		o.done = err == flag.ErrHelp //nolint:errorlint // the flag package returns the sentinel itself
		if o.done {
			err = nil
		}
		return o, err
	}
	if o.version {
		fmt.Println(v1alpha1.OperatorName, buildinfo.Read().Version)
		o.done = true
	}
	return o, o.check(f.Args())
}

// flags defines all flags and returns their names in groups, in the order --help lists them.
func (o *options) flags(f *flag.FlagSet) []group {
	groups := []group{
		{title: "General", define: o.generalFlags},
		{title: "Network probe", define: o.probeFlags},
		{title: "Encryption of data keys", define: o.keyFlags},
		{title: "Logging", define: o.logFlags},
	}
	seen := map[string]bool{}
	for i := range groups {
		groups[i].define(f)
		f.VisitAll(func(one *flag.Flag) {
			if !seen[one.Name] {
				groups[i].flags = append(groups[i].flags, one)
			}
			seen[one.Name] = true
		})
	}
	return groups
}

func (o *options) generalFlags(f *flag.FlagSet) {
	f.StringVar(&o.namespace, "namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), v1alpha1.OperatorNamespace),
		"`name` of the operator's namespace: its lease, tombstones and local:// keys live there (default $POD_NAMESPACE, then hipaa-system)")
	f.StringVar(&o.metrics, "metrics-bind-address", ":8080", "`host:port` the metrics are served on; 0 turns them off")
	f.StringVar(&o.probes, "health-probe-bind-address", ":8081", "`host:port` /healthz and /readyz are served on; 0 turns them off")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "let one of several replicas work at a time")
	f.StringVar(&o.admission, "admission-policies", admissionManage,
		"`mode`. manage: apply the admission policies and put them back; verify: only report, for clusters where GitOps owns them")
	f.IntVar(&o.concurrency, "concurrency", 64, "`number` of tenants reconciled side by side, 1 to 256; the API server does more writes for the same CPU when many are under way")
	f.DurationVar(&o.atRest, "encryption-probe-interval", 10*time.Minute,
		"`duration` between looks at how API servers store Secrets, at least 1s; 0 turns them off, and every tenant says that it is not known")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
}

func (o *options) probeFlags(f *flag.FlagSet) {
	f.DurationVar(&o.probe.interval, "network-probe-interval", 0,
		"`duration` between runs of the probe that finds out whether the network plug-in enforces policies, at least 10s; 0 turns it off, and every tenant says that it was not probed")
	f.StringVar(&o.probe.image, "network-probe-image", "", "`image` of the probe's two pods: the operator's own. Required where the interval is not 0")
	f.StringVar(&o.probe.namespace, "network-probe-namespace", "",
		"`name` of the namespace the probe's pods run in; no tenant may have it (default the operator's namespace and -probe)")
}

func (o *options) keyFlags(f *flag.FlagSet) {
	f.StringVar(&o.vault.Address, "vault-address", os.Getenv("VAULT_ADDR"), "`URL` of Vault or OpenBao for vault:// keys (default $VAULT_ADDR); empty turns the provider off")
	f.StringVar(&o.vault.Namespace, "vault-namespace", os.Getenv("VAULT_NAMESPACE"), "`name` of the Vault namespace (default $VAULT_NAMESPACE)")
	f.StringVar(&o.vault.CAFile, "vault-ca-file", os.Getenv("VAULT_CACERT"), "PEM `file` Vault's certificate is checked against (default $VAULT_CACERT)")
	f.StringVar(&o.vault.TokenFile, "vault-token-file", "", "`file` that holds a Vault token; read anew for every request")
	f.StringVar(&o.vaultRole, "vault-kubernetes-role", "", "`role` to log in to Vault as, with the operator's service account")
	f.StringVar(&o.vaultMount, "vault-kubernetes-mount", "kubernetes", "`path` where Vault's Kubernetes auth method is mounted")
	f.StringVar(&o.gcp.Endpoint, "gcpkms-endpoint", gcpkms.DefaultEndpoint, "`host:port` of Google Cloud KMS for gcpkms:// keys, such as that of a private endpoint")
	f.StringVar(&o.gcp.CAFile, "gcpkms-ca-file", "", "PEM `file` the certificate of that endpoint is checked against; empty means the system's")
	f.StringVar(&o.kmsPlugins, "kms-plugin-dir", "", "`directory` of KMS v2 plugins' sockets for kmsv2+unix:// keys, such as /run/kms; the operator connects to no other socket. Empty turns the provider off")
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
	return o.probe.check(o.namespace)
}

// check takes the namespace of the operator, which that of the probe is named after.
func (o *probeOptions) check(operator string) error {
	o.namespace = cmp.Or(o.namespace, operator+v1alpha1.ProbeNamespaceSuffix)
	switch {
	case o.interval != 0 && o.interval < 10*time.Second:
		return fmt.Errorf("--network-probe-interval must be 0, or 10s or more, found %s", o.interval)
	case o.interval != 0 && o.image == "":
		return errors.New("--network-probe-image must name the operator's image where --network-probe-interval is not 0, found \"\"")
	case o.namespace == operator:
		return fmt.Errorf("--network-probe-namespace must not be the operator's own: who may make pods there may read its Secrets, found %q", o.namespace)
	}
	return nil
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
