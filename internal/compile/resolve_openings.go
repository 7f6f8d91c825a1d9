package compile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const defaultWarnBefore = 720 * time.Hour

// resolveAgreement judges the tenant's own agreement. An incomplete one is never provisioned; a lapsed one does to a
// provisioned tenant what the profile says, and keeps a new one from being provisioned.
func (r *resolved) resolveAgreement(f Facts, p *Plan) {
	p.Agreement = judgeAgreement(r.tenant.Spec.BAA, ReverifyEvery(r.profile), f.Now).covering(r.profile.Spec.Services, r.tenant.Spec.BAA.Scope)
	p.wake(f.Now, p.Agreement.Next)
	switch {
	case p.Agreement.InForce:
		r.warnOfExpiry(f.Now, p)
	case p.Agreement.Reason == v1alpha1.ReasonIncomplete:
		p.find(v1alpha1.SeverityError, CodeBAAIncomplete, "spec.baa.signatures",
			"%s: both CoveredEntity and BusinessAssociate must have signed before anything is provisioned", p.Agreement.Message)
		r.lapsed(f, p)
	case p.Agreement.Reason == v1alpha1.ReasonOutOfScope:
		p.find(v1alpha1.SeverityError, CodeBAAOutOfScope, "spec.baa.scope",
			"the agreement %s; tenants of profile %s use %s: have an agreement that covers them, or choose another profile",
			p.Agreement.Message, r.profile.Name, orNothing(r.profile.Spec.Services))
		r.lapsed(f, p)
	case !provisioned(r.tenant, f):
		p.find(v1alpha1.SeverityError, CodeBAALapsed, "spec.baa", "the agreement %s: nothing is provisioned without one in force", p.Agreement.Message)
	default:
		r.lapsed(f, p)
	}
}

// lapsed does to a provisioned tenant what the profile says about an agreement that is not in force.
func (r *resolved) lapsed(f Facts, p *Plan) {
	if !provisioned(r.tenant, f) {
		return
	}
	r.setLapse()
	state := p.Agreement.Message
	if p.Agreement.Reason == v1alpha1.ReasonIncomplete {
		state = "is not in force: " + state
	}
	p.find(v1alpha1.SeverityWarning, CodeBAALapsed, "spec.baa", "the agreement %s; the profile's baa.onLapse is %s", state, r.lapse)
}

func (r *resolved) setLapse() {
	r.lapse = cmp.Or(r.rules().OnLapse, v1alpha1.LapseAlert)
}

// rules the profile has for agreements.
func (r *resolved) rules() v1alpha1.BAARules {
	if r.profile.Spec.BAA == nil {
		return v1alpha1.BAARules{}
	}
	return *r.profile.Spec.BAA
}

func (r *resolved) warnOfExpiry(now time.Time, p *Plan) {
	if end := r.tenant.Spec.BAA.ExpiresOn; r.warning(end, now, p) {
		p.find(v1alpha1.SeverityWarning, CodeBAAExpiring, "spec.baa.expiresOn", "the agreement ends on %s: renew it before then", end)
	}
}

// warning says that the end of an agreement is near enough to warn of it, and wakes when it will be.
func (r *resolved) warning(end v1alpha1.Date, now time.Time, p *Plan) bool {
	if end == "" {
		return false
	}
	begin := end.Time().Add(-cmp.Or(r.rules().WarnBefore.Value(), defaultWarnBefore))
	p.wake(now, begin)
	return !now.Before(begin)
}

// judge an associate by the rules of the profile.
func (r *resolved) judge(a *v1alpha1.BusinessAssociate, f Facts, p *Plan) Verdict {
	v := JudgeAssociate(a, f.Associates, ReverifyEvery(r.profile), f.Now)
	p.wake(f.Now, v.Next)
	return v
}

// warnOfAssociate warns of the end of an associate that is in force.
func (r *resolved) warnOfAssociate(a *v1alpha1.BusinessAssociate, path string, f Facts, p *Plan) {
	if end := AssociateExpiry(a, f.Associates); r.warning(end, f.Now, p) {
		p.find(v1alpha1.SeverityWarning, CodeAssociateExpiring, path,
			"the agreement with %s, or with a subcontractor of it, ends on %s: renew it before then", a.Name, end)
	}
}

