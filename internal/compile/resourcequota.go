package compile

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// objectsPerPod bounds how many objects a namespace may hold for each pod of its quota. They are far above what workloads
// need, a Deployment's ten old ReplicaSets and a Helm release's ten Secrets included: they are there because etcd belongs to
// all tenants, and an object may be as large as 1.5 MiB. Kinds the operator writes many of are not counted, because each
// counted object costs the API server a write of the quota.
var objectsPerPod = map[corev1.ResourceName]int64{
	corev1.ResourceConfigMaps:             5,
	corev1.ResourceSecrets:                5,
	corev1.ResourceServices:               2,
	corev1.ResourcePersistentVolumeClaims: 2,
	"count/deployments.apps":              1,
	"count/statefulsets.apps":             1,
	"count/replicasets.apps":              12,
	"count/jobs.batch":                    10,
}

// fewestPods is what objects are counted by where the quota allows less: a tenant with three pods has as many settings.
const fewestPods = 20

// resourceQuota keeps one tenant from starving the others. It applies to each namespace.
func (r *resolved) resourceQuota(namespace string, p *Plan) {
	q := r.quota
	count := func(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }
	pods := max(int64(q.Pods), fewestPods)
	hard := corev1.ResourceList{
		corev1.ResourceRequestsCPU:     q.CPU,
		corev1.ResourceLimitsCPU:       q.CPU,
		corev1.ResourceRequestsMemory:  q.Memory,
		corev1.ResourceLimitsMemory:    q.Memory,
		corev1.ResourcePods:            count(int64(q.Pods)),
		corev1.ResourceRequestsStorage: q.Storage,
		// Each is an address that costs money and is a scarce good.
		corev1.ResourceServicesLoadBalancers: count(pods / 5),
	}
	for kind, each := range objectsPerPod {
		hard[kind] = count(each * pods)
	}
	p.write(WaveDeny, v1alpha1.ObjectRef{Kind: "ResourceQuota", Namespace: namespace, Name: v1alpha1.QuotaName},
		accore.ResourceQuota(v1alpha1.QuotaName, namespace).
			WithLabels(managedLabels(r.tenant.Name)).
			WithSpec(accore.ResourceQuotaSpec().WithHard(hard)))
}
