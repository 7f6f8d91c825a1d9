package compile

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// limitRange gives containers that name no resources a modest default: without one the quota would refuse them.
func (r *resolved) limitRange(namespace string, p *Plan) {
	p.write(WaveDeny, v1alpha1.ObjectRef{Kind: "LimitRange", Namespace: namespace, Name: v1alpha1.LimitsName},
		accore.LimitRange(v1alpha1.LimitsName, namespace).
			WithLabels(managedLabels(r.tenant.Name)).
			WithSpec(accore.LimitRangeSpec().WithLimits(accore.LimitRangeItem().
				WithType(corev1.LimitTypeContainer).
				WithDefault(corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("200m"), corev1.ResourceMemory: resource.MustParse("256Mi"),
				}).
				WithDefaultRequest(corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
				}))))
}
