package chart

import (
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// What people read after an install depends on what they installed: above all, what uninstalling does.
func TestNotes(t *testing.T) {
	for _, row := range []struct {
		chart, set, says, not string
	}{
		{operatorChart, "replicas=2", "Tenants stay protected", "DELETES"},
		{operatorChart, "replicas=2", "kubectl get validatingadmissionpolicies", "Apply the admission policies yourself"},
		{operatorChart, "crds.keep=false", "DELETES THE DEFINITIONS AND EVERY HIPAATenant", "Tenants stay protected"},
		{operatorChart, "crds.enabled=false", "The definitions are not part of this release", "DELETES"},
		{operatorChart, "admissionPolicies=verify,serviceAccount.name=guard", "system:serviceaccount:elsewhere:guard", "kubectl get validatingadmissionpolicies"},
		{tenantChart, "tenant.name=birch", "kubectl delete hipaatenant birch", "deletes the tenant"},
		{tenantChart, "tenant.keep=false", "helm uninstall release deletes the tenant", "kubectl delete"},
	} {
		t.Run(row.chart+" "+row.set, func(t *testing.T) {
			args := []string{"install", "release", row.chart, "-n", "elsewhere", "--dry-run=client", "--set", row.set}
			if row.chart == tenantChart {
				args = append(args, "-f", acmeValues)
			}
			out, err := helm(t, args...)
			must(t, err)
			_, notes, _ := strings.Cut(out, "\nNOTES:\n")
			if !strings.Contains(notes, row.says) || strings.Contains(notes, row.not) {
				t.Errorf("expected the notes to say %q and not %q, found\n%s", row.says, row.not, notes)
			}
			if strings.Contains(notes, v1alpha1.OperatorNamespace) {
				t.Errorf("the notes name namespace %s, not the release's:\n%s", v1alpha1.OperatorNamespace, notes)
			}
		})
	}
}
