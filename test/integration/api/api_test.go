package api_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// storedName is the name of the object of each kind whose status the rows write.
const storedName = "stored"

// allRows is every table, each in front of its variant.
func allRows() []row {
	return slices.Concat(
		tenant.of(tenantRows, agreementRows, sharedRows(tenant), tenantStatusRows, conditionRows),
		passwordTenant.of(passwordRows, sharedRows(passwordTenant)),
		oidcTenant.of(oidcRows, sharedRows(oidcTenant)),
		profile.of(profileRows, sharedRows(profile)),
		associate.of(associateRows, agreementRows, sharedRows(associate), associateStatusRows, conditionRows),
		emergency.of(emergencyRows, sharedRows(emergency), emergencyStatusRows, conditionRows),
	)
}

var kinds = []variant{tenant, profile, associate, emergency}

// The rows come first and in order: the specs after them judge what all rows together have shown.
var _ = Describe("the API server", Ordered, ContinueOnFailure, func() {
	BeforeAll(func(ctx context.Context) {
		for _, v := range kinds {
			full, err := v.object()
			Expect(err).NotTo(HaveOccurred())
			set("metadata.name", storedName)(full)
			stored, err := sendable(full)
			Expect(err).NotTo(HaveOccurred())
			Expect(kube.Create(ctx, stored)).To(Succeed())
		}
	})

	for _, r := range allRows() {
		It(r.title(), func(ctx context.Context) { r.check(ctx) })
	}

	It("refuses to change the spec of an EmergencyAccess", func(ctx context.Context) {
		stored := &v1alpha1.EmergencyAccess{}
		Expect(kube.Get(ctx, client.ObjectKey{Name: storedName}, stored)).To(Succeed())
		stored.Spec.Duration = "24h"
		err := kube.Update(ctx, stored)
		Expect(err).To(MatchError(ContainSubstring("cannot be changed; delete it and ask anew")))
		var answer apierrors.APIStatus
		Expect(errors.As(err, &answer)).To(BeTrue())
		causes[emergency.kind] = append(causes[emergency.kind], answer.Status().Details.Causes...)
	})

	for _, v := range kinds {
		It("has refused something for every constraint of "+v.kind, func() {
			constraints := constraintsOf(v.kind)
			Expect(constraints).NotTo(BeEmpty())
			Expect(unseen(constraints, causes[v.kind])).To(BeEmpty(), "no row breaks these; add one to each")
		})

		It("has accepted every field of "+v.kind, func() {
			Expect(unused(v.kind, agreed[v.kind])).To(BeEmpty(), "no accepted row has these; add them to testdata")
		})

		It("adds no defaults but to the status of "+v.kind, func() {
			others := slices.DeleteFunc(defaulted(v.kind), func(path string) bool { return path == "status" })
			Expect(others).To(BeEmpty(), "GitOps tools would see fields they did not write")
		})

		It("refuses a field that "+v.kind+" does not have", func(ctx context.Context) {
			full, err := v.object()
			Expect(err).NotTo(HaveOccurred())
			set("spec.colour", "red")(full)
			sent, err := sendable(full)
			Expect(err).NotTo(HaveOccurred())
			err = kube.Create(ctx, sent, client.DryRunAll)
			Expect(apierrors.IsBadRequest(err)).To(BeTrue(), "found %v", err)
			Expect(err).To(MatchError(ContainSubstring(`unknown field "spec.colour"`)))
		})
	}
})

var _ = Describe("test/fixture", func() {
	for _, o := range []client.Object{fixture.Tenant("minimal"), fixture.Profile("minimal"), fixture.Associate("minimal")} {
		It("makes a valid "+o.GetObjectKind().GroupVersionKind().Kind, func(ctx context.Context) {
			Expect(kube.Create(ctx, o, client.DryRunAll)).To(Succeed())
		})
	}
})

var _ = Describe("config/samples", func() {
	It("is taken by kubectl in one go, and a second time without a change", func(ctx context.Context) {
		apply := func() string {
			samples := filepath.Join(root, "config", "samples")
			command := exec.CommandContext(ctx, plane.Kubectl(), "--kubeconfig", plane.Kubeconfig(), "apply", "-f", samples)
			out, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			return string(out)
		}
		first := apply()
		for _, crd := range crds {
			Expect(first).To(ContainSubstring(crd.Spec.Names.Singular+"."+crd.Spec.Group+"/"), "no sample of this kind")
		}
		Expect(apply()).NotTo(Or(ContainSubstring("created"), ContainSubstring("configured")))
	})
})
