package placement

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// gate is what a tenant does to a pod when it lifts its scheduling gate. A gated pod may still gain node selectors and
// requirements; the API server refuses what would widen where it may go.
type gate struct {
	class
	// lift changes the spec besides lifting the gate.
	lift    func(draw, tenant, *corev1.PodSpec)
	refused bool
}

var gates = []gate{
	{class: class{"gated", bound, lawful[0].shape}, lift: lawful[0].shape},
	{class: class{"gated-terms", bound, oredTerms}, lift: func(draw, tenant, *corev1.PodSpec) {}},
	{class: class{"gated-narrowed", bound, lawful[0].shape}, lift: func(d draw, t tenant, s *corev1.PodSpec) {
		addTo(s, in(labelZone, zoneOf(pick(d, t.home), 0)))
	}},
	{class: class{"gated-selector-abroad", never, lawful[0].shape}, lift: func(d draw, t tenant, s *corev1.PodSpec) {
		selectNodes(s, labelRegion, pick(d, t.foreign))
	}},
	{class: class{"gated-abroad", never, lawful[0].shape}, lift: func(_ draw, t tenant, s *corev1.PodSpec) {
		addTo(s, in(labelRegion, t.foreign...))
	}},
	{class: class{"gated-other-term", never, lawful[0].shape}, refused: true, lift: func(d draw, t tenant, s *corev1.PodSpec) {
		require(s, abroad(d, t)...)
	}},
	{class: class{"gated-more-terms", never, lawful[0].shape}, refused: true, lift: func(_ draw, t tenant, s *corev1.PodSpec) {
		require(s, append(requiredTerms(s), term(in(labelRegion, t.foreign...)))...)
	}},
	{class: class{"gated-no-affinity", never, lawful[0].shape}, refused: true, lift: func(_ draw, _ tenant, s *corev1.PodSpec) { s.Affinity = nil }},
	{class: class{"gated-empty-term", never, func(_ draw, _ tenant, s *corev1.PodSpec) { require(s, corev1.NodeSelectorTerm{}) }}, refused: true,
		lift: func(d draw, t tenant, s *corev1.PodSpec) { addTo(s, in(labelRegion, pick(d, t.foreign))) }},
}

// addTo appends a requirement to every term.
func addTo(s *corev1.PodSpec, r corev1.NodeSelectorRequirement) {
	terms := requiredTerms(s)
	for i := range terms {
		terms[i].MatchExpressions = append(terms[i].MatchExpressions, r)
	}
}

// requiredTerms are those the spec has; a pod that was not steered has none.
func requiredTerms(s *corev1.PodSpec) []corev1.NodeSelectorTerm {
	if required := nodeAffinity(s).RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		return required.NodeSelectorTerms
	}
	return nil
}

// gatedPod is created now, and let go by lift.
func gatedPod(d draw, t tenant, name string, g gate) (create, lift step) {
	pod := podOf(t, name, g.name, corev1.PodSpec{})
	g.shape(d, t, &pod.Spec)
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "placement.test/hold"}}
	seed := d.Int64()
	create = func(ctx context.Context, w *world) error {
		_, err := w.make(ctx, "created", pod)
		return err
	}
	return create, func(ctx context.Context, w *world) error {
		if g.fate == bound {
			w.want(pod.Labels[labelWorkload], 1)
		}
		pods := w.developer.CoreV1().Pods(t.namespace)
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			fresh, err := pods.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			fresh.Spec.SchedulingGates = nil
			g.lift(newDraw(seed), t, &fresh.Spec)
			_, err = pods.Update(ctx, fresh, metav1.UpdateOptions{})
			return err
		})
		if !g.refused {
			return err
		}
		if !apierrors.IsInvalid(err) {
			return fmt.Errorf("%s %s/%s: want the API server to find the update invalid, got: %w", g.name, t.namespace, name, err)
		}
		w.countRefused("wider gated pods")
		return nil
	}
}
