package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// resolved is the tenant's spec under its profile: every default filled in, every name looked up.
type resolved struct {
	tenant      *v1alpha1.HIPAATenant
	profile     *v1alpha1.HIPAAProfile
	regions     []string // eligible and asked for, the tenant's own first
	timeout     time.Duration
	channels    []string // disabled, sorted
	ports       []v1alpha1.Port
	closed      []v1alpha1.CIDR // networks of disabled channels
	closedHosts []v1alpha1.Host // of disabled channels
	classes     []string
	allowlist   []string
	associates  []opening
	mailbox     *opening
	api         *opening
	quota       v1alpha1.Quota
	level       string
	rotation    time.Duration
	lapse       v1alpha1.LapseAction // what a lapse does; empty while nothing lapsed
}

// opening is a destination egress is opened to.
type opening struct {
	name  string
	rules []openRule
	hosts []hostRule
}

// openRule is a set of networks on a set of ports.
type openRule struct {
	cidrs []string
	ports []v1alpha1.Port
}

// resolve fills r from the spec, the profile and the facts, and records every reason why it cannot be honoured.
func resolve(t *v1alpha1.HIPAATenant, f Facts, p *Plan) *resolved {
	r := &resolved{tenant: t, profile: f.Profile}
	r.resolveAgreement(f, p)
	r.resolveRegions(f, p)
	r.resolveSession(p)
	r.resolveChannels(p)
	r.resolveRecording(p)
	r.resolveKeys(f, p)
	r.resolveStorage(f, p)
	r.resolveAllowlist(p)
	r.resolveAssociates(f, p)
	r.resolveMailbox(p)
	r.resolveAPI(p)
	r.resolveQuota()
	r.resolveRoles(f, p)
	r.resolveAttestations(f, p)
	r.judgeSharing(f, p)
	return r
}

// effective leaves no required list nil: the API server refuses a status with null in its place, and the tenant would go on
// saying what it said before.
func (r *resolved) effective() *v1alpha1.Effective {
	return &v1alpha1.Effective{
		Profile:            r.profile.Name,
		Regions:            append([]string{}, r.regions...),
		SessionTimeout:     formatDuration(r.timeout),
		DisabledChannels:   r.channels,
		IPAllowlist:        append([]string{}, r.allowlist...),
		StorageClasses:     r.classes,
		BusinessAssociates: r.effectiveAssociates(),
		RotationPeriod:     formatDuration(r.rotation),
		PodSecurity:        r.level,
		DeletionPolicy:     cmp.Or(r.tenant.Spec.DeletionPolicy, v1alpha1.DeletionRetain),
	}
}

// effectiveAssociates are those that egress is open to.
func (r *resolved) effectiveAssociates() []string {
	var names []string
	for _, a := range r.associates {
		if len(a.rules)+len(a.hosts) > 0 {
			names = append(names, a.name)
		}
	}
	return names
}

func (r *resolved) resolveSession(p *Plan) {
	r.timeout = r.tenant.Spec.SessionTimeout.Value()
	if limit := r.profile.Spec.MaxSessionTimeout.Value(); r.timeout > limit {
		p.find(v1alpha1.SeverityError, CodeSessionTimeoutAboveMaximum, "spec.sessionTimeout",
			"sessionTimeout %s is above maxSessionTimeout %s of profile %s: lower it, or raise the profile's maximum",
			r.tenant.Spec.SessionTimeout, r.profile.Spec.MaxSessionTimeout, r.profile.Name)
	}
}

func (r *resolved) resolveChannels(p *Plan) {
	catalogue := map[v1alpha1.Name]v1alpha1.Channel{}
	for _, c := range r.profile.Spec.Channels {
		catalogue[c.Name] = c
	}
	disabled := map[string]bool{}
	for _, name := range r.profile.Spec.RequiredDisabledChannels {
		disabled[string(name)] = true
	}
	for i, name := range r.tenant.Spec.DisabledChannels {
		if _, known := catalogue[name]; !known {
			p.find(v1alpha1.SeverityError, CodeUnknownChannel, fmt.Sprintf("spec.disabledChannels[%d]", i),
				"channel %s is not in the catalogue of profile %s, which knows %s", name, r.profile.Name,
				orNothing(slices.Sorted(maps.Keys(catalogue))))
			continue
		}
		disabled[string(name)] = true
	}
	r.channels = slices.Sorted(maps.Keys(disabled))
	for _, name := range r.channels {
		c := catalogue[v1alpha1.Name(name)]
		r.ports = append(r.ports, c.Ports...)
		r.closed = append(r.closed, c.CIDRs...)
		r.closedHosts = append(r.closedHosts, c.Hosts...)
	}
	r.ports = sortedPorts(r.ports)
}

func (r *resolved) resolveStorage(f Facts, p *Plan) {
	defer r.judgeClasses(f, p)
	if r.profile.Spec.StorageClasses != nil {
		r.classes = slices.Sorted(slices.Values(r.profile.Spec.StorageClasses.Allowed))
	}
	asked := r.tenant.Spec.Encryption.StorageClasses
	if len(asked) == 0 {
		return
	}
	for i, class := range asked {
		if !slices.Contains(r.classes, class) {
			p.find(v1alpha1.SeverityError, CodeStorageClassNotAllowed, fmt.Sprintf("spec.encryption.storageClasses[%d]", i),
				"storage class %s is not in storageClasses.allowed of profile %s: %s", class, r.profile.Name, orNothing(r.classes))
		}
	}
	r.classes = slices.Sorted(slices.Values(asked))
}

// resolveAllowlist lets link-local and metadata addresses in as little as out: whoever sends from one poses as the node
// or as the cloud it runs in.
func (r *resolved) resolveAllowlist(p *Plan) {
	for i, c := range r.tenant.Spec.IPAllowlist {
		path := fmt.Sprintf("spec.ipAllowlist[%d]", i)
		if limit, wide := tooWide(c, r.profile.Spec.IPAllowlist); wide {
			p.find(v1alpha1.SeverityError, CodeAllowlistTooWide, path, "%s is wider than /%d, the widest profile %s permits", c, limit, r.profile.Name)
			continue
		}
		left := subtract([]v1alpha1.CIDR{c}, nil)
		if len(left) != 1 || left[0] != string(c) {
			p.find(v1alpha1.SeverityWarning, CodeAllowlistSubtracted, path,
				"link-local and metadata addresses in %s stay closed; let in is %s", c, orNothing(left))
		}
		r.allowlist = append(r.allowlist, left...)
	}
	slices.Sort(r.allowlist)
	r.allowlist = slices.Compact(r.allowlist)
}

func (r *resolved) resolveQuota() {
	r.quota = r.profile.Spec.DefaultQuota
	if r.tenant.Spec.Quota != nil {
		r.quota = *r.tenant.Spec.Quota
	}
	r.level = r.profile.Spec.PodSecurity
	if r.level == "" {
		r.level = "restricted"
	}
}

func sortedPorts(ports []v1alpha1.Port) []v1alpha1.Port {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b v1alpha1.Port) int {
		if a.Protocol != b.Protocol {
			return strings.Compare(string(a.Protocol), string(b.Protocol))
		}
		return int(a.Port - b.Port)
	})
	return slices.Compact(sorted)
}

func orNothing[S ~string](names []S) string {
	if len(names) == 0 {
		return "nothing"
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = string(n)
	}
	return strings.Join(parts, ", ")
}

// formatDuration writes whole hours, minutes and seconds without the zero parts: 15m, 2160h, 1h30m.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
