package compile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

var update = flag.Bool("update", false, "write what was compiled to want.yaml")

// story is testdata/<name>/input.yaml.
type story struct {
	Tenant     v1alpha1.HIPAATenant                   `json:"tenant"`
	Profile    *v1alpha1.HIPAAProfile                 `json:"profile"`
	Associates map[string]*v1alpha1.BusinessAssociate `json:"associates"`
	Facts      struct {
		Namespaces          map[string]Namespace     `json:"namespaces"`
		Strangers           map[string]Strangers     `json:"strangers"`
		Standing            map[string]Standing      `json:"standing"`
		ReadyNodes          map[string]int           `json:"readyNodes"`
		Nodes               []storyNode              `json:"nodes"`
		Pods                []Pod                    `json:"pods"`
		Volumes             []Volume                 `json:"volumes"`
		Keysets             []string                 `json:"keysets"`
		Extensions          map[string]extension.API `json:"extensions"`
		AdmissionNotInForce bool                     `json:"admissionNotInForce"`
		Now                 time.Time                `json:"now"`
		Deleted             bool                     `json:"deleted"`
	} `json:"facts"`
}

// storyNode is a ready node.
type storyNode struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	ProviderID string `json:"providerID"`
}

// outcome is testdata/<name>/want.yaml.
type outcome struct {
	Waiting   []string                 `json:"waiting,omitempty"`
	Findings  []v1alpha1.Finding       `json:"findings,omitempty"`
	Effective *v1alpha1.Effective      `json:"effective,omitempty"`
	Remaining *v1alpha1.Effective      `json:"remaining,omitempty"`
	Agreement string                   `json:"agreement,omitempty"`
	Next      string                   `json:"next,omitempty"`
	Gates     map[string]v1alpha1.Gate `json:"gates,omitempty"`
	Misplaced []string                 `json:"misplaced,omitempty"`
	Serving   []string                 `json:"serving,omitempty"`
	Config    map[string]Consumption   `json:"config,omitempty"`
	Evict     []string                 `json:"evict,omitempty"`
	Born      []string                 `json:"born,omitempty"`
	Kept      []v1alpha1.ObjectRef     `json:"kept,omitempty"`
	Waves     [][]any                  `json:"waves,omitempty"`
}

// TestStories compiles every testdata/<story>/input.yaml. A new behaviour is a new directory: run with -update, and
// read what it wrote.
func TestStories(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*/input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no stories found: %v", err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(filepath.Dir(input)), func(t *testing.T) {
			s := read(t, input)
			got := render(t, s)
			if again := render(t, read(t, input)); !bytes.Equal(got, again) {
				t.Errorf("compiling twice gives two plans:\n%s", cmp.Diff(string(got), string(again)))
			}
			wantFile := filepath.Join(filepath.Dir(input), "want.yaml")
			if *update {
				if err := os.WriteFile(wantFile, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("plan differs from %s (-want +got):\n%s", wantFile, diff)
			}
		})
	}
}

func read(t *testing.T, path string) story {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s story
	if err := yaml.UnmarshalStrict(text, &s); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for name, a := range s.Associates {
		a.Name = name
	}
	return s
}

func (s story) facts() Facts {
	f := Facts{
		Profile: s.Profile, Associates: s.Associates, Namespaces: s.Facts.Namespaces, Strangers: s.Facts.Strangers,
		Standing: s.Facts.Standing, Extensions: s.Facts.Extensions,
		Nodes: s.nodes(), Pods: s.Facts.Pods, Volumes: s.Facts.Volumes,
		Keysets: map[string]Keyset{}, AdmissionEnforced: !s.Facts.AdmissionNotInForce,
		OperatorNamespace: v1alpha1.OperatorNamespace, Now: s.Facts.Now,
	}
	for _, namespace := range s.Facts.Keysets {
		f.Keysets[namespace] = Keyset{Document: []byte("{}"), ResourceVersion: "7"}
	}
	return f
}

// nodes are those the story lists, and besides them as many as it counts.
func (s story) nodes() *Survey {
	var nodes []Node
	for _, n := range s.Facts.Nodes {
		nodes = append(nodes, Node{Name: n.Name, Region: JudgeNode(n.Label, n.ProviderID), Ready: true})
	}
	survey := NewSurvey(nodes)
	for region, count := range s.Facts.ReadyNodes {
		survey.Ready[region] += count
	}
	return survey
}

func render(t *testing.T, s story) []byte {
	t.Helper()
	plan := Compile(&s.Tenant, s.facts())
	if s.Facts.Deleted {
		plan = Retire(&s.Tenant, s.facts())
	}
	text, err := yaml.Marshal(summary(plan))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func summary(p *Plan) outcome {
	o := outcome{Waiting: p.Waiting, Findings: p.Findings, Effective: p.Effective, Remaining: p.Kept, Agreement: p.Agreement.Reason, Gates: p.Gates, Config: p.Consumption}
	if !p.Next.IsZero() {
		o.Next = p.Next.Format(time.RFC3339)
	}
	written := map[v1alpha1.ObjectRef]bool{}
	for _, wave := range p.Waves() {
		var list []any
		for _, config := range wave {
			list = append(list, config)
			written[refOf(config)] = true
		}
		o.Waves = append(o.Waves, list)
	}
	for _, m := range p.Misplaced {
		o.Misplaced = append(o.Misplaced, m.String())
	}
	for _, s := range p.Serving {
		o.Serving = append(o.Serving, s.String())
	}
	for _, m := range p.Evict {
		o.Evict = append(o.Evict, m.String())
	}
	for _, ref := range p.Refs() {
		if p.Births(ref) {
			o.Born = append(o.Born, ref.Name)
		}
		if !written[ref] {
			o.Kept = append(o.Kept, ref)
		}
	}
	return o
}
