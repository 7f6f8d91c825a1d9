package compile

import (
	"fmt"
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Consumption counts the pods of a namespace that are not known to run with its config.
type Consumption struct {
	// Stale pods were given another config, or none although they did not ask for that: they ran before the namespace was
	// the tenant's.
	Stale int32
	// Uninjected pods asked not to be given one. They may read hipaa-config by themselves, or not at all.
	Uninjected int32
}

// judgeConsumption counts pods by the config they were given, which admission stamped on them, against the one that stands in
// their namespace. A pod takes a new config when it is made anew.
func (r *resolved) judgeConsumption(standing func(namespace string) string, f Facts, p *Plan) {
	p.Config, p.Consumption = map[string]string{}, map[string]Consumption{}
	for _, name := range NamespaceNames(r.tenant) {
		if hash := standing(name); hash != "" && r.holds(name, f) {
			p.Config[name] = hash
		}
	}
	for _, pod := range f.Pods {
		hash, given := p.Config[pod.Namespace]
		if !given || pod.Config == hash {
			continue
		}
		c := p.Consumption[pod.Namespace]
		if pod.Uninjected && pod.Config == "" {
			c.Uninjected++
		} else {
			c.Stale++
		}
		p.Consumption[pod.Namespace] = c
	}
	r.tellConsumption(CodeConfigStale, func(c Consumption) int32 { return c.Stale },
		"pods run with an older config than hipaa-config has now, %d in all: %s; make them anew, as with kubectl rollout restart", p)
	r.tellConsumption(CodeConfigUnknown, func(c Consumption) int32 { return c.Uninjected },
		"pods are annotated "+v1alpha1.AnnotationInjectConfig+": \"false\", so whether they read hipaa-config is not known, %d in all: %s; "+
			"take the annotation off, or see to it that they do", p)
}

func (r *resolved) tellConsumption(code string, count func(Consumption) int32, format string, p *Plan) {
	var lines []string
	all := int32(0)
	for _, name := range NamespaceNames(r.tenant) {
		if n := count(p.Consumption[name]); n > 0 {
			lines, all = append(lines, fmt.Sprintf("namespace %s (%d)", name, n)), all+n
		}
	}
	if all > 0 {
		slices.Sort(lines)
		p.find(v1alpha1.SeverityInfo, code, "hipaa-config", format, all, shortList(lines, podsNamed))
	}
}
