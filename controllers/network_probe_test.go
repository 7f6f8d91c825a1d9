package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

const probeHome = v1alpha1.OperatorNamespace + v1alpha1.ProbeNamespaceSuffix

// probeWorld is an API server without rules and a kubelet that runs every pod the moment it is made.
type probeWorld struct {
	*kubefake.Clientset
	probe  *NetworkProbe
	answer netprobe.Answer   // of the client; its run is filled in
	runs   func(*corev1.Pod) // what becomes of a pod after that
	did    []string
}

func newProbeWorld(t *testing.T, objects ...runtime.Object) *probeWorld {
	t.Helper()
	w := &probeWorld{
		Clientset: kubefake.NewClientset(append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: probeHome}})...),
		answer:    netprobe.Answer{Result: netprobe.Enforced}, runs: func(*corev1.Pod) {},
	}
	w.probe = &NetworkProbe{API: w, Namespace: probeHome, Image: "op:1"}
	w.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if slices.Contains([]string{"create", "update", "patch", "delete"}, a.GetVerb()) {
			w.did = append(w.did, a.GetVerb()+" "+a.GetResource().Resource)
		}
		return false, nil, nil
	})
	w.PrependReactor("create", "networkpolicies", func(a clienttesting.Action) (bool, runtime.Object, error) {
		policy := a.(clienttesting.CreateAction).GetObject().(*networkingv1.NetworkPolicy)
		policy.UID, policy.Generation = types.UID("u-"+policy.Name), 1
		return false, nil, nil
	})
	w.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		pod := a.(clienttesting.CreateAction).GetObject().(*corev1.Pod)
		pod.UID = types.UID("u-" + pod.Name)
		w.kubelet(t, pod)
		w.runs(pod)
		return false, nil, nil
	})
	return w
}

// kubelet runs a pod as one does: the target listens on node b, the client has ended on node a.
func (w *probeWorld) kubelet(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if pod.Labels[v1alpha1.LabelNetworkProbe] == endTarget {
		pod.Spec.NodeName, pod.Status.Phase = "b", corev1.PodRunning
		pod.Status.PodIPs = []corev1.PodIP{{IP: "192.0.2.7"}, {IP: "2001:db8::7"}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		return
	}
	answer := w.answer
	if answer.Run == "" {
		_, answer.Run, _ = strings.Cut(pod.Spec.Containers[0].Args[2], "=")
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Error(err)
	}
	pod.Spec.NodeName = "a"
	end(pod, string(text))
}

// end lets a pod's container say something last.
func end(pod *corev1.Pod, message string) {
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Completed", Message: message,
	}}}}
}

func onEnd(which string, do func(*corev1.Pod)) func(*probeWorld) {
	return func(w *probeWorld) {
		w.runs = func(pod *corev1.Pod) {
			if pod.Labels[v1alpha1.LabelNetworkProbe] == which {
				do(pod)
			}
		}
	}
}

func waits(reason string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "because"}},
		}}}
	}
}

// failing makes a request fail.
func failing(verb, resource string, err error) func(*probeWorld) {
	return func(w *probeWorld) {
		w.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
	}
}

