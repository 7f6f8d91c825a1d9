package compile

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fields"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// specs are the kinds users write, with the cases of their fields.
var specs = []struct {
	kind  string
	of    func(*fields.World) any
	cases []fields.Case
}{
	{"HIPAATenant", func(w *fields.World) any { return w.Tenant.Spec }, fields.Tenant},
	{"HIPAAProfile", func(w *fields.World) any { return w.Profile.Spec }, fields.Profile},
	{"BusinessAssociate", func(w *fields.World) any { return w.Associates[fields.Vendor].Spec }, fields.Associate},
}

// TestEveryFieldHasACase: a field that nobody says anything about may be ignored by the operator without anybody noticing.
func TestEveryFieldHasACase(t *testing.T) {
	for _, s := range specs {
		known := map[string]int{}
		for _, c := range s.cases {
			known[c.Path]++
		}
		all := leaves(reflect.TypeOf(s.of(fields.New())), "")
		for _, path := range all {
			if known[path] != 1 {
				t.Errorf("field %s of %s has %d cases in test/fields, want one: say what changing it changes, or why nothing", path, s.kind, known[path])
			}
			delete(known, path)
		}
		for path := range known {
			t.Errorf("test/fields has a case for field %s of %s, which has no such field", path, s.kind)
		}
		report.Line("fields: %s fields=%d cases=%d", s.kind, len(all), len(s.cases))
	}
}

// TestEveryFieldCounts: changing a field shows where its case says, and changing it back restores everything byte for byte.
func TestEveryFieldCounts(t *testing.T) {
	for _, s := range specs {
		for _, c := range s.cases {
			t.Run(s.kind+"/"+c.Path, func(t *testing.T) {
				if quiet := c.In == fields.Fixed || c.In == fields.Nowhere; quiet != (c.Why != "") {
					t.Errorf("a field that shows nowhere needs a reason, and no other does: %q", c.Why)
				}
				before, after, again := partsOf(t, c.Prepared()), partsOf(t, c.Changed()), partsOf(t, c.Prepared())
				if !maps.Equal(before, again) {
					t.Errorf("changed and changed back, it differs in %v", differing(before, again))
				}
				if c.In == fields.Fixed {
					return
				}
				if was, is := values(reflect.ValueOf(s.of(c.Prepared())), "")[c.Path], values(reflect.ValueOf(s.of(c.Changed())), "")[c.Path]; slices.Equal(was, is) {
					t.Fatalf("the case does not change the field: %v", was)
				}
				changed := differing(before, after)
				switch {
				case c.In == fields.Nowhere && len(changed) > 0:
					t.Errorf("it shows in %v, want nowhere: %s", changed, c.Why)
				case c.In != fields.Nowhere && !slices.Contains(changed, c.In):
					t.Errorf("it shows in %v, want %s", changed, c.In)
				case c.In != fields.Objects && slices.Contains(changed, fields.Objects):
					t.Errorf("it shows in %v, want no object changed", changed)
				}
			})
		}
	}
}

// partsOf is all that the operator makes of a world, part by part. What is not written has no bytes: it stays as it stands.
func partsOf(t *testing.T, w *fields.World) map[fields.Part]string {
	t.Helper()
	w.Tenant.UID = "u-fields"
	f := factsOf(w)
	p := Compile(w.Tenant, f)
	parts := map[fields.Part]string{
		fields.Findings:  encoded(t, []any{p.Findings, p.Waiting}),
		fields.Effective: encoded(t, p.Effective),
		fields.Agreement: encoded(t, p.Agreement),
		fields.Wake:      encoded(t, p.Next),
		fields.Keys:      encoded(t, []any{KeyName(w.Tenant), ClaimsKey(w.Tenant), DataKeyNames(w.Tenant), p.Rotation, p.RetireAfter}),
		fields.Evictions: encoded(t, p.Evict),
		fields.Access:    encoded(t, JudgeEmergency(approvedAccess(), w.Tenant, f.Profile, noon)),
	}
	if p.Narrows() {
		parts[fields.Narrowed] = encoded(t, p.Gates)
	}
	if p.Writable() {
		parts[fields.Objects] = encoded(t, []any{p.Waves(), p.Refs()})
	}
	var verdicts []any
	for _, name := range slices.Sorted(maps.Keys(w.Associates)) {
		verdicts = append(verdicts, JudgeAssociate(w.Associates[name], w.Associates, ReverifyEvery(w.Profile), noon), AssociateExpiry(w.Associates[name], w.Associates))
	}
	parts[fields.Associates] = encoded(t, verdicts)
	return parts
}

