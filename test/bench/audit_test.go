package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// event is a line of an audit log. ref is the inside of objectRef.
func event(stage, verb, ref string, code int) string {
	return fmt.Sprintf(`{"kind":"Event","stage":%q,"verb":%q,"user":{"username":"x"},"objectRef":{%s},"responseStatus":{"code":%d}}`+"\n", stage, verb, ref, code)
}

const (
	ofNamespace = `"resource":"namespaces","name":"bench-00001"`
	ofPolicy    = `"resource":"networkpolicies","namespace":"bench-00001","name":"hipaa-default-deny","apiGroup":"networking.k8s.io"`
	ofStatus    = `"resource":"hipaatenants","name":"bench-00001","apiGroup":"hipaatenant.dev","subresource":"status"`
	ofLease     = `"resource":"leases","namespace":"hipaa-system","name":"hipaa-tenant-operator","apiGroup":"coordination.k8s.io"`
	ofKey       = `"resource":"secrets","namespace":"hipaa-system","name":"hipaa-local-kek-bench"`
)

func TestCountAll(t *testing.T) {
	for _, tc := range []struct {
		name string
		log  string
		want requests
	}{
		{"nothing", "", requests{}},
		{
			"writes of a tenant",
			event("ResponseComplete", "create", ofNamespace, 201) + event("ResponseComplete", "patch", ofPolicy, 201) +
				event("ResponseComplete", "update", ofStatus, 200) + event("ResponseComplete", "update", ofStatus, 200),
			requests{Writes: 4, Detail: map[string]int{"create namespaces": 1, "patch networkpolicies": 1, "update hipaatenants/status": 2}},
		},
		{
			"reads of a tenant",
			event("ResponseComplete", "get", ofNamespace, 404) + event("ResponseComplete", "list", `"resource":"secrets","namespace":"bench-00001"`, 200),
			requests{Reads: 2, Detail: map[string]int{"get namespaces": 1, "list secrets": 1}},
		},
		{
			"others",
			event("ResponseComplete", "create", ofKey, 201) + event("ResponseComplete", "get", ofKey, 200) +
				event("ResponseComplete", "get", `"name":"x"`, 200) +
				event("ResponseComplete", "create", `"resource":"selfsubjectreviews","apiGroup":"authentication.k8s.io"`, 201) +
				event("ResponseComplete", "update", `"resource":"hipaatenants","name":"warm-up","subresource":"status"`, 200),
			requests{OtherWrites: 2, OtherReads: 3, Detail: map[string]int{
				"create secrets": 1, "get secrets": 1, "get": 1, "create selfsubjectreviews": 1, "update hipaatenants/status": 1,
			}},
		},
		{
			"leader election",
			event("ResponseComplete", "get", ofLease, 200) + event("ResponseComplete", "update", ofLease, 200) +
				event("ResponseComplete", "create", `"resource":"events","namespace":"hipaa-system","name":"a"`, 201),
			requests{Leader: 3},
		},
		{
			"the look at how API servers store Secrets",
			event("ResponseComplete", "patch", `"resource":"secrets","namespace":"hipaa-system","name":"hipaa-encryption-canary"`, 200) +
				event("ResponseComplete", "list", `"resource":"leases","namespace":"kube-system","apiGroup":"coordination.k8s.io"`, 200) +
				event("ResponseComplete", "get", `"resource":"endpointslices","namespace":"default","name":"kubernetes"`, 404) +
				`{"stage":"ResponseComplete","verb":"get","requestURI":"/metrics","responseStatus":{"code":200}}` + "\n",
			requests{Probe: 4},
		},
		{
			"the operator's own events are no leader election",
			event("ResponseComplete", "create", `"resource":"events","namespace":"default","name":"a","apiGroup":"events.k8s.io"`, 201),
			requests{OtherWrites: 1, Detail: map[string]int{"create events": 1}},
		},
		{
			"a watch counts when it starts",
			event("ResponseStarted", "watch", `"resource":"secrets"`, 200) + event("ResponseComplete", "watch", `"resource":"secrets"`, 200) +
				event("ResponseComplete", "list", `"resource":"secrets"`, 200),
			requests{Watches: map[string]int{"secrets": 1}, Lists: map[string]int{"secrets": 1}},
		},
		{
			"answers",
			event("ResponseComplete", "update", ofStatus, 409) + event("ResponseComplete", "patch", ofPolicy, 403) +
				event("ResponseComplete", "create", ofKey, 409) + event("ResponseComplete", "patch", ofPolicy, 500) + event("ResponseComplete", "get", ofKey, 404),
			requests{Writes: 3, OtherWrites: 1, OtherReads: 1, Conflicts: 2, Refused: 2, Detail: map[string]int{
				"update hipaatenants/status": 1, "patch networkpolicies": 2, "create secrets": 1, "get secrets": 1,
			}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, n, err := countAll([]byte(tc.log))
			if err != nil || n != len(tc.log) {
				t.Fatalf("read %d of %d bytes, error %v", n, len(tc.log), err)
			}
			for _, m := range []*map[string]int{&tc.want.Lists, &tc.want.Watches, &tc.want.Detail} {
				if *m == nil {
					*m = map[string]int{}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCountAllRefusesOtherFiles(t *testing.T) {
	if r, _, err := countAll([]byte("no audit log\n")); err == nil {
		t.Errorf("counted %+v; expected an error", r)
	}
}

func TestUnexplained(t *testing.T) {
	r := requests{Writes: 1, OtherWrites: 2, Reads: 4, OtherReads: 8, Leader: 16, Lists: map[string]int{"a": 32, "b": 64}, Watches: map[string]int{"a": 128}}
	if got := r.unexplained(); got != 111 {
		t.Errorf("%d unexplained requests; expected 111", got)
	}
}

func TestMostPerKind(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    requests
		want int
	}{
		{"none", requests{}, 0},
		{"one each", requests{Lists: map[string]int{"a": 1}, Watches: map[string]int{"a": 1, "b": 1}}, 1},
		{"listed again", requests{Lists: map[string]int{"a": 3}, Watches: map[string]int{"a": 2}}, 3},
		{"watched again", requests{Watches: map[string]int{"a": 1, "b": 2}}, 2},
	} {
		if got := tc.r.mostPerKind(); got != tc.want {
			t.Errorf("%s: %d; expected %d", tc.name, got, tc.want)
		}
	}
}

// The log is read while it is written: half a line waits for its other half, and nothing is counted twice.
func TestAuditLogNext(t *testing.T) {
	l := &auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	line := event("ResponseComplete", "patch", ofPolicy, 201)
	for i, step := range []struct {
		write string
		want  int
	}{
		{"", 0},
		{line + line[:20], 1},
		{"", 0},
		{line[20:] + line, 2},
		{"", 0},
	} {
		if step.write != "" {
			f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(step.write); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r, err := l.next()
		if err != nil || r.Writes != step.want {
			t.Errorf("step %d: %d writes, error %v; expected %d", i, r.Writes, err, step.want)
		}
	}
}