// TestARunTells what the client answered, from where to where, and leaves no pod behind.
func TestARunTells(t *testing.T) {
	both := []netprobe.Kind{netprobe.Ingress, netprobe.Egress}
	for name, c := range map[string]struct {
		answer netprobe.Answer
		want   netprobe.Outcome
	}{
		"enforced":     {netprobe.Answer{Result: netprobe.Enforced}, netprobe.Outcome{Result: netprobe.Enforced, From: "a", To: "b"}},
		"not enforced": {netprobe.Answer{Result: netprobe.NotEnforced, Directions: both}, netprobe.Outcome{Result: netprobe.NotEnforced, Directions: both, From: "a", To: "b"}},
		"inconclusive": {netprobe.Answer{Result: netprobe.Inconclusive, Why: "nothing goes through", Rounds: 5}, netprobe.Outcome{
			Result: netprobe.Inconclusive, From: "a", To: "b", Detail: "after 5 rounds",
			Why: "nothing goes through; take namespace hipaa-system-probe out of what policies of the whole cluster deny, and do not accept there: that overrides the policies that are tried",
		}},
	} {
		w := newProbeWorld(t)
		w.answer = c.answer
		if diff := cmp.Diff(c.want, w.probe.look(t.Context(), netprobe.Pair{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		want := []string{
			"create networkpolicies", "create networkpolicies", "create networkpolicies", "create pods", "create pods", "delete pods", "delete pods",
		}
		if diff := cmp.Diff(want, w.did); diff != "" {
			t.Errorf("%s: policies stand before pods start, and pods go (-want +got):\n%s", name, diff)
		}
		w.did = nil
		w.probe.look(t.Context(), netprobe.Pair{})
		if diff := cmp.Diff(want[3:], w.did); diff != "" {
			t.Errorf("%s, again: policies that stand are left alone (-want +got):\n%s", name, diff)
		}
	}
}

// TestObstacles: what keeps a run from telling anything, in words that stay the same; nothing stays behind.
func TestObstacles(t *testing.T) {
	podsOf := schema.GroupResource{Resource: "pods"}
	rbac := apierrors.NewForbidden(podsOf, "x", errors.New(`User "op" cannot create resource "pods" in API group "" in the namespace "hipaa-system-probe"`))
	security := apierrors.NewForbidden(podsOf, "x", errors.New(`violates PodSecurity "restricted:latest"`))
	says := func(words string) error { return apierrors.NewForbidden(podsOf, "x", errors.New(words)) }
	terminating := apierrors.NewForbidden(podsOf, "x", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	const refused = "the API server refused what the probe needs in namespace hipaa-system-probe (more in ConfigMap hipaa-system-probe/hipaa-network-probe)"
	for name, c := range map[string]struct {
		change       func(*probeWorld)
		why, details string
	}{
		"no namespace": {func(w *probeWorld) {
			_ = w.CoreV1().Namespaces().Delete(context.Background(), probeHome, metav1.DeleteOptions{})
		},
			"namespace hipaa-system-probe does not exist; make it, as config/network-probe does", "not found"},
		"a namespace that goes":      {failing("create", "pods", terminating), "namespace hipaa-system-probe is being deleted; make it anew, as config/network-probe does", "terminated"},
		"no right":                   {failing("create", "pods", rbac), "the operator may not do in namespace hipaa-system-probe what the probe needs; grant it what config/network-probe does", `User "op" cannot`},
		"no right to write policies": {failing("create", "networkpolicies", rbac), "the operator may not do in namespace hipaa-system-probe what the probe needs; grant it what config/network-probe does", `User "op" cannot`},
		"pod security":               {failing("create", "pods", security), refused, "violates PodSecurity"},
		"a policy of the platform":   {failing("create", "pods", says("ValidatingAdmissionPolicy 'p' with binding 'p' denied request: pods cannot run here")), refused, "cannot run"},
		"a policy about users": {failing("create", "pods", says(`ValidatingAdmissionPolicy 'p' with binding 'p' denied request: User "op" cannot run pods`)),
			refused, `User "op" cannot`},
		"no answer":               {failing("list", "pods", errors.New("EOF")), "the API server did not answer the operator's probe", "EOF"},
		"no answer in time":       {failing("list", "pods", apierrors.NewTimeoutError("slow", 1)), "the API server did not answer the operator's probe", "slow"},
		"no image":                {onEnd(endTarget, waits("ImagePullBackOff")), "the image of the probe's pods cannot be pulled (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "ImagePullBackOff: because"},
		"no image, yet":           {onEnd(endTarget, waits("ErrImagePull")), "the image of the probe's pods cannot be pulled (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "ErrImagePull: because"},
		"no image for the client": {onEnd(endClient, waits("ErrImagePull")), "the image of the probe's pods cannot be pulled (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "ErrImagePull: because"},
		"no container":            {onEnd(endTarget, waits("CreateContainerError")), "the probe's pods cannot be started (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "because"},
		"no node": {onEnd(endClient, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available",
			}}}
		}), "the probe's pods cannot be scheduled (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "0/3 nodes"},
		"a target that ends": {onEnd(endTarget, func(pod *corev1.Pod) { end(pod, "address in use") }),
			"the probe's target ended before it was connected to (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "address in use"},
		"a client without an answer": {onEnd(endClient, func(pod *corev1.Pod) { end(pod, "Killed"); pod.Status.Phase = corev1.PodFailed }),
			"the probe's client ended without an answer (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "Killed"},
		"a client that was evicted": {onEnd(endClient, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}
		}), "the probe's client ended without an answer (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", "pod Failed Evicted: low on memory"},
		"an answer of another run": {func(w *probeWorld) { w.answer.Run = "other" },
			"the probe's client ended without an answer (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", `"run":"other"`},
		"an unknown answer": {func(w *probeWorld) { w.answer.Result = "fine" },
			"the probe's client ended without an answer (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", `"result":"fine"`},
		"an answer that says nothing": {func(w *probeWorld) { w.answer.Result = netprobe.NotEnforced },
			"the probe's client ended without an answer (more in ConfigMap hipaa-system-probe/hipaa-network-probe)", `not_enforced`},
		"another policy": {func(w *probeWorld) { w.policy("allow-all", nil) },
			"namespace hipaa-system-probe holds network policies of somebody else; delete them", "allow-all"},
		"another policy while it ran": {func(w *probeWorld) { onEnd(endClient, func(*corev1.Pod) { w.policy("allow-all", nil) })(w) },
			"namespace hipaa-system-probe holds network policies of somebody else; delete them", "allow-all"},
		"a policy that was changed while it ran": {func(w *probeWorld) {
			onEnd(endClient, func(*corev1.Pod) { w.policy(probePolicyDeny, func(p *networkingv1.NetworkPolicy) { p.Generation = 3 }) })(w)
		}, "somebody changed the network policies of namespace hipaa-system-probe while the probe ran", "NetworkPolicy hipaa-network-probe-deny"},
		"a policy that was made anew while it ran": {func(w *probeWorld) {
			onEnd(endClient, func(*corev1.Pod) {
				w.policy(probePolicyClient, func(p *networkingv1.NetworkPolicy) { p.UID = "other" })
			})(w)
		}, "somebody changed the network policies of namespace hipaa-system-probe while the probe ran", "NetworkPolicy hipaa-network-probe-client"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newProbeWorld(t)
			c.change(w)
			o := w.probe.look(t.Context(), netprobe.Pair{})
			if o.Result != netprobe.Inconclusive || o.Why != c.why || !strings.Contains(o.Detail, c.details) {
				t.Errorf("it says %s, %q, %q; want %q, %q", o.Result, o.Why, o.Detail, c.why, c.details)
			}
			if pods, err := w.Tracker().List(corev1.SchemeGroupVersion.WithResource("pods"), corev1.SchemeGroupVersion.WithKind("Pod"), probeHome); err != nil || len(pods.(*corev1.PodList).Items) > 0 {
				t.Errorf("pods are left, error %v", err)
			}
		})
	}
}

// policy writes one as somebody else does, past what the operator sees of itself.
func (w *probeWorld) policy(name string, edit func(*networkingv1.NetworkPolicy)) {
	resource := networkingv1.SchemeGroupVersion.WithResource("networkpolicies")
	if edit == nil {
		_ = w.Tracker().Create(resource, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: probeHome, Name: name}}, probeHome)
		return
	}
	found, err := w.Tracker().Get(resource, probeHome, name)
	if err != nil {
		panic(err)
	}
	policy := found.(*networkingv1.NetworkPolicy).DeepCopy()
	edit(policy)
	_ = w.Tracker().Update(resource, policy, probeHome)
}

// TestANamespaceThatIsNotFit is told apart from one that is not there, and nothing is written to it.
func TestANamespaceThatIsNotFit(t *testing.T) {
	in := metav1.ObjectMeta{Namespace: "fir", Name: "prometheus-0", Labels: map[string]string{"app": "prometheus"}}
	for why, c := range map[string]struct {
		is    metav1.ObjectMeta
		holds []runtime.Object
	}{
		"namespace fir belongs to a tenant; name another one by --network-probe-namespace": {is: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelTenant: "acme"}}},
		"namespace fir is being deleted; make it anew, as config/network-probe does":       {is: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{Time: noon}, Finalizers: []string{"x/y"}}},
		"namespace fir holds pods of somebody else; remove them, or name another namespace by --network-probe-namespace": {holds: []runtime.Object{
			&corev1.Pod{ObjectMeta: in},
		}},
		"namespace fir holds network policies of somebody else; delete them": {holds: []runtime.Object{&networkingv1.NetworkPolicy{ObjectMeta: in}}},
	} {
		c.is.Name = "fir"
		w := newProbeWorld(t, append(c.holds, &corev1.Namespace{ObjectMeta: c.is})...)
		w.probe.Namespace = "fir"
		if o := w.probe.look(t.Context(), netprobe.Pair{}); o.Why != why || len(w.did) > 0 {
			t.Errorf("it says %q and did %v, want %q and nothing", o.Why, w.did, why)
		}
	}
}

