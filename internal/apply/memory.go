package apply

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// standing is what is known of a live object.
type standing struct {
	uid     types.UID
	version string
	digest  string
	at      time.Time // of the write
}

// trust is how long a write is believed to stand although the cache does not show the object. Caches catch up within
// milliseconds; one that does not within this time may have missed a deletion.
const trust = 5 * time.Second

// memory bridges the time between a write and its echo in the cache. It forgets as soon as the cache has caught up, so
// it stays small.
type memory struct {
	mu      sync.Mutex
	written map[v1alpha1.ObjectRef]standing
}

func (m *memory) remember(ref v1alpha1.ObjectRef, s standing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.written == nil {
		m.written = map[v1alpha1.ObjectRef]standing{}
	}
	m.written[ref] = s
}

func (m *memory) forget(ref v1alpha1.ObjectRef) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.written, ref)
}

func (m *memory) recall(ref v1alpha1.ObjectRef) (standing, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.written[ref]
	return s, ok
}

// Echo says whether an object that the cache delivers is what this process wrote last, and forgets the write. The echo
// of a write is no news; anything else is.
func (a *Applier) Echo(obj client.Object) bool {
	ref := RefOf(obj)
	s, ok := a.memory.recall(ref)
	if !ok {
		return false
	}
	if newer(s.version, obj.GetResourceVersion()) {
		return true // an older state than the one just written; the echo is still to come
	}
	a.memory.forget(ref)
	return s.version == obj.GetResourceVersion()
}

// Changed says whether an update that the cache delivers is news: not the echo of a write, and not a change of what is
// nobody's but the object's own, such as the usage that a quota notes with every pod. What came instead of an awaited echo is
// news however little it differs from the state before the write, and so is a resync.
func (a *Applier) Changed(before, after client.Object) bool {
	_, awaited := a.memory.recall(RefOf(after))
	return !a.Echo(after) && (awaited || !alike(before, after))
}

// alike says that two states in the cache are one to the operator.
func alike(before, after client.Object) bool {
	was, known := strippedDigest(before)
	is, stripped := strippedDigest(after)
	return known && stripped && was == is && before.GetUID() == after.GetUID() &&
		before.GetDeletionTimestamp().Equal(after.GetDeletionTimestamp()) && before.GetResourceVersion() != after.GetResourceVersion()
}

// Gone forgets a write to an object the cache saw deleted.
func (a *Applier) Gone(obj client.Object) { a.memory.forget(RefOf(obj)) }

// newer says that resource version a is younger than b. Versions of one kind are comparable (KEP-5504); those that
// cannot be parsed are never called newer.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}
