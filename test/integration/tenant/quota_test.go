package tenant

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// What a tenant may use up besides CPU and memory: etcd and addresses belong to all tenants.
var _ = Describe("the quota of a namespace", func() {
	It("counts objects that cost everybody", func(ctx SpecContext) {
		const name, allowed = "counted", 4 // a fifth of the fewest pods objects are counted by
		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			quota := fixture.Profile(v1alpha1.DefaultProfile).Spec.DefaultQuota
			quota.Pods = 1
			t.Spec.Quota = &quota
		}))
		awaitReady(ctx, name)
		balancer := func(i int) error {
			return admin.Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: fmt.Sprintf("edge-%d", i)},
				Spec: corev1.ServiceSpec{
					Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "edge"}, Ports: []corev1.ServicePort{{Port: 443}},
				},
			})
		}
		for i := range allowed {
			Eventually(func() error { return balancer(i) }).Should(Succeed())
		}
		Expect(errorText(balancer(allowed))).To(ContainSubstring("exceeded quota: hipaa-quota, requested: services.loadbalancers=1, used: services.loadbalancers=4, limited: services.loadbalancers=4"))
	})
})
