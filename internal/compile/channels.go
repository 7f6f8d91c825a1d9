package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// judgeChannels finds pods that serve a channel that is disabled: they ran before it was. New ones are refused at
// admission. While the spec cannot be honoured, what admission refuses counts too, whatever the spec says by then.
func (r *resolved) judgeChannels(honoured bool, f Facts, p *Plan) {
	p.Channels = slices.Clone(r.channels)
	for name, n := range f.Namespaces {
		if !honoured && r.holds(name, f) {
			p.Channels = append(p.Channels, strings.FieldsFunc(n.Facts[v1alpha1.AnnotationDisabledChannels], func(c rune) bool { return c == ',' })...)
		}
	}
	slices.Sort(p.Channels)
	p.Channels = slices.Compact(p.Channels)
	for _, pod := range f.Pods {
		if slices.Contains(p.Channels, pod.Channel) && r.holds(pod.Namespace, f) {
			p.Serving = append(p.Serving, Unwanted{Pod: pod, Cause: CauseChannel})
		}
	}
	if len(p.Serving) == 0 {
		return
	}
	slices.SortFunc(p.Serving, byPod)
	lines := make([]string, len(p.Serving))
	for i, s := range p.Serving {
		lines[i] = fmt.Sprintf("%s (%s)", s.Pod, s.Channel)
	}
	p.find(v1alpha1.SeverityWarning, CodeChannelPodsRunning, "spec.disabledChannels",
		"pods of disabled channels still run, %d in all: %s; %s", len(lines), shortList(lines, podsNamed), r.channelRemedy())
}

func (r *resolved) channelRemedy() string {
	if r.evictsChannels() {
		return "they are evicted as far as PodDisruptionBudgets allow, and no new ones are admitted"
	}
	return fmt.Sprintf("delete what makes them, or set onDisabledChannel of profile %s to Evict", r.profile.Name)
}

func (r *resolved) evictsChannels() bool { return r.profile.Spec.OnDisabledChannel == "Evict" }
