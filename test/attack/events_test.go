package attack

import (
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// eventLog remembers every event of the cluster, so that thousands of attempts need not ask for them.
type eventLog struct {
	stop context.CancelFunc
	mu   sync.Mutex
	seen []seenEvent
}

type seenEvent struct {
	reason, name, message string
}

func watchEvents(kube kubernetes.Interface) *eventLog {
	ctx, cancel := context.WithCancel(context.Background())
	log := &eventLog{stop: cancel}
	factory := informers.NewSharedInformerFactory(kube, 0)
	remember := func(object any) {
		e := object.(*corev1.Event)
		log.mu.Lock()
		defer log.mu.Unlock()
		log.seen = append(log.seen, seenEvent{e.Reason, e.InvolvedObject.Name, e.Message})
	}
	_, err := factory.Core().V1().Events().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: remember, UpdateFunc: func(_, object any) { remember(object) },
	})
	if err != nil {
		panic(err) // only after the informer was stopped
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return log
}

// tells says whether an event of this reason, with this text in its message, was seen.
func (l *eventLog) tells(reason, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.seen, func(e seenEvent) bool { return e.reason == reason && strings.Contains(e.message, text) })
}

// messages are those of the events of this reason about an object of this name, or one made of it.
func (l *eventLog) messages(reason, name string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, e := range l.seen {
		if e.reason == reason && (e.name == name || strings.HasPrefix(e.name, name+"-")) {
			out = append(out, e.message)
		}
	}
	return out
}
