package controllers

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

func announcements(s *ClusterState) int {
	n := 0
	for {
		select {
		case <-s.changed:
			n++
		default:
			return n
		}
	}
}

func TestClusterStateIsKnownOnceAllWasLookedAt(t *testing.T) {
	looks := []func(*ClusterState){
		func(s *ClusterState) { s.setAdmission([]string{}) },
		func(s *ClusterState) { s.setNodes(ready(map[string]int{})) },
		func(s *ClusterState) { s.setStorageClasses(map[string]compile.StorageClass{}) },
		func(s *ClusterState) { s.setExtensions(map[string]extension.API{}) },
	}
	for mask := range 1 << len(looks) {
		s := NewClusterState()
		for i, look := range looks {
			if mask&(1<<i) != 0 {
				look(s)
			}
		}
		if want := mask == 1<<len(looks)-1; s.Known() != want {
			t.Errorf("known: %t after the looks %04b; none of each is an answer too, and all have to be looked at", s.Known(), mask)
		}
	}
}

// TestClusterStateAnnouncesChanges and nothing else: an announcement reconciles every tenant.
func TestClusterStateAnnouncesChanges(t *testing.T) {
	s := NewClusterState()
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"the policies are looked at", func() { s.setAdmission([]string{}) }, 1},
		{"nothing changed", func() { s.setAdmission([]string{}) }, 0},
		{"one is missing", func() { s.setAdmission([]string{"a"}) }, 1},
		{"it is still missing", func() { s.setAdmission([]string{"a"}) }, 0},
		{"another is missing too", func() { s.setAdmission([]string{"a", "b"}) }, 1},
		{"all are back", func() { s.setAdmission([]string{}) }, 1},
		{"the nodes are looked at", func() { s.setNodes(ready(map[string]int{})) }, 1},
		{"there are still none", func() { s.setNodes(ready(map[string]int{})) }, 0},
		{"a region gains its first", func() { s.setNodes(ready(map[string]int{"a": 1})) }, 1},
		{"and a second", func() { s.setNodes(ready(map[string]int{"a": 2})) }, 0},
		{"another region gains one", func() { s.setNodes(ready(map[string]int{"a": 1, "b": 1})) }, 1},
		{"the regions change places", func() { s.setNodes(ready(map[string]int{"a": 1, "c": 1})) }, 1},
		{"the last ones are lost", func() { s.setNodes(ready(map[string]int{})) }, 1},
		{"nothing but a label vouches", func() { s.setNodes(&compile.Survey{ByLabelAlone: map[string]bool{"a": true}}) }, 1},
		{"still", func() { s.setNodes(&compile.Survey{ByLabelAlone: map[string]bool{"a": true}}) }, 0},
		{"a node is disputed", func() { s.setNodes(&compile.Survey{Disputed: map[string][]string{"a": {"n"}}}) }, 1},
		{"still", func() { s.setNodes(&compile.Survey{Disputed: map[string][]string{"a": {"n"}}}) }, 0},
		{"another instead", func() { s.setNodes(&compile.Survey{Disputed: map[string][]string{"a": {"m"}}}) }, 1},
		{"none any more", func() { s.setNodes(ready(map[string]int{})) }, 1},
		{"the storage classes are looked at", func() { s.setStorageClasses(map[string]compile.StorageClass{}) }, 1},
		{"there are still none", func() { s.setStorageClasses(map[string]compile.StorageClass{}) }, 0},
		{"one is made", func() { s.setStorageClasses(map[string]compile.StorageClass{"a": {Encryption: compile.CustomerKey}}) }, 1},
		{"it is the same", func() { s.setStorageClasses(map[string]compile.StorageClass{"a": {Encryption: compile.CustomerKey}}) }, 0},
		{"it is made anew", func() { s.setStorageClasses(map[string]compile.StorageClass{"a": {Encryption: compile.NotEncrypted}}) }, 1},
		{"the optional APIs are looked at", func() { s.setExtensions(map[string]extension.API{}) }, 1},
		{"one is served", func() { s.setExtensions(map[string]extension.API{"a": {State: extension.Served}}) }, 1},
		{"it still is", func() { s.setExtensions(map[string]extension.API{"a": {State: extension.Served}}) }, 0},
		{"with another field", func() {
			s.setExtensions(map[string]extension.API{"a": {State: extension.Served, Fields: []string{"f"}}})
		}, 1},
		{"it is gone", func() { s.setExtensions(map[string]extension.API{"a": {State: extension.Absent}}) }, 1},
	} {
		step.do()
		if got := announcements(s); got != step.want {
			t.Errorf("%s: %d announcements, want %d", step.what, got, step.want)
		}
	}
	s.setNodes(ready(map[string]int{"a": 7}))
	if diff := cmp.Diff(map[string]int{"a": 7}, s.Nodes().Ready); diff != "" {
		t.Errorf("ready nodes (-want +got):\n%s", diff)
	}
}

// TestClusterStateNeverBlocks: with nobody listening, and everybody talking at once.
func TestClusterStateNeverBlocks(t *testing.T) {
	s := NewClusterState()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 500 {
				if (i+n)%2 == 0 {
					s.setAdmission([]string{})
					s.setNodes(ready(map[string]int{"a": 1}))
				} else {
					s.setAdmission([]string{"missing"})
					s.setNodes(ready(map[string]int{}))
				}
				s.Known()
				s.Admission()
				s.Nodes()
			}
		})
	}
	group.Wait()
	if got := announcements(s); got == 0 || got > cap(s.changed) {
		t.Errorf("%d announcements wait, want at least one and at most %d", got, cap(s.changed))
	}
}

// TestClusterStateIsCopied: who reads it cannot change it.
func TestClusterStateIsCopied(t *testing.T) {
	s := NewClusterState()
	s.setAdmission([]string{"a"})
	s.Admission()[0] = "x"
	if s.Admission()[0] != "a" {
		t.Errorf("a reader changed the state to %v", s.Admission())
	}
}

func ready(counts map[string]int) *compile.Survey { return &compile.Survey{Ready: counts} }