// provisioned says whether the tenant has a namespace already, be it one whose labels were stripped.
func provisioned(t *v1alpha1.HIPAATenant, f Facts) bool { return len(Owned(t, f)) > 0 }

func (r *resolved) resolveRegions(f Facts, p *Plan) {
	asked := append([]v1alpha1.Region{r.tenant.Spec.Region}, r.tenant.Spec.FailoverRegions...)
	for i, name := range asked {
		path := "spec.region"
		if i > 0 {
			path = fmt.Sprintf("spec.failoverRegions[%d]", i-1)
		}
		at := slices.IndexFunc(r.profile.Spec.Regions, func(e v1alpha1.EligibleRegion) bool { return e.Name == name })
		if at < 0 {
			p.find(v1alpha1.SeverityError, CodeRegionNotEligible, path, "region %s is not one of profile %s: %s",
				name, r.profile.Name, orNothing(regionNames(r.profile)))
			continue
		}
		if r.regionInForce(r.profile.Spec.Regions[at], path, f, p) {
			r.regions = append(r.regions, string(name))
			r.warnWithoutNodes(string(name), path, f, p)
		}
	}
}

// regionInForce says whether the agreement with the region's provider holds. Where it lapsed the region takes no new
// pods; when it is the tenant's own region, what the profile says about a lapse applies as well.
func (r *resolved) regionInForce(region v1alpha1.EligibleRegion, path string, f Facts, p *Plan) bool {
	name := string(region.BusinessAssociate)
	if _, found := f.Associates[name]; !found && name != "" {
		p.wait("BusinessAssociate %s, which vouches for region %s in profile %s", name, region.Name, r.profile.Name)
	}
	v := r.provided(region, f, p)
	if v.InForce {
		if a, found := f.Associates[name]; found {
			r.warnOfAssociate(a, path, f, p)
		}
		return true
	}
	p.find(v1alpha1.SeverityWarning, CodeRegionProviderLapsed, path,
		"region %s takes no new pods: agreement with its provider %s is not in force: %s", region.Name, name, v.Message)
	if path == "spec.region" && r.lapse == "" {
		r.setLapse()
	}
	return false
}

// provided is the verdict on the agreement with a region's provider. A region that names none needs none.
func (r *resolved) provided(region v1alpha1.EligibleRegion, f Facts, p *Plan) Verdict {
	name := string(region.BusinessAssociate)
	if name == "" {
		return Verdict{InForce: true}
	}
	a, found := f.Associates[name]
	if !found {
		return Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "there is no BusinessAssociate " + name}
	}
	return r.judge(a, f, p)
}

func (r *resolved) warnWithoutNodes(region, path string, f Facts, p *Plan) {
	if f.Nodes != nil && f.Nodes.Ready[region] == 0 {
		p.find(v1alpha1.SeverityWarning, CodeRegionWithoutNodes, path,
			"region %s has no ready node: pods that only fit there stay pending, none goes to another region", region)
	}
}

func regionNames(p *v1alpha1.HIPAAProfile) []string {
	var names []string
	for _, r := range p.Spec.Regions {
		names = append(names, string(r.Name))
	}
	return names
}