// TestPoliciesSelectTheProbesPodsAlone: all of those are denied everything else, and whoever else is there is denied nothing.
func TestPoliciesSelectTheProbesPodsAlone(t *testing.T) {
	p := &NetworkProbe{Namespace: probeHome, Image: "op:1"}
	for name, policy := range probePolicies() {
		selector, err := metav1.LabelSelectorAsSelector(&policy.PodSelector)
		if err != nil {
			t.Fatal(err)
		}
		if selector.Matches(labels.Set{"app": "prometheus"}) {
			t.Errorf("%s selects a pod of somebody else", name)
		}
		for _, pod := range []*corev1.Pod{p.target("r", ""), p.client("r", listening("b"), "")} {
			if name == probePolicyDeny && !selector.Matches(labels.Set(pod.Labels)) {
				t.Errorf("%s does not select pod %s", name, pod.Name)
			}
		}
	}
}

// TestPoliciesAreBroughtInLine: what somebody added to one goes, although the operator has nothing of its own in its place.
func TestPoliciesAreBroughtInLine(t *testing.T) {
	w := newProbeWorld(t)
	w.probe.look(t.Context(), netprobe.Pair{})
	w.policy(probePolicyDeny, func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} })
	w.did = nil
	if o := w.probe.look(t.Context(), netprobe.Pair{}); o.Result != netprobe.Enforced || w.did[0] != "update networkpolicies" || w.did[1] != "create pods" {
		t.Errorf("outcome %+v after %v", o, w.did)
	}
	there, err := w.NetworkingV1().NetworkPolicies(probeHome).Get(t.Context(), probePolicyDeny, metav1.GetOptions{})
	if err != nil || len(there.Spec.Ingress) > 0 {
		t.Errorf("the deny policy has %+v, error %v", there.Spec, err)
	}
}

