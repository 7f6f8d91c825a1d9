package admission_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// What is refused inside a tenant is nobody's business outside: every refused row runs again in a namespace of no tenant.
var (
	_ = exposureTable.OutsideSpecs(environment)
	_ = networkTable.OutsideSpecs(environment)
	_ = placementBindTable.OutsideSpecs(environment)
	_ = storageTable.OutsideSpecs(environment)
	_ = tenancyTable.OutsideSpecs(environment)
	_ = workloadTable.OutsideSpecs(environment)
)

var _ = Describe("outside of tenants", func() {
	It("leaves pods as they are", func(ctx context.Context) {
		namespace, err := env.PlainNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		untouched := pt.Row{Do: func(ctx context.Context, s *pt.Session) error {
			if err := pt.Create(pod(""))(ctx, s); err != nil {
				return err
			}
			created := &corev1.Pod{ObjectMeta: named("web")}
			if err := s.Get(ctx, created); err != nil {
				return err
			}
			if created.Spec.Affinity != nil || created.Spec.Containers[0].EnvFrom != nil || created.Annotations != nil {
				return fmt.Errorf("the pod was changed: %+v", created.Spec)
			}
			return nil
		}, Want: pt.Allowed()}
		Expect(env.TryIn(ctx, untouched, namespace)).To(Succeed())
	})
})
