package controllers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// Bounds of one run.
const (
	runTimeout    = 2 * time.Minute
	removeTimeout = 10 * time.Second
	recallTimeout = 10 * time.Second
	watchPause    = time.Second // after a watch that ended early
	mostLeftovers = 50
)

// NetworkProbe runs two pods in a namespace of their own, and has one of them connect to the other: in ways that network
// policies allow, and in ways they forbid.
type NetworkProbe struct {
	API kubernetes.Interface
	// Namespace of the pods. Nothing else is in it: who may make pods in a namespace may read its Secrets.
	Namespace string
	// Image of the pods.
	Image string
}

// obstacle is why nothing can be told. Why stands in the status of tenants, so it is one of few texts; detail is what was said
// by whoever is in the way.
type obstacle struct{ why, detail string }

func (o obstacle) Error() string { return o.why + ": " + o.detail }

// look runs the probe once, between the nodes that are wanted where they take its pods.
func (p *NetworkProbe) look(ctx context.Context, wanted netprobe.Pair) netprobe.Outcome {
	ctx, cancel := context.WithTimeoutCause(ctx, runTimeout, fmt.Errorf("not within %s", runTimeout))
	defer cancel()
	outcome := netprobe.Outcome{Result: netprobe.Inconclusive}
	err := p.run(ctx, wanted, &outcome)
	var o obstacle
	switch {
	case err == nil:
	case errors.As(err, &o):
		outcome.Result, outcome.Directions, outcome.Why, outcome.Detail = netprobe.Inconclusive, nil, o.why, o.detail
	default:
		outcome.Result, outcome.Directions, outcome.Why, outcome.Detail = netprobe.Inconclusive, nil, p.reason(err), err.Error()
	}
	return outcome
}

// lacksRight is what an API server says where its authorizer refuses. Admission says forbidden too, and goes on in words of its own.
var lacksRight = regexp.MustCompile(` is forbidden: User ".*" cannot `)

// reason of an error of the API server, in words that stay the same.
func (p *NetworkProbe) reason(err error) string {
	status := apierrors.APIStatus(nil)
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Sprintf("namespace %s is being deleted; make it anew, as config/network-probe does", p.Namespace)
	case apierrors.IsForbidden(err) && lacksRight.MatchString(err.Error()):
		return fmt.Sprintf("the operator may not do in namespace %s what the probe needs; grant it what config/network-probe does", p.Namespace)
	case errors.As(err, &status) && !apierrors.IsTimeout(err) && !apierrors.IsServerTimeout(err) && !apierrors.IsTooManyRequests(err):
		return fmt.Sprintf("the API server refused what the probe needs in namespace %s", p.Namespace) + p.more()
	}
	return "the API server did not answer the operator's probe"
}

// more says where the detail is.
func (p *NetworkProbe) more() string {
	return fmt.Sprintf(" (more in ConfigMap %s/%s)", p.Namespace, v1alpha1.ConfigMapNetworkProbe)
}

// run fills in the outcome, step by step.
func (p *NetworkProbe) run(ctx context.Context, wanted netprobe.Pair, o *netprobe.Outcome) error {
	if err := p.checkNamespace(ctx); err != nil {
		return err
	}
	policies, err := p.writePolicies(ctx)
	if err != nil {
		return err
	}
	if err := p.removeLeftovers(ctx); err != nil {
		return err
	}
	id := strings.ToLower(rand.Text()[:12])
	target, err := p.API.CoreV1().Pods(p.Namespace).Create(ctx, p.target(id, wanted.To), metav1.CreateOptions{FieldManager: v1alpha1.OperatorName})
	if err != nil {
		return err
	}
	defer p.remove(ctx, target)
	if target, err = p.await(ctx, target, p.listens); err != nil {
		return err
	}
	o.To = target.Spec.NodeName
	if o.To != wanted.To {
		wanted.From = "" // where the client then was would tell nothing of the pair
	}
	client, err := p.API.CoreV1().Pods(p.Namespace).Create(ctx, p.client(id, target, wanted.From), metav1.CreateOptions{FieldManager: v1alpha1.OperatorName})
	if err != nil {
		return err
	}
	defer p.remove(ctx, client)
	if client, err = p.await(ctx, client, p.ended); err != nil {
		return err
	}
	o.From = client.Spec.NodeName
	answer, err := p.answer(client, id)
	if err != nil {
		return err
	}
	if err := p.checkPolicies(ctx, policies); err != nil {
		return err
	}
	o.Result, o.Directions = answer.Result, answer.Directions
	if answer.Result == netprobe.Inconclusive {
		return obstacle{answer.Why + "; take namespace " + p.Namespace + " out of what policies of the whole cluster deny, and do not accept there: that overrides the policies that are tried",
			fmt.Sprintf("after %d rounds", answer.Rounds)}
	}
	return nil
}

