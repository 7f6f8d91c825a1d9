package compile

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// resourceQuota keeps one tenant from starving the others. It applies to each namespace.
func (r *resolved) resourceQuota(namespace string, p *Plan) {
	q := r.quota
	hard := corev1.ResourceList{
		corev1.ResourceRequestsCPU:     q.CPU,
		corev1.ResourceLimitsCPU:       q.CPU,
		corev1.ResourceRequestsMemory:  q.Memory,
		corev1.ResourceLimitsMemory:    q.Memory,
		corev1.ResourcePods:            *resource.NewQuantity(int64(q.Pods), resource.DecimalSI),
		corev1.ResourceRequestsStorage: q.Storage,
	}
	p.write(WaveDeny, v1alpha1.ObjectRef{Kind: "ResourceQuota", Namespace: namespace, Name: v1alpha1.QuotaName},
		accore.ResourceQuota(v1alpha1.QuotaName, namespace).
			WithLabels(managedLabels(r.tenant.Name)).
			WithSpec(accore.ResourceQuotaSpec().WithHard(hard)))
}