// TestLeftoversGo, those of a leader that was killed and whatever bears the label; each by its UID.
func TestLeftoversGo(t *testing.T) {
	pod := func(name string, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: probeHome, Name: name, UID: types.UID("u-" + name), Labels: labels}}
	}
	going := pod("going", map[string]string{v1alpha1.LabelNetworkProbe: endClient})
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: noon}, []string{"x/y"}
	w := newProbeWorld(t, pod("left", map[string]string{v1alpha1.LabelNetworkProbe: endTarget}), pod("posing", map[string]string{v1alpha1.LabelNetworkProbe: "x"}), going)
	if o := w.probe.look(t.Context(), netprobe.Pair{}); o.Result != netprobe.Enforced {
		t.Errorf("outcome %+v", o)
	}
	var deleted []string
	for _, a := range w.Actions() {
		if d, ok := a.(clienttesting.DeleteActionImpl); ok {
			if p := d.DeleteOptions.Preconditions; p == nil || string(*p.UID) != "u-"+d.Name {
				t.Errorf("pod %s is deleted whatever became of it: %+v", d.Name, p)
			}
			deleted = append(deleted, strings.TrimRight(d.Name, "abcdefghijklmnopqrstuvwxyz234567"))
		}
	}
	if want := []string{"", "", "hipaa-network-probe-client-", "hipaa-network-probe-target-"}; !slices.Equal(deleted, want) {
		t.Errorf("deleted %q", deleted)
	}
	if _, err := w.CoreV1().Pods(probeHome).Get(t.Context(), "going", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// TestLeftoversKeepNoRunBeyondItsTime: removing one takes as long as the API server does not answer.
func TestLeftoversKeepNoRunBeyondItsTime(t *testing.T) {
	var left []runtime.Object
	for i := range 5 {
		left = append(left, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: probeHome, Name: fmt.Sprintf("left-%d", i), Labels: map[string]string{v1alpha1.LabelNetworkProbe: endTarget},
		}})
	}
	w := newProbeWorld(t, left...)
	ctx, stop := context.WithCancelCause(t.Context())
	tried := 0
	w.PrependReactor("delete", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		tried++
		stop(errors.New("not within 2m0s"))
		return true, nil, context.DeadlineExceeded
	})
	o := w.probe.look(ctx, netprobe.Pair{})
	if tried != 1 || o.Why != "the API server did not answer the operator's probe" || o.Detail != "not within 2m0s" || slices.Contains(w.did, "create pods") {
		t.Errorf("%d pods were tried; outcome %+v after %v", tried, o, w.did)
	}
}

