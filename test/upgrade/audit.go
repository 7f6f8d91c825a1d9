package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// event is what is needed of an event of audit.k8s.io/v1.
type event struct {
	Stage string `json:"stage"`
	Verb  string `json:"verb"`
	User  struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	At time.Time `json:"stageTimestamp"`
}

// operatorUser is whom the operator of the release is known as.
const operatorUser = "system:serviceaccount:" + namespace + ":" + v1alpha1.OperatorName

// counts says whether the operator stored something: leader election, the look at how Secrets are stored and what others
// read of it in events are not counted.
func (e event) counts() bool {
	o := e.ObjectRef
	return e.Stage == "ResponseComplete" && e.User.Username == operatorUser && e.ResponseStatus.Code < 400 &&
		slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb) &&
		o.Resource != "leases" && o.Resource != "events" && !strings.HasSuffix(o.Resource, "reviews") && o.Name != v1alpha1.SecretCanary
}

// writes of the operator.
type writes struct {
	all, policies int
	last          time.Time
	detail        map[string]int
}

// auditLog is read piece by piece while the API server writes it.
type auditLog struct {
	path   string
	offset int64
	writes writes
}

// read counts what was logged since the last time. A line that is not whole yet is left for the next time.
func (l *auditLog) read() error {
	f, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // nobody has asked yet
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(l.offset, io.SeekStart); err != nil {
		return err
	}
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		l.offset += int64(len(line))
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("expected one audit event per line: %w", err)
		}
		l.writes.add(e)
	}
}

func (w *writes) add(e event) {
	if !e.counts() {
		return
	}
	w.all++
	if e.ObjectRef.APIGroup == "admissionregistration.k8s.io" {
		w.policies++
	}
	if e.At.After(w.last) {
		w.last = e.At
	}
	if w.detail == nil {
		w.detail = map[string]int{}
	}
	what := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		what += "/" + e.ObjectRef.Subresource
	}
	w.detail[e.Verb+" "+what]++
}

// text lists what was written, most first.
func (w *writes) text() string {
	keys := slices.SortedFunc(maps.Keys(w.detail), func(a, b string) int {
		if d := w.detail[b] - w.detail[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, len(keys))
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%d %s", w.detail[k], k))
	}
	return strings.Join(parts, ", ")
}

// take returns what was counted since the last time.
func (l *auditLog) take() (writes, error) {
	err := l.read()
	w := l.writes
	l.writes = writes{}
	return w, err
}