// checkNamespace says what is to be made where the namespace is not as it has to be.
func (p *NetworkProbe) checkNamespace(ctx context.Context) error {
	ns, err := p.API.CoreV1().Namespaces().Get(ctx, p.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return obstacle{fmt.Sprintf("namespace %s does not exist; make it, as config/network-probe does", p.Namespace), err.Error()}
	case err != nil:
		return err
	case !ns.DeletionTimestamp.IsZero():
		return obstacle{fmt.Sprintf("namespace %s is being deleted; make it anew, as config/network-probe does", p.Namespace), "deleted at " + ns.DeletionTimestamp.String()}
	case ns.Labels[v1alpha1.LabelTenant] != "":
		return obstacle{fmt.Sprintf("namespace %s belongs to a tenant; name another one by --network-probe-namespace", p.Namespace), "tenant " + ns.Labels[v1alpha1.LabelTenant]}
	}
	return p.checkPods(ctx)
}

// checkPods says that no pods are there but the probe's. Others show that the namespace was named by mistake, or that somebody may
// make pods in it, who then reads the probe's pull secret: no pod is made and no policy written.
func (p *NetworkProbe) checkPods(ctx context.Context) error {
	others, err := p.API.CoreV1().Pods(p.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "!" + v1alpha1.LabelNetworkProbe, Limit: 1})
	if err != nil || len(others.Items) == 0 {
		return err
	}
	return obstacle{fmt.Sprintf("namespace %s holds pods of somebody else; remove them, or name another namespace by --network-probe-namespace", p.Namespace),
		"pod " + others.Items[0].Name}
}

// removeLeftovers removes the pods of a run that was killed, and whoever pretends to be one. Those that are on their way out
// already are in nobody's way: every run has pods of its own. An API server that hangs keeps no run beyond its time.
func (p *NetworkProbe) removeLeftovers(ctx context.Context) error {
	pods, err := p.API.CoreV1().Pods(p.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelNetworkProbe, Limit: mostLeftovers})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if pods.Items[i].DeletionTimestamp.IsZero() {
			p.remove(ctx, &pods.Items[i])
		}
	}
	return nil
}

// remove deletes this very pod, also when the run was told to end. One that stays is a leftover for the next run.
func (p *NetworkProbe) remove(ctx context.Context, pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := p.API.CoreV1().Pods(p.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		ctrl.LoggerFrom(ctx).Info("a pod of the network probe could not be removed; the next run tries again", "pod", pod.Name, "error", err)
	}
}

// answer is what the client left. Nobody else's is taken.
func (p *NetworkProbe) answer(client *corev1.Pod, id string) (netprobe.Answer, error) {
	var answer netprobe.Answer
	said := howEnded(client)
	known := func() bool {
		return answer.Run == id && (answer.Result == netprobe.Enforced || answer.Result == netprobe.Inconclusive ||
			(answer.Result == netprobe.NotEnforced && len(answer.Directions) > 0))
	}
	if err := json.Unmarshal([]byte(said.message), &answer); err != nil || !known() {
		return answer, obstacle{"the probe's client ended without an answer" + p.more(), said.String()}
	}
	return answer, nil
}

// missing are those nodes of the pairs that are gone. One that cannot be read is taken to be there.
func (p *NetworkProbe) missing(ctx context.Context, pairs []netprobe.Pair) []string {
	ctx, cancel := context.WithTimeout(ctx, recallTimeout)
	defer cancel()
	var names []string
	for _, pair := range pairs {
		names = append(names, pair.From, pair.To)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := p.API.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		return !apierrors.IsNotFound(err)
	})
}

// remember writes what the next leader is to know.
func (p *NetworkProbe) remember(ctx context.Context, data map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, recallTimeout)
	defer cancel()
	record := accore.ConfigMap(v1alpha1.ConfigMapNetworkProbe, p.Namespace).
		WithLabels(map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}).
		WithData(data)
	_, err := p.API.CoreV1().ConfigMaps(p.Namespace).Apply(ctx, record, metav1.ApplyOptions{FieldManager: v1alpha1.OperatorName, Force: true})
	return err
}

// recall reads it.
func (p *NetworkProbe) recall(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, recallTimeout)
	defer cancel()
	record, err := p.API.CoreV1().ConfigMaps(p.Namespace).Get(ctx, v1alpha1.ConfigMapNetworkProbe, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return record.Data, nil
}
