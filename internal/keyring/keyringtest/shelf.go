package keyringtest

import (
	"bytes"
	"context"
	"sync"
)

// Shelf is a store of software keys in memory, for package local. It counts, and can be told to fail.
type Shelf struct {
	// Fail is what every call answers; nil when all is well. Set it while nobody asks.
	Fail error
	// BeforeCreate runs once, before the next Create: somebody else at the same moment.
	BeforeCreate func(name string)
	// Gets and Creates count calls.
	Gets, Creates int
	// Keys by name. Touch them while nobody asks.
	Keys map[string][]byte

	mu sync.Mutex
}

// NewShelf returns an empty one.
func NewShelf() *Shelf { return &Shelf{Keys: map[string][]byte{}} }

// Get returns a copy, which the caller clears.
func (s *Shelf) Get(_ context.Context, name string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Gets++
	key, found := s.Keys[name]
	return bytes.Clone(key), found, s.Fail
}

// Create keeps the key that came first.
func (s *Shelf) Create(_ context.Context, name string, key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Creates++
	if before := s.BeforeCreate; before != nil {
		s.BeforeCreate = nil
		before(name)
	}
	if _, found := s.Keys[name]; !found && s.Fail == nil {
		s.Keys[name] = bytes.Clone(key)
	}
	return s.Fail
}

// Delete drops the key.
func (s *Shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Fail == nil {
		delete(s.Keys, name)
	}
	return s.Fail
}
