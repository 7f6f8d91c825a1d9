package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		want  string // part of the error; empty when the line is taken
		check func(options) bool
	}{
		"defaults": {nil, "", func(o options) bool {
			return o.namespace == v1alpha1.OperatorNamespace && o.leaderElect && o.admission == admissionManage && o.concurrency == 64 && o.atRest == 10*time.Minute && o.vault.Kubernetes == nil
		}},
		"verify":  {[]string{"--admission-policies=verify"}, "", func(o options) bool { return o.admission == admissionVerify }},
		"version": {[]string{"--version"}, "", func(o options) bool { return o.done }},
		"help":    {[]string{"--help"}, "", func(o options) bool { return o.done }},
		"vault role": {[]string{"--vault-kubernetes-role=r"}, "", func(o options) bool {
			return o.vault.Kubernetes.Role == "r" && o.vault.Kubernetes.Mount == "kubernetes"
		}},
		"unknown flag":     {[]string{"--speed=9"}, "-speed", nil},
		"a word":           {[]string{"serve"}, `found "serve"`, nil},
		"bad mode":         {[]string{"--admission-policies=off"}, `--admission-policies must be manage or verify, found "off"`, nil},
		"no workers":       {[]string{"--concurrency=0"}, "--concurrency must be 1 to 256, found 0", nil},
		"too many workers": {[]string{"--concurrency=999"}, "found 999", nil},
		"no probe":         {[]string{"--encryption-probe-interval=0"}, "", func(o options) bool { return o.atRest == 0 }},
		"a busy probe":     {[]string{"--encryption-probe-interval=1ms"}, "--encryption-probe-interval must be 0, or 1s or more, found 1ms", nil},
		"probe off":        {nil, "", func(o options) bool { return o.probe == probeOptions{namespace: "hipaa-system-probe"} }},
		"probe": {[]string{"--network-probe-interval=10s", "--network-probe-image=i", "--namespace=n"}, "", func(o options) bool {
			return o.probe == probeOptions{interval: 10 * time.Second, namespace: "n-probe", image: "i"}
		}},
		"probe elsewhere":     {[]string{"--network-probe-namespace=p"}, "", func(o options) bool { return o.probe.namespace == "p" }},
		"too busy a probe":    {[]string{"--network-probe-interval=9s", "--network-probe-image=i"}, "--network-probe-interval must be 0, or 10s or more, found 9s", nil},
		"a negative probe":    {[]string{"--network-probe-interval=-1h", "--network-probe-image=i"}, "found -1h0m0s", nil},
		"no image":            {[]string{"--network-probe-interval=1h"}, "--network-probe-image must name the operator's image", nil},
		"probe among Secrets": {[]string{"--network-probe-namespace=hipaa-system"}, "--network-probe-namespace must not be the operator's own", nil},
		"two vault logins":    {[]string{"--vault-token-file=t", "--vault-kubernetes-role=r"}, "exclude each other", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", "")
			o, err := parse(c.args)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("error %v, want one that contains %q", err, c.want)
			case c.check != nil && !c.check(o):
				t.Errorf("options %+v", o)
			}
		})
	}
}

func TestNamespaceComesFromThePod(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "elsewhere")
	if o, err := parse(nil); err != nil || o.namespace != "elsewhere" {
		t.Errorf("namespace %q, error %v", o.namespace, err)
	}
}
