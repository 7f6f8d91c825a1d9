package controllers

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	kubefake "k8s.io/client-go/kubernetes/fake"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// bell is a queue that only tells who was put into it, and how much later the last of them is due.
type bell struct {
	queue
	mu    sync.Mutex
	rung  []string
	after time.Duration
}

// AddAfter notes a request.
func (b *bell) AddAfter(r reconcile.Request, after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung, b.after = append(b.rung, r.Name), after
}

// woken are the tenants woken since the last time, in order and once each.
func (b *bell) woken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.rung)
	names := slices.Compact(b.rung)
	b.rung = nil
	return names
}

// runningPod is bound to a node.
func runningPod(namespace, name, node string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u-1"}, Spec: corev1.PodSpec{NodeName: node}}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", Controller: new(true)}}
	return p
}

// put makes the watches know objects.
func put(t *testing.T, p *Placement, objects ...any) {
	t.Helper()
	for _, obj := range objects {
		informer, locate := p.pods, locatePod
		if _, volume := obj.(*corev1.PersistentVolume); volume {
			informer, locate = p.volumes, locateVolume
		}
		l, err := locate(obj)
		if err == nil {
			err = informer.GetIndexer().Add(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// somewhere is a placement of the tenants acme and birch, in a cluster with a node in each of two regions.
func somewhere(t *testing.T) (*Placement, *bell) {
	t.Helper()
	s := newStore(t, namespaceOf("acme", "acme", "u-acme", "open"), namespaceOf("acme-data", "acme", "u-acme", "open"), namespaceOf("birch", "birch", "u-birch", "open"))
	state := NewClusterState()
	state.setNodes(compile.NewSurvey([]compile.Node{
		{Name: "east", Region: compile.JudgeNode("us-east-1", ""), Ready: true}, {Name: "west", Region: compile.JudgeNode("us-west-2", ""), Ready: true},
	}))
	p := placementOver(s.cached(), state)
	b := &bell{}
	p.queue = b
	return p, b
}

func TestLocatePod(t *testing.T) {
	pod := runningPod("acme", "web", "east")
	pod.ResourceVersion, pod.Labels, pod.Spec.Containers = "7", map[string]string{"a": "b", v1alpha1.LabelChannel: "sms"}, make([]corev1.Container, 3)
	pod.Annotations = map[string]string{v1alpha1.AnnotationConfigHash: "c0ffee", v1alpha1.AnnotationInjectConfig: "false"}
	got, err := locatePod(pod)
	want := &locatedPod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "web", UID: "u-1", ResourceVersion: "7"},
		fact:       compile.Pod{Namespace: "acme", Name: "web", UID: "u-1", Node: "east", Controller: "ReplicaSet", Channel: "sms", Config: "c0ffee", Uninjected: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(locatedPod{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if again, err := locatePod(got); err != nil || again != got {
		t.Errorf("located again: %v, %v", again, err)
	}
	pod.DeletionTimestamp, pod.OwnerReferences = &metav1.Time{}, nil
	if got, err = locatePod(pod); err != nil || !got.(*locatedPod).fact.Leaving || got.(*locatedPod).fact.Controller != "" {
		t.Errorf("a pod that leaves, without a controller: %+v, %v", got, err)
	}
	for _, locate := range []toolscache.TransformFunc{locatePod, locateVolume} {
		gone := toolscache.DeletedFinalStateUnknown{Key: "a"}
		if got, err := locate(gone); err != nil || got != any(gone) {
			t.Errorf("%v becomes %v, %v", gone, got, err)
		}
	}
}

// TestStaticPods are those their kubelet mirrors, and no others that name a node as their controller.
func TestStaticPods(t *testing.T) {
	pod := runningPod("acme", "web", "east")
	pod.OwnerReferences[0].Kind = compile.StaticPod
	for _, want := range []string{"", compile.StaticPod} {
		got, err := locatePod(pod)
		if err != nil || got.(*locatedPod).fact.Controller != want {
			t.Errorf("with annotations %v the controller is %+v, %v; want %q", pod.Annotations, got, err, want)
		}
		pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
	}
}

// TestWhoIsWokenByAPod: only a tenant for whom it makes a difference.
func TestWhoIsWokenByAPod(t *testing.T) {
	pod := func(namespace, node string) *compile.Pod {
		return &compile.Pod{Namespace: namespace, Name: "web", UID: "u-1", Node: node, Config: "new"}
	}
	given := func(p *compile.Pod, config string) *compile.Pod { q := *p; q.Config = config; return &q }
	serving := func(p *compile.Pod, channel string) *compile.Pod { q := *p; q.Channel = channel; return &q }
	leaving := func(p *compile.Pod) *compile.Pod { q := *p; q.Leaving = true; return &q }
	again := func(p *compile.Pod) *compile.Pod { q := *p; q.UID = "u-2"; return &q }
	for name, tc := range map[string]struct {
		before, after *compile.Pod
		reported      int
		want          []string
	}{
		"comes, inside":                     {nil, pod("acme", "east"), 0, nil},
		"goes, inside":                      {pod("acme", "east"), nil, 0, nil},
		"comes, outside":                    {nil, pod("acme", "west"), 0, []string{"acme"}},
		"comes, outside, other namespace":   {nil, pod("acme-data", "west"), 0, []string{"acme"}},
		"goes, outside":                     {pod("acme", "west"), nil, 0, []string{"acme"}},
		"changes, outside":                  {pod("acme", "west"), pod("acme", "west"), 0, nil},
		"is made anew, outside":             {pod("acme", "east"), again(pod("acme", "west")), 0, []string{"acme"}},
		"is made anew, inside":              {pod("acme", "west"), again(pod("acme", "east")), 0, []string{"acme"}},
		"comes to a node nobody knows yet":  {nil, pod("acme", "north"), 0, nil},
		"goes, and others are misplaced":    {pod("acme", "east"), nil, 2, []string{"acme"}},
		"goes from a node that is gone":     {pod("acme", "north"), nil, 2, []string{"acme"}},
		"of a tenant nobody looked at yet":  {nil, pod("birch", "east"), 0, []string{"birch"}},
		"of nobody":                         {nil, pod("elsewhere", "west"), 0, nil},
		"that could not be read":            {nil, nil, 0, nil},
		"changes, while others are outside": {pod("acme", "east"), pod("acme", "east"), 2, nil},
		"comes, for a disabled channel":     {nil, serving(pod("acme", "east"), "sms"), 0, []string{"acme"}},
		"goes, of a disabled channel":       {serving(pod("acme", "east"), "sms"), nil, 0, []string{"acme"}},
		"comes, for another channel":        {nil, serving(pod("acme", "east"), "fax"), 0, nil},
		"takes up a disabled channel":       {pod("acme", "east"), serving(pod("acme", "east"), "sms"), 0, []string{"acme"}},
		"gives up a disabled channel":       {serving(pod("acme", "east"), "sms"), serving(pod("acme", "east"), "fax"), 0, []string{"acme"}},
		"comes, with an older config":       {nil, given(pod("acme", "east"), "old"), 0, []string{"acme"}},
		"comes, with no config":             {nil, given(pod("acme", "east"), ""), 0, []string{"acme"}},
		"goes, with an older config":        {given(pod("acme", "east"), "old"), nil, 0, []string{"acme"}},
		"with an older config leaves":       {given(pod("acme", "east"), "old"), leaving(given(pod("acme", "east"), "old")), 0, nil},
		"comes, where no config stands":     {nil, given(pod("acme-data", "east"), "old"), 0, nil},
		"takes up another channel":          {pod("acme", "east"), serving(pod("acme", "east"), "fax"), 0, nil},
	} {
		p, b := somewhere(t)
		if _, _, err := p.read("acme", []string{"us-east-1"}, nil); err != nil {
			t.Fatal(err)
		}
		p.judged("acme", &compile.Plan{
			Misplaced: make([]compile.Unwanted, tc.reported), Channels: []string{"sms"}, Config: map[string]string{"acme": "new"},
		})
		p.podChanged(t.Context(), tc.before, tc.after)
		if diff := cmp.Diff(tc.want, b.woken()); diff != "" {
			t.Errorf("a pod %s (-want +got):\n%s", name, diff)
		}
		p.forget("acme")
	}
}

// TestHowSoonATenantIsLookedAt: what is told within seconds is looked at before, and a rollout, which is only counted, once in
// a while.
func TestHowSoonATenantIsLookedAt(t *testing.T) {
	pod := compile.Pod{Namespace: "acme", Name: "web", UID: "u-1", Node: "east", Config: "new"}
	abroad, serving, old := pod, pod, pod
	abroad.Node, serving.Channel, old.Config = "west", "sms", "old"
	plan := &compile.Plan{Channels: []string{"sms"}, Config: map[string]string{"acme": "new"}}
	for name, tc := range map[string]struct {
		pod    compile.Pod
		judged bool
		want   time.Duration
	}{
		"outside":                           {abroad, true, wakeDelay},
		"of a disabled channel":             {serving, true, wakeDelay},
		"with an older config":              {old, true, tallyDelay},
		"as it should be":                   {pod, true, 0},
		"outside, meanwhile":                {abroad, false, wakeDelay},
		"of a disabled channel, meanwhile":  {serving, false, wakeDelay},
		"with an older config, meanwhile":   {old, false, unsureDelay},
		"as it should have been, meanwhile": {pod, false, unsureDelay},
	} {
		p, b := somewhere(t)
		look := func() {
			if _, _, err := p.read("acme", []string{"us-east-1"}, nil); err != nil {
				t.Fatal(err)
			}
		}
		look()
		p.judged("acme", plan)
		if !tc.judged {
			look()
		}
		p.podChanged(t.Context(), nil, &tc.pod)
		if b.after != tc.want {
			t.Errorf("a pod %s: its tenant is looked at after %s, want %s", name, b.after, tc.want)
		}
		p.forget("acme")
	}
}

// TestAPodThatComesWhileItsTenantIsJudged wakes it: the list may have been read before.
func TestAPodThatComesWhileItsTenantIsJudged(t *testing.T) {
	p, b := somewhere(t)
	if _, _, err := p.read("acme", []string{"us-east-1"}, nil); err != nil {
		t.Fatal(err)
	}
	p.podChanged(t.Context(), &compile.Pod{Namespace: "acme", Node: "east"}, nil)
	if diff := cmp.Diff([]string{"acme"}, b.woken()); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}

func TestWhoIsWokenByAVolume(t *testing.T) {
	volume := func(namespace string, regions ...string) *compile.Volume {
		return &compile.Volume{Name: "pv", Namespace: namespace, Regions: regions}
	}
	for name, tc := range map[string]struct {
		before, after *compile.Volume
		want          []string
	}{
		"comes":           {nil, volume("acme"), []string{"acme"}},
		"goes":            {volume("acme"), nil, []string{"acme"}},
		"is claimed":      {volume(""), volume("acme"), []string{"acme"}},
		"changes hands":   {volume("birch"), volume("acme"), []string{"acme", "birch"}},
		"lies elsewhere":  {volume("acme", "a"), volume("acme", "b"), []string{"acme"}},
		"stays as it is":  {volume("acme", "a"), volume("acme", "a"), nil},
		"is nobody's":     {nil, volume("elsewhere"), nil},
		"is not claimed":  {nil, volume(""), nil},
		"is not readable": {nil, nil, nil},
	} {
		p, b := somewhere(t)
		p.volumeChanged(t.Context(), tc.before, tc.after)
		if diff := cmp.Diff(tc.want, b.woken()); diff != "" {
			t.Errorf("a volume that %s (-want +got):\n%s", name, diff)
		}
	}
}

// TestANodeThatMovesWakesThoseOnIt and nobody else, however many tenants there are.
func TestANodeThatMovesWakesThoseOnIt(t *testing.T) {
	west := node("west", "us-west-2", readyNow)
	s := newStore(t, namespaceOf("acme", "acme", "u-acme", "open"), namespaceOf("birch", "birch", "u-birch", "open"), node("east", "us-east-1", readyNow), west)
	r := nodeReconciler(s.cached())
	b := &bell{}
	r.Placement.queue = b
	put(t, r.Placement, runningPod("acme", "web", "west"), runningPod("birch", "web", "east"), runningPod("elsewhere", "web", "west"))
	look := func() []string {
		t.Helper()
		if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err != nil {
			t.Fatal(err)
		}
		return b.woken()
	}
	if got := look(); len(got) != 0 {
		t.Errorf("the first survey wakes %v; every tenant is looked at then anyway", got)
	}
	for _, change := range []func(){
		func() { west.Labels[corev1.LabelTopologyRegion] = "eu-west-1" },
		func() { west.Spec.ProviderID = "aws:///us-west-2a/i-0" },
		func() { delete(west.Labels, corev1.LabelTopologyRegion) },
	} {
		change()
		if err := s.Update(t.Context(), west); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"acme"}, look()); diff != "" {
			t.Errorf("a node that moved wakes (-want +got):\n%s", diff)
		}
	}
	if got := look(); len(got) != 0 {
		t.Errorf("nothing moved, and %v are woken", got)
	}
}

// TestHeartbeatsOfNodesWakeNobody.
func TestHeartbeatsOfNodesWakeNobody(t *testing.T) {
	changed := func(change func(*corev1.Node)) bool {
		before := node("a", "us-east-1", readyNow)
		after := before.DeepCopy()
		change(after)
		return nodeChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Node)
		want   bool
	}{
		"a heartbeat":   {func(n *corev1.Node) { n.ResourceVersion = "8" }, false},
		"another label": {func(n *corev1.Node) { n.Labels["team"] = "x" }, false},
		"a region":      {func(n *corev1.Node) { n.Labels[corev1.LabelTopologyRegion] = "eu-west-1" }, true},
		"an identifier": {func(n *corev1.Node) { n.Spec.ProviderID = "aws:///eu-west-1a/i-0" }, true},
		"cordoned":      {func(n *corev1.Node) { n.Spec.Unschedulable = true }, true},
		"not ready":     {func(n *corev1.Node) { n.Status.Conditions = nil }, true},
	} {
		if got := changed(tc.change); got != tc.want {
			t.Errorf("%s: a survey is made = %t, want %t", name, got, tc.want)
		}
	}
}

func TestReadListsOwnNamespacesOnly(t *testing.T) {
	p, _ := somewhere(t)
	abroad := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-1"}}
	abroad.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "acme", Name: "records"}
	put(t, p, runningPod("acme", "a", "east"), runningPod("acme-data", "b", "west"), runningPod("birch", "c", "west"), runningPod("open", "d", "west"), abroad)
	owned := func(tenant string) compile.Namespace {
		return compile.Namespace{Labels: map[string]string{v1alpha1.LabelTenant: tenant}}
	}
	pods, volumes, err := p.read("acme", nil, map[string]compile.Namespace{"acme": owned("acme"), "acme-data": owned(""), "birch": owned("birch")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pod := range pods {
		names = append(names, pod.String())
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"acme-data/b", "acme/a"}, names); diff != "" || len(volumes) != 1 {
		t.Errorf("volumes %v, pods (-want +got):\n%s", volumes, diff)
	}
}

// TestThePlacementIsWatched by informers: what is there at the start wakes nobody, what comes and goes later does.
func TestThePlacementIsWatched(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var api kubernetes.Interface = kubefake.NewClientset(runningPod("acme", "old", "west"))
	s := newStore(t, namespaceOf("acme", "acme", "u-acme", "open"))
	p, err := NewPlacement(api, s.cached(), NewClusterState())
	if err != nil {
		t.Fatal(err)
	}
	p.wake("acme", wakeDelay) // nobody listens yet
	b := &bell{}
	if err := p.Start(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	if pods, _, err := p.read("acme", nil, map[string]compile.Namespace{"acme": {}}); err != nil || len(pods) != 1 || pods[0].Node != "west" {
		t.Errorf("pods %v, error %v", pods, err)
	}
	if got := b.woken(); len(got) != 0 {
		t.Errorf("what was there wakes %v", got)
	}
	for what, do := range map[string]func() error{
		"a pod": func() error {
			_, err := api.CoreV1().Pods("acme").Create(ctx, runningPod("acme", "new", "west"), metav1.CreateOptions{})
			return err
		},
		"the end of a pod": func() error { return api.CoreV1().Pods("acme").Delete(ctx, "old", metav1.DeleteOptions{}) },
		"a volume": func() error {
			pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}}
			pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "acme", Name: "x"}
			_, err := api.CoreV1().PersistentVolumes().Create(ctx, pv, metav1.CreateOptions{})
			return err
		},
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		heard := func(context.Context) (bool, error) { return len(b.woken()) > 0, nil }
		if err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 10*time.Second, true, heard); err != nil {
			t.Fatalf("%s wakes nobody: %v", what, err)
		}
	}
}

func TestPodsThatCannotBeListedStopTheController(t *testing.T) {
	p, _ := somewhere(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.WaitForSync(ctx); err == nil {
		t.Error("no error, so tenants would be judged without their pods")
	}
}