// TestARunIsBounded: a pod nothing becomes of ends the run, and goes with it, also when the operator is told to end.
func TestARunIsBounded(t *testing.T) {
	for _, which := range []string{endTarget, endClient} {
		w := newProbeWorld(t)
		onEnd(which, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "refused"}}}
		})(w)
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, errors.New("not within 2m0s"))
		err := w.probe.run(ctx, netprobe.Pair{}, &netprobe.Outcome{})
		stop()
		var o obstacle
		if !errors.As(err, &o) || o.why != "the probe's pods did not come to an end: not within 2m0s (more in ConfigMap hipaa-system-probe/hipaa-network-probe)" ||
			!strings.Contains(o.detail, which) || !strings.HasSuffix(o.detail, "is Running; Ready: refused") {
			t.Errorf("%s: error %v", which, err)
		}
		pods, err := w.CoreV1().Pods(probeHome).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) > 0 {
			t.Errorf("%s: %d pods are left, error %v", which, len(pods.Items), err)
		}
	}
}

// TestPodsAreFollowed: what becomes of a pod is seen as it happens, a pod that is deleted, or another by its name, is not waited for,
// and a watch that ends is begun anew.
func TestPodsAreFollowed(t *testing.T) {
	pods := corev1.SchemeGroupVersion.WithResource("pods")
	for name, c := range map[string]struct {
		then func(w *probeWorld, pod *corev1.Pod, seen *watch.RaceFreeFakeWatcher)
		why  string
	}{
		"it comes": {func(w *probeWorld, pod *corev1.Pod, seen *watch.RaceFreeFakeWatcher) {
			w.kubelet(t, pod)
			seen.Modify(pod)
		}, ""},
		"it goes": {func(_ *probeWorld, pod *corev1.Pod, seen *watch.RaceFreeFakeWatcher) {
			seen.Delete(pod)
		}, "somebody deleted the probe's pods in namespace hipaa-system-probe while they ran"},
		"the watch ends, and it has come": {func(w *probeWorld, pod *corev1.Pod, seen *watch.RaceFreeFakeWatcher) {
			w.kubelet(t, pod)
			if err := w.Tracker().Update(pods, pod, probeHome); err != nil {
				t.Error(err)
			}
			seen.Stop()
		}, ""},
		"the watch ends, and another pod has its name": {func(w *probeWorld, pod *corev1.Pod, seen *watch.RaceFreeFakeWatcher) {
			pod.UID = "other"
			if err := w.Tracker().Update(pods, pod, probeHome); err != nil {
				t.Error(err)
			}
			seen.Stop()
		}, "somebody deleted the probe's pods in namespace hipaa-system-probe while they ran"},
	} {
		w := newProbeWorld(t)
		var pending *corev1.Pod
		onEnd(endTarget, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
			pending = pod.DeepCopy()
		})(w)
		w.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
			seen := watch.NewRaceFreeFake()
			c.then(w, pending, seen)
			return true, seen, nil
		})
		if o := w.probe.look(t.Context(), netprobe.Pair{}); o.Why != c.why {
			t.Errorf("%s: outcome %+v", name, o)
		}
	}
}