// differing are the parts that changed. Objects that are not written any more have not changed.
func differing(a, b map[fields.Part]string) []fields.Part {
	var parts []fields.Part
	for part, is := range b {
		if a[part] != is {
			parts = append(parts, part)
		}
	}
	slices.Sort(parts)
	return parts
}

// factsOf are those of a cluster where the tenant of the world stands, with one pod abroad and one on a disabled channel.
func factsOf(w *fields.World) Facts {
	f := factsFor(map[string]*v1alpha1.HIPAAProfile{w.Profile.Name: w.Profile, w.Other.Name: w.Other}[ProfileName(w.Tenant)])
	f.Associates, f.Keysets = w.Associates, map[string]Keyset{}
	for _, name := range []string{fields.App, fields.Data, "fields-third"} {
		f.Keysets[name] = Keyset{Document: []byte("{}"), ResourceVersion: "7"}
	}
	for _, name := range []string{fields.App, fields.Data} {
		f.Namespaces[name] = standing(fields.Name, "u-fields", v1alpha1.GateOpen)
		f.Namespaces[name].Facts[v1alpha1.AnnotationRegions] = "us-east-1,us-west-2"
	}
	f.Nodes = NewSurvey([]Node{
		{Name: "east", Region: NodeRegion{Label: "us-east-1"}, Ready: true}, {Name: "west", Region: NodeRegion{Label: "us-west-2"}, Ready: true},
		{Name: "abroad", Region: NodeRegion{Label: "eu-west-1"}, Ready: true},
	})
	f.Pods = []Pod{
		{Namespace: fields.App, Name: "stray", UID: "p1", Node: "abroad", Controller: "ReplicaSet"},
		{Namespace: fields.App, Name: "faxes", UID: "p2", Node: "east", Controller: "ReplicaSet", Channel: "fax"},
	}
	f.StorageClasses = map[string]StorageClass{fields.Customer: {Encryption: CustomerKey}, fields.Plain: {Encryption: ProviderManaged}}
	return f
}

// approvedAccess is an access to the world's tenant that the officer has approved.
func approvedAccess() *v1alpha1.EmergencyAccess {
	return &v1alpha1.EmergencyAccess{
		ObjectMeta: metav1.ObjectMeta{Name: "incident", CreationTimestamp: metav1.NewTime(noon), Annotations: map[string]string{
			v1alpha1.AnnotationApprove: "true", v1alpha1.AnnotationRequestedBy: "ana@acme.example", v1alpha1.AnnotationApprovedBy: fields.Officer,
		}},
		Spec: v1alpha1.EmergencyAccessSpec{Tenant: fields.Name, Role: "Operator", Reason: "INC-1", Duration: "1h"},
	}
}

// leaves are the paths of all values a type holds, with [] for every item of a list, by the names users write.
func leaves(of reflect.Type, path string) []string {
	switch of.Kind() {
	case reflect.Pointer:
		return leaves(of.Elem(), path)
	case reflect.Slice:
		return leaves(of.Elem(), path+"[]")
	case reflect.Struct:
		if of == reflect.TypeFor[resource.Quantity]() {
			return []string{path}
		}
		var all []string
		for f := range of.Fields() {
			all = append(all, leaves(f.Type, below(path, f))...)
		}
		return all
	}
	return []string{path}
}

// values are the values at each of these paths.
func values(of reflect.Value, path string) map[string][]string {
	all := map[string][]string{}
	add := func(inner map[string][]string) {
		for p, v := range inner {
			all[p] = append(all[p], v...)
		}
	}
	switch of.Kind() {
	case reflect.Pointer:
		if !of.IsNil() {
			add(values(of.Elem(), path))
		}
	case reflect.Slice:
		for i := range of.Len() {
			add(values(of.Index(i), path+"[]"))
		}
	case reflect.Struct:
		if q, quantity := reflect.TypeAssert[resource.Quantity](of); quantity {
			return map[string][]string{path: {q.String()}}
		}
		for i := range of.NumField() {
			add(values(of.Field(i), below(path, of.Type().Field(i))))
		}
	default:
		all[path] = []string{fmt.Sprint(of.Interface())}
	}
	return all
}

func below(path string, f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return strings.TrimPrefix(path+"."+name, ".")
}
