package chart

import (
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

func TestScratch(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{})
	must(t, err)
	defer c.Stop()
	k := []string{"--kubeconfig", c.Kubeconfig()}
	out, err := helm(t, append([]string{"install", "op", "/tmp/chartx", "-n", "default", "--hide-notes"}, k...)...)
	t.Log(out, err)
	out, err = helm(t, append([]string{"install", "acme", tenantChart, "-n", "default", "-f", acmeValues, "--wait", "--timeout=5s"}, k...)...)
	t.Log(out, err)
}
