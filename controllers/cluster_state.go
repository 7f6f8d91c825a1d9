package controllers

import (
	"maps"
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// ClusterState is what holds for every tenant at once: which admission policies are not as shipped, which regions have
// nodes, how storage classes encrypt, how API servers store Secrets, whether the network plug-in enforces policies, and which optional APIs are
// served. Small controllers keep it; every tenant is reconciled when it changes.
type ClusterState struct {
	mu       sync.RWMutex
	problems []string
	nodes    *compile.Survey
	classes  map[string]compile.StorageClass
	atRest   *atrest.Verdict
	network  *netprobe.Verdict
	apis     map[string]extension.API
	changed  chan event.GenericEvent
}

// NewClusterState begins with nothing looked at.
func NewClusterState() *ClusterState {
	return &ClusterState{changed: make(chan event.GenericEvent, 16)}
}

// Known says that the policies, the nodes, the storage classes and the optional APIs have been looked at. Before that nothing
// can be said of any tenant.
func (s *ClusterState) Known() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.problems != nil && s.nodes != nil && s.classes != nil && s.apis != nil
}

// Admission lists what is wrong with the admission policies; empty when nothing is.
func (s *ClusterState) Admission() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.problems)
}

// Nodes are the nodes and their regions; nil before they were looked at. Nobody changes what it returns.
func (s *ClusterState) Nodes() *compile.Survey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes
}

// setAdmission takes a list that is not nil.
func (s *ClusterState) setAdmission(problems []string) {
	s.mu.Lock()
	same := s.problems != nil && slices.Equal(s.problems, problems)
	s.problems = problems
	s.mu.Unlock()
	if !same {
		s.announce()
	}
}

// setNodes takes a survey that nobody changes any more, and returns which nodes are elsewhere than before. All tenants
// are reconciled only when a region gains its first ready node or loses its last one, or when what vouches for a region
// changes.
func (s *ClusterState) setNodes(nodes *compile.Survey) (moved []string) {
	s.mu.Lock()
	before := s.nodes
	s.nodes = nodes
	s.mu.Unlock()
	if before == nil {
		s.announce()
		return nil
	}
	if !maps.EqualFunc(before.Ready, nodes.Ready, func(int, int) bool { return true }) ||
		!maps.Equal(before.ByLabelAlone, nodes.ByLabelAlone) ||
		!maps.EqualFunc(before.Disputed, nodes.Disputed, slices.Equal[[]string]) {
		s.announce()
	}
	return before.Moved(nodes)
}

// StorageClasses are those that exist; nil before they were looked at. Nobody changes what it returns.
func (s *ClusterState) StorageClasses() map[string]compile.StorageClass {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.classes
}

// setStorageClasses takes a map that is not nil and that nobody changes any more.
func (s *ClusterState) setStorageClasses(classes map[string]compile.StorageClass) {
	s.mu.Lock()
	same := s.classes != nil && maps.Equal(s.classes, classes)
	s.classes = classes
	s.mu.Unlock()
	if !same {
		s.announce()
	}
}

// Extensions are the optional APIs, by kind; nil before they were looked at. Nobody changes what it returns.
func (s *ClusterState) Extensions() map[string]extension.API {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.apis
}

// setExtensions takes a map that is not nil and that nobody changes any more.
func (s *ClusterState) setExtensions(apis map[string]extension.API) {
	s.mu.Lock()
	same := s.apis != nil && maps.EqualFunc(s.apis, apis, extension.API.Equal)
	s.apis = apis
	s.mu.Unlock()
	if !same {
		s.announce()
	}
}

// AtRest is how API servers store Secrets; nil before that was observed. Nobody changes what it returns.
func (s *ClusterState) AtRest() *atrest.Verdict {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.atRest
}

// setAtRest says whether the verdict is another one than before.
func (s *ClusterState) setAtRest(verdict atrest.Verdict) (changed bool) {
	return setVerdict(s, &s.atRest, verdict)
}

// Network is whether the network plug-in enforces policies; nil before anything was said of it. Nobody changes what it returns.
func (s *ClusterState) Network() *netprobe.Verdict {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.network
}

// setNetwork says whether the verdict is another one than before.
func (s *ClusterState) setNetwork(verdict netprobe.Verdict) (changed bool) {
	return setVerdict(s, &s.network, verdict)
}

// setVerdict puts a verdict in its place, and announces one that is another than before.
func setVerdict[V comparable](s *ClusterState, place **V, verdict V) (changed bool) {
	s.mu.Lock()
	changed = *place == nil || **place != verdict
	*place = &verdict
	s.mu.Unlock()
	if changed {
		s.announce()
	}
	return changed
}

// announce never blocks: when the buffer is full an announcement is already under way, and it will find this change.
func (s *ClusterState) announce() {
	select {
	case s.changed <- event.GenericEvent{Object: &v1alpha1.HIPAATenant{}}:
	default:
	}
}
