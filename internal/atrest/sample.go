package atrest

import (
	"errors"
	"maps"
	"slices"
)

// Sample is what one API server did with a Secret that was written to it.
type Sample struct {
	// Server, Process and Config are those of its scrapes.
	Server, Process, Config string
	// Writers are the prefixes of the transformers that writes of Secrets went through, sorted; "" is plaintext.
	Writers []string
	// Readers are those that Secrets read from etcd went through since the server started, sorted; "identity" is
	// plaintext.
	Readers []string
	// Unnamed: no transformer was asked, because the configuration is missing or does not name Secrets.
	Unnamed bool
}

// Reasons why two scrapes are no sample. Another attempt may give one.
var (
	// ErrAnotherServer: the scrapes come from two processes.
	ErrAnotherServer = errors.New("expected the same API server before and after the write, found two")
	// ErrNotSeen: the write went to another server, or is not counted yet.
	ErrNotSeen = errors.New("expected the API server to count the write of a Secret, found no change")
)

// Compare makes a sample of what an API server counted before and after a Secret was written. Writes of others in between
// count as well: they went the same way.
func Compare(before, after Scrape) (Sample, error) {
	if before.Server != after.Server || before.Process != after.Process {
		return Sample{}, ErrAnotherServer
	}
	s := Sample{Server: after.Server, Process: after.Process, Config: after.Config}
	for prefix, count := range after.written {
		if count > before.written[prefix] {
			s.Writers = append(s.Writers, prefix)
		}
	}
	slices.Sort(s.Writers)
	for _, prefix := range slices.Sorted(maps.Keys(after.read)) {
		if after.read[prefix] > 0 {
			s.Readers = append(s.Readers, prefix)
		}
	}
	if len(s.Writers) > 0 {
		return s, nil
	}
	if after.requests <= before.requests || len(after.written) > 0 {
		return Sample{}, ErrNotSeen
	}
	s.Writers, s.Unnamed = []string{""}, true
	return s, nil
}