func (r *resolved) resolveAssociates(f Facts, p *Plan) {
	for i, name := range r.tenant.Spec.BusinessAssociates {
		path := fmt.Sprintf("spec.businessAssociates[%d]", i)
		a, found := f.Associates[string(name)]
		if !found {
			p.wait("BusinessAssociate %s, named in %s", name, path)
			continue
		}
		v := r.judge(a, f, p)
		if !v.InForce {
			p.find(v1alpha1.SeverityWarning, CodeAssociateNotInForce, path, "egress to %s stays closed: %s", name, v.Message)
			continue
		}
		r.warnOfAssociate(a, path, f, p)
		if c := r.disabledChannelOf(a); c != "" {
			p.find(v1alpha1.SeverityWarning, CodeAssociateChannelDisabled, path, "egress to %s stays closed: it carries channel %s, which is disabled", name, c)
			continue
		}
		r.associates = append(r.associates, r.openAssociate(a, path, p))
	}
	slices.SortFunc(r.associates, func(a, b opening) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
}

func (r *resolved) disabledChannelOf(a *v1alpha1.BusinessAssociate) string {
	for _, c := range a.Spec.Channels {
		if slices.Contains(r.channels, string(c)) {
			return string(c)
		}
	}
	return ""
}

func (r *resolved) openAssociate(a *v1alpha1.BusinessAssociate, path string, p *Plan) opening {
	o := opening{name: a.Name}
	for i, e := range a.Spec.Endpoints {
		if len(e.CIDRs) == 0 {
			if rule, open := r.openHosts(a, i, path, p); open {
				o.hosts = append(o.hosts, rule)
			}
			continue
		}
		rule := openRule{cidrs: subtract(e.CIDRs, r.closed), ports: r.withoutDisabled(e.Ports)}
		if len(rule.cidrs) == 0 || len(rule.ports) == 0 {
			p.find(v1alpha1.SeverityWarning, CodeEndpointSubtracted, path,
				"endpoint %d of %s stays closed: disabled channels and metadata ranges leave nothing of it", i, a.Name)
			continue
		}
		o.rules = append(o.rules, rule)
	}
	return o
}

func (r *resolved) withoutDisabled(ports []v1alpha1.Port) []v1alpha1.Port {
	return slices.DeleteFunc(sortedPorts(ports), func(p v1alpha1.Port) bool { return slices.Contains(r.ports, p) })
}

// mailboxRules are the widest networks of a mailbox, as on the type.
var mailboxRules = &v1alpha1.AllowlistRules{MinPrefixIPv4: new(int32(24)), MinPrefixIPv6: new(int32(48))}

// resolveMailbox opens the tenant's own mail server: the one SMTP destination, so ports of disabled channels do not
// close it. Their networks do: a mailbox is no way around a disabled channel. Nor is it one around agreements, so networks
// that are wider than the type permits stay closed; a tenant may have them from before it did not.
func (r *resolved) resolveMailbox(p *Plan) {
	if r.tenant.Spec.Application == nil || r.tenant.Spec.Application.Mailbox == nil {
		return
	}
	m := r.tenant.Spec.Application.Mailbox
	var narrow []v1alpha1.CIDR
	for i, c := range m.CIDRs {
		if limit, wide := tooWide(c, mailboxRules); wide {
			p.find(v1alpha1.SeverityWarning, CodeMailboxTooWide, fmt.Sprintf("spec.application.mailbox.cidrs[%d]", i),
				"%s is wider than /%d and stays closed: name the addresses of the mail server", c, limit)
			continue
		}
		narrow = append(narrow, c)
	}
	cidrs := subtract(narrow, r.closed)
	if len(cidrs) == 0 {
		p.find(v1alpha1.SeverityWarning, CodeEndpointSubtracted, "spec.application.mailbox.cidrs",
			"the mailbox stays closed: its cidrs are too wide, lie in networks of disabled channels or in metadata ranges")
		return
	}
	r.mailbox = &opening{name: string(m.Host), rules: []openRule{{cidrs: cidrs, ports: []v1alpha1.Port{{Port: m.Port, Protocol: "TCP"}}}}}
}

// resolveAPI opens the API server where the profile says so, and where no disabled channel says otherwise.
func (r *resolved) resolveAPI(p *Plan) {
	api := r.profile.Spec.KubernetesAPI
	if api == nil {
		return
	}
	rule := openRule{cidrs: subtract(api.CIDRs, r.closed), ports: r.withoutDisabled([]v1alpha1.Port{{Port: api.Port, Protocol: "TCP"}})}
	if len(rule.cidrs) == 0 || len(rule.ports) == 0 {
		p.find(v1alpha1.SeverityWarning, CodeEndpointSubtracted, "profile spec.kubernetesAPI",
			"the API server of profile %s stays closed: disabled channels and metadata ranges leave nothing of it", r.profile.Name)
		return
	}
	r.api = &opening{name: "kubernetes", rules: []openRule{rule}}
}

// egress is every network a tenant's own egress rules may name.
func (r *resolved) egress() []string {
	var all [][]string
	for _, o := range append(slices.Clone(r.associates), pointees(r.mailbox, r.api)...) {
		for _, rule := range o.rules {
			all = append(all, rule.cidrs)
		}
	}
	return union(all...)
}

func pointees(list ...*opening) []opening {
	var out []opening
	for _, o := range list {
		if o != nil {
			out = append(out, *o)
		}
	}
	return out
}
