package controllers

import (
	"maps"
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// ClusterState is what holds for every tenant at once: which admission policies are not as shipped, and which regions
// have ready nodes. Two small controllers keep it; every tenant is reconciled when it changes.
type ClusterState struct {
	mu       sync.RWMutex
	problems []string
	nodes    map[string]int
	changed  chan event.GenericEvent
}

// NewClusterState begins with nothing looked at.
func NewClusterState() *ClusterState {
	return &ClusterState{changed: make(chan event.GenericEvent, 16)}
}

// Known says that the policies and the nodes have been looked at. Before that nothing can be said of any tenant.
func (s *ClusterState) Known() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.problems != nil && s.nodes != nil
}

// Admission lists what is wrong with the admission policies; empty when nothing is.
func (s *ClusterState) Admission() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.problems)
}

// ReadyNodes counts ready nodes by region; a region without any is missing.
func (s *ClusterState) ReadyNodes() map[string]int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.nodes)
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

// setReadyNodes takes a map that is not nil. Tenants are reconciled only when a region gains its first ready node or
// loses its last one.
func (s *ClusterState) setReadyNodes(nodes map[string]int) {
	s.mu.Lock()
	same := s.nodes != nil && slices.Equal(slices.Sorted(maps.Keys(s.nodes)), slices.Sorted(maps.Keys(nodes)))
	s.nodes = nodes
	s.mu.Unlock()
	if !same {
		s.announce()
	}
}

// announce never blocks: when the buffer is full an announcement is already under way, and it will find this change.
func (s *ClusterState) announce() {
	select {
	case s.changed <- event.GenericEvent{Object: &v1alpha1.HIPAATenant{}}:
	default:
	}
}