// TestPodsAskForNothing: what pod security of level restricted demands, and no token, no file, no privilege besides.
func TestPodsAskForNothing(t *testing.T) {
	p := &NetworkProbe{Namespace: probeHome, Image: "op:1"}
	target, client := p.target("r", ""), p.client("r", listening("b"), "")
	for _, pod := range []*corev1.Pod{target, client} {
		s, c := pod.Spec, pod.Spec.Containers[0]
		if *s.AutomountServiceAccountToken || len(s.Volumes) > 0 || s.HostNetwork || len(s.Tolerations) > 0 || s.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s: %+v", pod.Name, s)
		}
		if !*s.SecurityContext.RunAsNonRoot || *s.SecurityContext.RunAsUser == 0 || s.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
			*c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem || !slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: %+v %+v", pod.Name, s.SecurityContext, c.SecurityContext)
		}
		if *s.ActiveDeadlineSeconds != 120 || c.Resources.Limits.Memory().Value() > 64<<20 || c.Image != "op:1" || s.ServiceAccountName != v1alpha1.AccountNetworkProbe {
			t.Errorf("%s: deadline %d, %+v, image %s, account %s", pod.Name, *s.ActiveDeadlineSeconds, c.Resources, c.Image, s.ServiceAccountName)
		}
	}
	if args := fmt.Sprint(client.Spec.Containers[0].Args); args != "[probe connect --run=r 192.0.2.7 2001:db8::7]" {
		t.Errorf("the client's arguments are %s", args)
	}
}

// listening is a target on a node.
func listening(node string) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "192.0.2.7"}, {IP: "2001:db8::7"}}}}
}

// preferred is the node a pod is to run on, and whether it keeps away from the target.
func preferred(t *testing.T, pod *corev1.Pod) (node string, apart bool) {
	t.Helper()
	a := pod.Spec.Affinity
	if a == nil {
		return "", false
	}
	if a.NodeAffinity != nil {
		terms := a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		if a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil || len(terms) != 1 || len(terms[0].Preference.MatchFields) != 1 ||
			terms[0].Preference.MatchFields[0].Key != "metadata.name" || len(terms[0].Preference.MatchExpressions) > 0 {
			t.Fatalf("node affinity %+v", a.NodeAffinity)
		}
		node = terms[0].Preference.MatchFields[0].Values[0]
	}
	return node, a.PodAntiAffinity != nil
}

// TestPodsGoWhereTheyAreWanted: both on the nodes of the pair; and the client on another node than the target's where the target is
// not where it was wanted, or nothing is wanted.
func TestPodsGoWhereTheyAreWanted(t *testing.T) {
	for name, c := range map[string]struct {
		wanted         netprobe.Pair
		target, client string // preferred nodes
		apart          bool
	}{
		"anywhere":             {netprobe.Pair{}, "", "", true},
		"two nodes":            {netprobe.Pair{From: "c", To: "b"}, "b", "c", true},
		"one node":             {netprobe.Pair{From: "b", To: "b"}, "b", "b", false},
		"a node that is full":  {netprobe.Pair{From: "c", To: "d"}, "d", "", true},
		"one node that is too": {netprobe.Pair{From: "d", To: "d"}, "d", "", true},
	} {
		w := newProbeWorld(t) // its target always runs on node b
		seen := map[string]*corev1.Pod{}
		w.runs = func(pod *corev1.Pod) { seen[pod.Labels[v1alpha1.LabelNetworkProbe]] = pod }
		if o := w.probe.look(t.Context(), c.wanted); o.Result != netprobe.Enforced {
			t.Fatalf("%s: outcome %+v", name, o)
		}
		if node, apart := preferred(t, seen[endTarget]); node != c.target || apart {
			t.Errorf("%s: the target is wanted on %q, apart from itself: %t; want %q", name, node, apart, c.target)
		}
		if node, apart := preferred(t, seen[endClient]); node != c.client || apart != c.apart {
			t.Errorf("%s: the client is wanted on %q, apart from the target: %t; want %q, %t", name, node, apart, c.client, c.apart)
		}
	}
}
