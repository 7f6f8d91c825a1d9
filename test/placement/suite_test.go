package placement

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// Least figures: below them, the suite has not tested what it says.
const (
	leastPods         = 2000
	leastBoundPercent = 60
	leastRefused      = 400 // bindings
	leastGone         = 5   // nodes
)

func TestPlacement(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "placement")
}

var _ = ReportAfterSuite("failures", failed.Report)

// What has happened when the specs begin.
var (
	happened *world
	gone     int
	judged   int
	outside  []string
)

var _ = BeforeSuite(func(ctx context.Context) {
	log.SetLogger(GinkgoLogr) // warnings of the API server
	began := time.Now()
	lap := func(what string) { fmt.Fprintf(GinkgoWriter, "%6.1f s %s\n", time.Since(began).Seconds(), what) }
	c, err := cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true, Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(c.Stop()).To(Succeed()) })
	lap("control plane")
	d := newDraw(GinkgoRandomSeed())
	happened, err = newWorld(ctx, c, d)
	Expect(err).NotTo(HaveOccurred())
	lap("world")
	gone, err = happened.run(ctx, d)
	if err != nil {
		c.KeepLogs()
	}
	lap("all pods in place")
	happened.history.end()
	judged, outside = happened.history.outside()
	report.Line("placement: pods=%d outside=%d", judged, len(outside))
	fmt.Print(summary())
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(8*time.Minute))

var _ = It("binds no pod outside, at any revision", func() {
	Expect(outside).To(BeEmpty())
	Expect(judged).To(BeNumerically(">=", leastPods))
})

var _ = It("refuses what a hostile scheduler binds outside, and nothing else", func() {
	Expect(happened.hostile.wrong).To(BeEmpty())
	for _, t := range tricks {
		Expect(happened.hostile.refused[t.name]).To(BeNumerically(">", 0), t.name)
	}
	inside, refused, _ := happened.hostile.count()
	Expect(inside).To(BeNumerically(">", 0))
	Expect(refused).To(BeNumerically(">=", leastRefused))
})

var _ = It("binds the pods that have a place inside", func() {
	of := happened.tally(labelClass)
	all := of[""]
	Expect(100 * all.bound / all.pods).To(BeNumerically(">=", leastBoundPercent))
	for _, c := range allClasses() {
		Expect(of[c.name].pods).To(BeNumerically(">", 0), c.name)
		if c.fate == bound {
			Expect(of[c.name].bound).To(BeNumerically(">", 0), c.name)
		}
	}
	for _, made := range []string{"created", "generated", "applied", "deployment", "statefulset", "job", "daemonset"} {
		Expect(happened.tally(labelMade)[made].bound).To(BeNumerically(">", 0), made)
	}
})

var _ = It("leaves pods unbound that have no place inside, and says why", func(ctx context.Context) {
	fates := map[string]fate{}
	for _, c := range allClasses() {
		fates[c.name] = c.fate
	}
	explained := map[string]bool{}
	for _, p := range happened.history.pods {
		class := p.labels[labelClass]
		if fates[class] != never {
			continue
		}
		Expect(p.bound()).To(BeFalse(), "%s/%s of class %s", p.namespace, p.name, class)
		if refused := strings.HasPrefix(p.last().waiting, "SchedulingGated"); refused || explained[class] {
			continue
		}
		explained[class] = true
		Expect(p.last().waiting).To(MatchRegexp(`Unschedulable: 0/\d+ nodes are available: .*didn't match`), "%s/%s of class %s", p.namespace, p.name, class)
		Eventually(ctx, happened.event).WithArguments(p).Should(MatchRegexp(`0/\d+ nodes are available: .*didn't match`))
	}
	Expect(len(explained)).To(BeNumerically(">=", len(stray)))
})

var _ = It("refuses pods that name their node, and gated pods that want more", func() {
	Expect(happened.refused["spec.nodeName at create"]).To(BeNumerically(">", 0))
	Expect(happened.refused["wider gated pods"]).To(BeNumerically(">", 0))
})

var _ = It("lets pods of nobody's tenant land in every region", func() {
	Expect(happened.tally(labelClass)["anchor"]).To(Equal(tally{pods: len(regions) + 1, bound: len(regions) + 1}))
})

var _ = It("has seen pods preempted, and nodes gone", func() {
	preempted := 0
	for _, p := range happened.history.pods {
		if slices.ContainsFunc(p.revisions, func(r podRevision) bool { return r.preempted }) {
			preempted++
		}
	}
	Expect(preempted).To(BeNumerically(">", 0))
	Expect(gone).To(BeNumerically(">=", leastGone))
})

func allClasses() []class {
	all := slices.Concat(lawful, stray, []class{unbalanced, gatedBefore.class})
	for _, g := range gates {
		all = append(all, g.class)
	}
	return all
}

// tally counts pods.
type tally struct{ pods, bound int }

// tally counts pods by a label; those of tenants also under "".
func (w *world) tally(label string) map[string]tally {
	of := map[string]tally{}
	for _, p := range w.history.pods {
		keys := []string{p.labels[label], ""}
		if p.namespace == anchors {
			keys = keys[:1]
		}
		for _, key := range keys {
			t := of[key]
			t.pods++
			if p.bound() {
				t.bound++
			}
			of[key] = t
		}
	}
	return of
}

// event is what the scheduler told the pod's owner.
func (w *world) event(ctx context.Context, p *podHistory) (string, error) {
	events, err := w.kube.CoreV1().Events(p.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "reason=FailedScheduling,involvedObject.name=" + p.name,
	})
	if err != nil || len(events.Items) == 0 {
		return "", err
	}
	return slices.MaxFunc(events.Items, func(a, b corev1.Event) int { return cmp.Compare(version(&a), version(&b)) }).Message, nil
}

// summary says what has happened, for people.
func summary() string {
	var s strings.Builder
	inside, refused, others := happened.hostile.count()
	revisions := 0
	for _, p := range happened.history.pods {
		revisions += len(p.revisions)
	}
	fmt.Fprintf(&s, "\nseed %d: %d revisions; bindings of the hostile scheduler: %d bound, %d refused, %d too late; refused besides: %v; %d nodes gone\n",
		GinkgoRandomSeed(), revisions, inside, refused, others, happened.refused, gone)
	for _, label := range []string{labelMade, labelClass} {
		of := happened.tally(label)
		for _, key := range slices.Sorted(maps.Keys(of)) {
			fmt.Fprintf(&s, "%6d pods %6d bound  %s\n", of[key].pods, of[key].bound, cmp.Or(key, "all"))
		}
	}
	for _, found := range outside[:min(10, len(outside))] {
		fmt.Fprintln(&s, found)
	}
	return s.String()
}
