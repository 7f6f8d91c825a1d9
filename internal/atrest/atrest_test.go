package atrest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answer is part of what kube-apiserver v1.37.1 answers, with counts of Secrets by prefix.
func answer(server string, writes int, written, read map[string]int) string {
	text := `# HELP process_start_time_seconds [ALPHA] Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79500391713e+09
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="GET",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 900
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="PUT",version="v1"} 900
apiserver_request_total{code="200",component="apiserver",dry_run="All",group="",resource="secrets",scope="resource",subresource="",verb="APPLY",version="v1"} 900
`
	text += fmt.Sprintf(`apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="APPLY",version="v1"} %d`+"\n", writes)
	if server != "" {
		text += fmt.Sprintf("# TYPE apiserver_encryption_config_controller_last_config_info gauge\n"+
			"apiserver_encryption_config_controller_last_config_info{apiserver_id_hash=%q,hash=\"sha256:c0\"} 1\n", server)
	}
	if len(written)+len(read) > 0 {
		text += "# TYPE apiserver_storage_transformation_operations_total counter\n"
	}
	line := `apiserver_storage_transformation_operations_total{resource=%q,status=%q,transformation_type=%q,transformer_prefix=%q} %d` + "\n"
	for _, kind := range []struct {
		name   string
		counts map[string]int
	}{{"to_storage", written}, {"from_storage", read}} {
		for stored, count := range kind.counts {
			text += fmt.Sprintf(line, "secrets", "OK", kind.name, stored, count)
			text += fmt.Sprintf(line, "secrets", "Unavailable", kind.name, stored, 900+count)
			text += fmt.Sprintf(line, "configmaps", "OK", kind.name, "k8s:enc:secretbox:v1:", 900+count)
		}
	}
	return text
}

