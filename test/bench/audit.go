package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// requests are what the operator's service account asked the API server for.
type requests struct {
	// Writes of tenants and of what they own.
	Writes int `json:"writes"`
	// OtherWrites: software key, policies, statuses of associates, events. Leases not included.
	OtherWrites int `json:"otherWrites"`
	// Reads (GET, LIST) of a tenant or of what it owns.
	Reads int `json:"reads"`
	// OtherReads, such as discovery.
	OtherReads int `json:"otherReads"`
	// Leases: reads and writes of the leader's lease.
	Leases int `json:"leases"`
	// Conflicts are requests of any kind that were answered with 409.
	Conflicts int `json:"conflicts"`
	// Refused are requests of any kind that were answered with another error than 404 or 409.
	Refused int `json:"refused"`
	// Lists and Watches of whole kinds, by resource.
	Lists   map[string]int `json:"lists,omitempty"`
	Watches map[string]int `json:"watches,omitempty"`
	// Detail counts writes and reads by verb and resource, as in "patch networkpolicies".
	Detail map[string]int `json:"detail,omitempty"`
}

// unexplained are requests a quiet operator has no reason for: all but its lease and its watches.
func (r requests) unexplained() int {
	n := r.Writes + r.OtherWrites + r.Reads + r.OtherReads
	for _, lists := range r.Lists {
		n += lists
	}
	return n
}

// mostPerKind is the highest number of lists, or of watches, of one kind.
func (r requests) mostPerKind() int {
	most := 0
	for _, counts := range []map[string]int{r.Lists, r.Watches} {
		for _, n := range counts {
			most = max(most, n)
		}
	}
	return most
}

// plus adds two counts.
func (r requests) plus(o requests) requests {
	sum := requests{
		Writes: r.Writes + o.Writes, OtherWrites: r.OtherWrites + o.OtherWrites,
		Reads: r.Reads + o.Reads, OtherReads: r.OtherReads + o.OtherReads,
		Leases: r.Leases + o.Leases, Conflicts: r.Conflicts + o.Conflicts, Refused: r.Refused + o.Refused,
		Lists: map[string]int{}, Watches: map[string]int{}, Detail: map[string]int{},
	}
	for _, from := range []requests{r, o} {
		for _, m := range []struct{ into, from map[string]int }{
			{sum.Lists, from.Lists}, {sum.Watches, from.Watches}, {sum.Detail, from.Detail},
		} {
			for k, n := range m.from {
				m.into[k] += n
			}
		}
	}
	return sum
}

// auditEvent is what is needed of an event of audit.k8s.io/v1.
type auditEvent struct {
	Stage     string `json:"stage"`
	Verb      string `json:"verb"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

func (e auditEvent) resource() string {
	if e.ObjectRef.Subresource == "" {
		return e.ObjectRef.Resource
	}
	return e.ObjectRef.Resource + "/" + e.ObjectRef.Subresource
}

// ofTenant says whether a request is about one tenant. The name of a tenant is that of its namespace.
func (e auditEvent) ofTenant() bool {
	if e.ObjectRef.Namespace != "" {
		return strings.HasPrefix(e.ObjectRef.Namespace, tenantPrefix)
	}
	return strings.HasPrefix(e.ObjectRef.Name, tenantPrefix)
}

// asks says that nothing is stored although the verb is create.
func (e auditEvent) asks() bool { return strings.HasSuffix(e.ObjectRef.Resource, "reviews") }

// count adds one event. A watch is logged when it starts and again when it ends, anything else when it is answered.
func (r *requests) count(e auditEvent) {
	if (e.Verb == "watch") != (e.Stage == "ResponseStarted") {
		return
	}
	switch code := e.ResponseStatus.Code; {
	case code == 409:
		r.Conflicts++
	case code >= 400 && code != 404:
		r.Refused++
	}
	write := slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb) && !e.asks()
	switch {
	case e.Verb == "watch":
		r.Watches[e.resource()]++
		return
	case e.ObjectRef.Resource == "leases":
		r.Leases++
		return
	case e.Verb == "list" && !e.ofTenant():
		r.Lists[e.resource()]++
		return
	case write && e.ofTenant():
		r.Writes++
	case write:
		r.OtherWrites++
	case e.ofTenant():
		r.Reads++
	default:
		r.OtherReads++
	}
	r.Detail[strings.TrimSpace(e.Verb+" "+e.resource())]++
}

// countAll counts the events of complete lines and returns how many bytes those are.
func countAll(text []byte) (requests, int, error) {
	r := requests{Lists: map[string]int{}, Watches: map[string]int{}, Detail: map[string]int{}}
	read := 0
	for {
		end := bytes.IndexByte(text[read:], '\n')
		if end < 0 {
			return r, read, nil
		}
		var e auditEvent
		if err := json.Unmarshal(text[read:read+end], &e); err != nil {
			return r, read, fmt.Errorf("expected one audit event per line: %w", err)
		}
		r.count(e)
		read += end + 1
	}
}

// auditLog is read piece by piece while the API server writes it.
type auditLog struct {
	path   string
	offset int64
}

// next counts what was logged since the last call. The API server logs a request before it answers it.
func (l *auditLog) next() (requests, error) {
	f, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return requests{}, nil // nobody has asked yet
	}
	if err != nil {
		return requests{}, err
	}
	defer f.Close()
	if _, err := f.Seek(l.offset, io.SeekStart); err != nil {
		return requests{}, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return requests{}, err
	}
	r, n, err := countAll(text)
	l.offset += int64(n)
	return r, err
}
