package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// requests are what the operator's service account asked the API server for.
type requests struct {
	// Writes of tenants and of what they own.
	Writes int `json:"writes"`
	// OtherWrites: software key, policies, statuses of associates, events. Those of leader election not included.
	OtherWrites int `json:"otherWrites"`
	// Reads (GET, LIST) of a tenant or of what it owns.
	Reads int `json:"reads"`
	// OtherReads, such as discovery.
	OtherReads int `json:"otherReads"`
	// Leader are reads and writes of leader election: its lease, and the event that tells who leads.
	Leader int `json:"leader"`
	// Probe are reads and the write that show how API servers store Secrets: a handful at the start, and every ten minutes; and all of
	// the network probe, where it is on.
	Probe int `json:"probe,omitempty"`
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

// unexplained are requests a quiet operator has no reason for: all but leader election, the probe and watches.
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

// auditEvent is what is needed of an event of audit.k8s.io/v1.
type auditEvent struct {
	Stage     string `json:"stage"`
	Verb      string `json:"verb"`
	Path      string `json:"requestURI"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
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

// elects says whether a request is one of leader election. Its events are of the old API group, unlike the operator's.
func (e auditEvent) elects() bool {
	return e.ObjectRef.Resource == "leases" || (e.ObjectRef.Resource == "events" && e.ObjectRef.APIGroup == "")
}

// probes says whether a request belongs to the look at how API servers store Secrets, or to the network probe.
func (e auditEvent) probes() bool {
	o := e.ObjectRef
	const network = v1alpha1.OperatorNamespace + v1alpha1.ProbeNamespaceSuffix
	if o.Namespace == network || (o.Resource == "namespaces" && o.Name == network) {
		return true
	}
	return e.Path == "/metrics" || o.Name == v1alpha1.SecretCanary || (o.Resource == "leases" && o.Namespace == metav1.NamespaceSystem) ||
		(o.Resource == "endpointslices" && o.Name == "kubernetes")
}

// asks says that nothing is stored although the verb is create.
func (e auditEvent) asks() bool { return strings.HasSuffix(e.ObjectRef.Resource, "reviews") }

// count adds one event. A watch is logged when it starts and again when it ends, anything else when it is answered.
func (r *requests) count(e auditEvent) {
	if (e.Verb == "watch") != (e.Stage == "ResponseStarted") {
		return
	}
	switch code := e.ResponseStatus.Code; {
	case code == http.StatusConflict:
		r.Conflicts++
	case code >= http.StatusBadRequest && code != http.StatusNotFound:
		r.Refused++
	}
	switch {
	case e.Verb == "watch":
		r.Watches[e.resource()]++
	case e.probes():
		r.Probe++
	case e.elects():
		r.Leader++
	case e.Verb == "list" && !e.ofTenant():
		r.Lists[e.resource()]++
	default:
		*r.sort(e)++
		r.Detail[strings.TrimSpace(e.Verb+" "+e.resource())]++
	}
}

// sort finds the counter of a read or write of single objects.
func (r *requests) sort(e auditEvent) *int {
	write := slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb) && !e.asks()
	switch {
	case write && e.ofTenant():
		return &r.Writes
	case write:
		return &r.OtherWrites
	case e.ofTenant():
		return &r.Reads
	default:
		return &r.OtherReads
	}
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