func scraped(t *testing.T, text string) Scrape {
	t.Helper()
	s, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type counts = map[string]int

const (
	kms   = "k8s:enc:kms:v2:demo:"
	other = "k8s:enc:aescbc:v1:"
)

// TestCompare: what an API server counted before and after a write, and what that shows.
func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		want          Sample
		err           error
	}{
		"KMS v2": {
			answer("sha256:a", 1, counts{kms: 1}, counts{kms: 4}), answer("sha256:a", 2, counts{kms: 2}, counts{kms: 5}),
			Sample{Server: "sha256:a", Config: "sha256:c0", Writers: []string{kms}, Readers: []string{kms}}, nil,
		},
		"KMS v2, and not counted as a request yet": {
			answer("sha256:a", 1, counts{kms: 1}, nil), answer("sha256:a", 1, counts{kms: 2}, nil),
			Sample{Server: "sha256:a", Config: "sha256:c0", Writers: []string{kms}}, nil,
		},
		"the first write of all": {
			answer("sha256:a", 0, nil, nil), answer("sha256:a", 1, counts{kms: 1}, counts{"identity": 2}),
			Sample{Server: "sha256:a", Config: "sha256:c0", Writers: []string{kms}, Readers: []string{"identity"}}, nil,
		},
		"identity first": {
			answer("sha256:a", 1, counts{"": 1}, counts{"identity": 3}), answer("sha256:a", 2, counts{"": 2}, counts{"identity": 3}),
			Sample{Server: "sha256:a", Config: "sha256:c0", Writers: []string{""}, Readers: []string{"identity"}}, nil,
		},
		"keys of a provider are no providers": {
			answer("sha256:a", 1, counts{other: 1, "one:": 1}, nil), answer("sha256:a", 2, counts{other: 2, "one:": 2}, counts{other: 2, "one:": 1}),
			Sample{Server: "sha256:a", Config: "sha256:c0", Writers: []string{other}, Readers: []string{other}}, nil,
		},
		"no configuration": {
			answer("", 1, nil, nil), answer("", 2, nil, nil), Sample{Writers: []string{""}, Unnamed: true}, nil,
		},
		"no configuration, and the write went elsewhere": {answer("", 1, nil, nil), answer("", 1, nil, nil), Sample{}, ErrNotSeen},
		"KMS v2, and the write went elsewhere": {
			answer("sha256:a", 1, counts{kms: 1}, nil), answer("sha256:a", 1, counts{kms: 1}, nil), Sample{}, ErrNotSeen,
		},
		"KMS v2, and the write changed nothing": {
			answer("sha256:a", 1, counts{kms: 1}, nil), answer("sha256:a", 2, counts{kms: 1}, nil), Sample{}, ErrNotSeen,
		},
		"a configuration without Secrets": {
			answer("sha256:a", 1, nil, nil), answer("sha256:a", 2, nil, nil),
			Sample{Server: "sha256:a", Config: "sha256:c0", Writers: []string{""}, Unnamed: true}, nil,
		},
		"two servers": {answer("sha256:a", 1, counts{kms: 1}, nil), answer("sha256:b", 2, counts{kms: 2}, nil), Sample{}, ErrAnotherServer},
		"restarted in between": {
			answer("", 1, nil, nil), strings.ReplaceAll(answer("", 2, nil, nil), "1.79500391713e+09", "1.79500999913e+09"), Sample{}, ErrAnotherServer,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compare(scraped(t, c.before), scraped(t, c.after))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if c.err == nil {
				c.want.Process = "1795003917.13"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRead refuses what is no answer of an API server, or too much of one.
func TestRead(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":     {"", "expected the metrics of an API server"},
		"a web page":  {"<html>\n", "expected the metrics of an API server"},
		"broken":      {"process_start_time_seconds many\n", "text format"},
		"a long line": {strings.Repeat("x", maxLine+1), "longer one"},
		"too much":    {strings.Repeat(`apiserver_request_total{resource="secrets",verb="GET"} 1`+"\n", maxKept/50), "at most"},
	} {
		if _, err := Read(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that contains %q", name, err, c.want)
		}
	}
	if _, err := Read(failing{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

var errBroken = errors.New("broken")

type failing struct{}

// Read fails.
func (failing) Read([]byte) (int, error) { return 0, errBroken }

func sample(server string, writers, readers []string) Sample {
	s := Sample{Server: server, Process: "1" + server, Writers: writers, Readers: readers}
	if server != "" {
		s.Config = "sha256:c0"
	}
	return s
}

// TestJudge: samples of API servers, and the honest answer.
func TestJudge(t *testing.T) {
	list := func(s ...string) []string { return s }
	one, three := list("a"), list("a", "b", "c")
	good := sample("a", list(kms), list(kms))
	bare := Sample{Process: "5", Writers: list(""), Unnamed: true}
	for name, c := range map[string]struct {
		servers []string
		samples []Sample
		state   State
		says    string
	}{
		"KMS v2": {one, []Sample{good}, StateKMS,
			"observed: writes of Secrets by 1 of 1 API servers used KMS v2 provider demo; no plaintext was read"},
		"three times, the same server twice": {three, []Sample{good, sample("b", list(kms), nil), good, sample("c", list("k8s:enc:kms:v2:second:"), nil)}, StateKMS,
			"by 3 of 3 API servers used KMS v2 provider demo, KMS v2 provider second; no"},
		"KMS v2 since a while":         {one, []Sample{sample("a", list(kms), list(other, kms))}, StateKMS, "; older Secrets were read with aescbc (a key in a file of the API server, no KMS); no plaintext"},
		"aescbc":                       {one, []Sample{sample("a", list(other), list(other))}, StateOther, "used aescbc (a key in a file of the API server, no KMS); no plaintext"},
		"secretbox, aesgcm":            {one, []Sample{sample("a", list("k8s:enc:aesgcm:v1:", "k8s:enc:secretbox:v1:"), nil)}, StateOther, "used aesgcm (a key in a file of the API server, no KMS), secretbox (a"},
		"KMS v1":                       {one, []Sample{sample("a", list("k8s:enc:kms:v1:old:"), nil)}, StateOther, "used KMS v1 provider old (deprecated)"},
		"something new":                {one, []Sample{sample("a", list("k8s:enc:quantum:v1:"), nil)}, StateOther, "used an unknown provider quantum"},
		"KMS v2 and aescbc":            {list("a", "b"), []Sample{good, sample("b", list(other), nil)}, StateOther, "used KMS v2 provider demo, aescbc (a key"},
		"plaintext remains":            {one, []Sample{sample("a", list(kms), list("identity", kms))}, StatePlaintextRemains, "used KMS v2 provider demo; 1 of them read Secrets in plaintext since they started"},
		"plaintext remains, seen by b": {list("a", "b"), []Sample{good, sample("b", list(kms), list("identity"))}, StatePlaintextRemains, "; 1 of them read"},
		"identity first":               {one, []Sample{sample("a", list(""), list("identity"))}, StateNotEncrypted, "observed: 1 of 1 API servers writes Secrets to etcd in plaintext (identity is the first provider); give"},
		"no configuration":             {one, []Sample{bare}, StateNotEncrypted, "1 of 1 API servers writes Secrets to etcd in plaintext (no encryption configuration)"},
		"a configuration without Secrets": {one, []Sample{{Server: "a", Config: "c", Writers: list(""), Unnamed: true}}, StateNotEncrypted,
			"(the encryption configuration does not name Secrets)"},
		"one of three in plaintext":   {three, []Sample{good, sample("b", list(""), nil), sample("c", list(kms), nil)}, StateNotEncrypted, "1 of 3 API servers writes Secrets to etcd in plaintext (identity is"},
		"two of three in plaintext":   {three, []Sample{good, sample("b", list(""), nil), bare}, StateNotEncrypted, "2 of 3 API servers write Secrets to etcd in plaintext (identity is the first provider; no encryption configuration)"},
		"one of two in plaintext":     {list("a", "b"), []Sample{good, bare}, StateNotEncrypted, "1 of 2 API servers writes"},
		"bad news, though not of all": {three, []Sample{good, sample("b", list(""), nil)}, StateNotEncrypted, "observed: an API server writes Secrets to etcd in plaintext"},
		"both within one look":        {one, []Sample{sample("a", list("", kms), nil)}, StateNotEncrypted, "1 of 1"},
		"one of three":                {three, []Sample{good, good}, StateUnknown, "not all of the API servers that hold a Lease kube-system/apiserver-* (3) could be reached"},
		"a stranger":                  {one, []Sample{sample("z", list(kms), nil)}, StateUnknown, "not all of the API servers"},
		"a nameless one of two":       {list("a", "b"), []Sample{good, {Process: "5", Writers: list(kms)}}, StateUnknown, "not all"},
		"none":                        {one, nil, StateUnknown, "not observed"},
		"no Lease":                    {nil, []Sample{good}, StateUnknown, "not observed"},
		"no Lease and bad news":       {nil, []Sample{bare}, StateNotEncrypted, "an API server writes"},
	} {
		v := Judge(c.servers, c.samples)
		if v.State != c.state || !strings.Contains(v.Message, c.says) {
			t.Errorf("%s: %s, %q; want %s, %q", name, v.State, v.Message, c.state, c.says)
		}
		if again := Judge(c.servers, c.samples); again != v {
			t.Errorf("%s: another look says %q, after %q", name, again.Message, v.Message)
		}
	}
}

// TestOnlyGoodNewsNeedEveryServer: adding a sample never makes the verdict better while servers are missing.
func TestOnlyGoodNewsNeedEveryServer(t *testing.T) {
	servers := []string{"a", "b", "c"}
	rank := map[State]int{}
	for i, s := range States() {
		rank[s] = i
	}
	for mask := range 1 << 6 {
		var samples []Sample
		for i, s := range []Sample{
			sample("a", []string{kms}, nil), sample("b", []string{kms}, nil), sample("c", []string{kms}, nil),
			sample("a", []string{other}, nil), sample("b", []string{kms}, []string{identity}), sample("c", []string{""}, nil),
		} {
			s.Process = fmt.Sprint(i)
			if mask&(1<<i) != 0 {
				samples = append(samples, s)
			}
		}
		v, all := Judge(servers, samples), Observed(servers, samples) == 3
		plain := mask&(1<<5) != 0
		switch {
		case plain != (v.State == StateNotEncrypted):
			t.Errorf("%06b: %s, plaintext written: %t", mask, v.State, plain)
		case !plain && !all && v.State != StateUnknown:
			t.Errorf("%06b: %s although not all were observed", mask, v.State)
		case v.State == StateKMS && mask&0b111000 != 0:
			t.Errorf("%06b: %s although not all use KMS v2 alone", mask, v.State)
		}
	}
}

func TestServers(t *testing.T) {
	at := func(s int) *metav1.MicroTime {
		return &metav1.MicroTime{Time: time.Date(2001, 1, 1, 0, 0, s, 0, time.UTC)} // long ago by any clock
	}
	lease := func(name string, renewed *metav1.MicroTime) coordinationv1.Lease {
		return coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{RenewTime: renewed}}
	}
	got := Servers([]coordinationv1.Lease{
		lease("apiserver-b", at(600)), lease("apiserver-a", at(400)), lease("apiserver-gone", at(290)), lease("apiserver-never", nil),
	})
	want := []string{ // printf apiserver-b | sha256sum
		"sha256:16b25d540f7ca627dc93c8cb5cf4b73ac3183017c21e97d2a9a646218d498804",
		"sha256:b5b662adf0e40b9253722f985e321a40f8f9592881365a3ffc91fb56c54da2dc",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none := Servers(nil); len(none) != 0 {
		t.Errorf("servers %v of no Lease", none)
	}
}
