package oracle

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// The rules in plain words, read off the objects people write. Nothing in this file may call the code that is judged by
// it: a mistake both share is a mistake nobody finds.

// verdict is an answer with its reason.
type verdict struct {
	Allowed bool
	Why     string
}

func yes(format string, args ...any) verdict { return verdict{true, fmt.Sprintf(format, args...)} }
func no(format string, args ...any) verdict  { return verdict{false, fmt.Sprintf(format, args...)} }

// mayTalk says whether a packet may pass: the tenant it leaves must let it out, the tenant it enters must let it in.
// Pods without a tenant are none of our business.
func (w *World) mayTalk(p Packet) verdict {
	from, to := w.podAt(p.From), w.podAt(p.To)
	if t := w.tenantOf(from); t != nil {
		if v := w.mayLeave(t, from, to, p); !v.Allowed {
			return v
		}
	}
	if t := w.tenantOf(to); t != nil {
		return w.mayEnter(t, from, to, p)
	}
	return yes("no pod of a tenant is entered, and if one is left, it may be")
}

// asked is a spec under its ceiling, and when its agreements are judged.
type asked struct {
	spec    *v1alpha1.HIPAATenantSpec
	profile *v1alpha1.HIPAAProfile
	at      time.Time
}

// stands is what is enforced. While a tenant's spec cannot be honoured, that is what it asked for before.
func (w *World) stands(t *Tenant) asked {
	return asked{spec: t.inForce(), profile: w.profileOf(t), at: t.judgedAt()}
}

// permitted is what is asked for now. Where that cannot be honoured, it opens nothing, and still closes what it closes.
func (w *World) permitted(t *Tenant) asked {
	return asked{spec: &t.Now, profile: w.profile(&t.Now), at: now}
}

func (w *World) mayLeave(t *Tenant, from, to *Pod, p Packet) verdict {
	switch {
	case !t.holds(from.Namespace):
		return no("namespace %s is let go of: quarantined", from.Namespace)
	case to != nil && isResolver(w.stands(t).profile, to) && p.Port == 53 && p.Protocol != "SCTP":
		return yes("%s/%s is the profile's resolver", to.Namespace, to.Name)
	case w.isolated(t):
		return no("a lapse isolates tenant %s: nothing but DNS", t.Name)
	case to != nil && w.tenantOf(to) == t && t.holds(to.Namespace):
		return yes("both pods are of tenant %s", t.Name)
	case to != nil:
		return no("%s/%s is neither of tenant %s nor the resolver", to.Namespace, to.Name, t.Name)
	case isMetadata(p.To):
		return no("%s is link-local or a metadata address", p.To)
	}
	for _, a := range []asked{w.stands(t), w.permitted(t)} {
		if c := a.closing(p); c != "" {
			return no("%s is in a network of channel %s, which is disabled", p.To, c)
		}
	}
	return w.mayReach(t, p)
}

// closing names the disabled channel whose network a packet goes to.
func (a asked) closing(p Packet) v1alpha1.Name {
	for _, c := range disabledChannels(a.spec, a.profile) {
		if within(c.CIDRs, p.To) {
			return c.Name
		}
	}
	return ""
}

// mayReach is about addresses outside the cluster that are not closed altogether. What cannot be honoured leaves of each way out
// what it would open itself, and the mailbox as it stands.
func (w *World) mayReach(t *Tenant, p Packet) verdict {
	before, now := w.stands(t), w.permitted(t)
	switch {
	case before.mails(p):
		return yes("the mailbox")
	case before.asksAPI(p) && now.asksAPI(p):
		return yes("the API server, as the profile says")
	}
	name := w.vendor(before, p)
	if name == "" || w.vendor(now, p) == "" {
		return no("nothing opens %s, %s/%d, to tenant %s", p.To, p.Protocol, p.Port, t.Name)
	}
	return yes("associate %s, whose agreement is in force", name)
}

func (a asked) mails(p Packet) bool {
	app := a.spec.Application
	return app != nil && app.Mailbox != nil && within(narrow(app.Mailbox.CIDRs), p.To) && p.is("TCP", app.Mailbox.Port)
}

// onDisabled says that a packet goes to a port of a disabled channel.
func (a asked) onDisabled(p Packet) bool {
	return slices.ContainsFunc(disabledChannels(a.spec, a.profile), func(c v1alpha1.Channel) bool { return p.isOneOf(c.Ports) })
}

func (a asked) asksAPI(p Packet) bool {
	api := a.profile.Spec.KubernetesAPI
	return api != nil && !a.onDisabled(p) && within(api.CIDRs, p.To) && p.is("TCP", api.Port)
}

// vendor names an associate that a packet may go to.
func (w *World) vendor(a asked, p Packet) v1alpha1.Name {
	if a.onDisabled(p) {
		return ""
	}
	for _, name := range a.spec.BusinessAssociates {
		associate := w.associate(name)
		if !w.vouched(associate, a, nil) || carriesDisabled(associate, a.spec, a.profile) {
			continue
		}
		for _, e := range associate.Spec.Endpoints {
			if within(e.CIDRs, p.To) && p.isOneOf(e.Ports) {
				return name
			}
		}
	}
	return ""
}

func (w *World) mayEnter(t *Tenant, from, to *Pod, p Packet) verdict {
	spec, profile := t.inForce(), w.profileOf(t)
	isGateway := func(g v1alpha1.PeerPods) bool { return isPeer(g, from) }
	switch {
	case !t.holds(to.Namespace):
		return no("namespace %s is let go of: quarantined", to.Namespace)
	case w.isolated(t):
		return no("a lapse isolates tenant %s: nothing enters", t.Name)
	case from != nil && w.tenantOf(from) == t && t.holds(from.Namespace):
		return yes("both pods are of tenant %s", t.Name)
	case from != nil && slices.ContainsFunc(profile.Spec.Gateways, isGateway) && len(w.permitted(t).profile.Spec.Gateways) > 0:
		return yes("%s/%s is a gateway of the profile", from.Namespace, from.Name)
	case from != nil:
		return no("%s/%s is neither of tenant %s nor a gateway", from.Namespace, from.Name, t.Name)
	case isMetadata(p.From):
		return no("%s is link-local or a metadata address", p.From)
	case !within(spec.IPAllowlist, p.From):
		return no("%s is not in the allowlist", p.From)
	case spec.Exposure != nil && !carries(to, spec.Exposure.PodSelector):
		return no("%s/%s is not exposed", to.Namespace, to.Name)
	}
	return yes("%s is in the allowlist", p.From)
}

// isolated by what is enforced, or by what is asked for.
func (w *World) isolated(t *Tenant) bool {
	return w.isolates(w.stands(t)) || w.isolates(w.permitted(t))
}

// isolates: the tenant's agreement, or that with the provider of its region, does not hold, and the profile asks for
// isolation.
func (w *World) isolates(a asked) bool {
	rules := a.profile.Spec.BAA
	if rules == nil || rules.OnLapse != v1alpha1.LapseIsolate {
		return false
	}
	if !a.counts(a.spec.BAA) {
		return true
	}
	for _, r := range a.profile.Spec.Regions {
		if r.Name == a.spec.Region && r.BusinessAssociate != "" {
			return !w.vouched(w.associate(r.BusinessAssociate), a, nil)
		}
	}
	return false
}

// vouched: the associate handles no PHI or its agreement counts, and so it is for everybody who works for it. Nobody may
// work for himself by way of others.
func (w *World) vouched(who *v1alpha1.BusinessAssociate, a asked, clients []string) bool {
	if who == nil || slices.Contains(clients, who.Name) {
		return false
	}
	if who.Spec.HandlesPHI && !a.counts(*who.Spec.BAA) {
		return false
	}
	for _, name := range who.Spec.Subcontractors {
		if !w.vouched(w.associate(name), a, append(slices.Clone(clients), who.Name)) {
			return false
		}
	}
	return true
}

// counts: an agreement holds, and was looked at as lately as the profile asks.
func (a asked) counts(agreement v1alpha1.Agreement) bool {
	rules := a.profile.Spec.BAA
	return holds(agreement, a.at) && (rules == nil || !verificationDue(agreement, *rules, a.at))
}

func holds(a v1alpha1.Agreement, now time.Time) bool {
	signed := map[v1alpha1.SignatureParty]bool{}
	for _, s := range a.Signatures {
		signed[s.Party] = true
	}
	return signed["CoveredEntity"] && signed["BusinessAssociate"] && !now.Before(a.ExecutedOn.Time()) && now.Before(a.ExpiresOn.Time())
}

func verificationDue(a v1alpha1.Agreement, rules v1alpha1.BAARules, now time.Time) bool {
	last := a.LastVerifiedOn
	if last == "" {
		last = a.ExecutedOn
	}
	return rules.ReverifyEvery != "" && !now.Before(last.Time().Add(rules.ReverifyEvery.Value()))
}

func disabledChannels(spec *v1alpha1.HIPAATenantSpec, profile *v1alpha1.HIPAAProfile) []v1alpha1.Channel {
	return slices.DeleteFunc(slices.Clone(profile.Spec.Channels), func(c v1alpha1.Channel) bool {
		return !slices.Contains(spec.DisabledChannels, c.Name) && !slices.Contains(profile.Spec.RequiredDisabledChannels, c.Name)
	})
}

func carriesDisabled(a *v1alpha1.BusinessAssociate, spec *v1alpha1.HIPAATenantSpec, profile *v1alpha1.HIPAAProfile) bool {
	return slices.ContainsFunc(disabledChannels(spec, profile), func(c v1alpha1.Channel) bool { return slices.Contains(a.Spec.Channels, c.Name) })
}

func isResolver(profile *v1alpha1.HIPAAProfile, pod *Pod) bool {
	if profile.Spec.DNS == nil {
		return pod.Namespace == "kube-system" && pod.Labels["k8s-app"] == "kube-dns"
	}
	return isPeer(*profile.Spec.DNS, pod)
}

func isPeer(p v1alpha1.PeerPods, pod *Pod) bool {
	return pod.Namespace == string(p.Namespace) && carries(pod, p.PodSelector)
}

func carries(pod *Pod, s v1alpha1.PodSelector) bool {
	for key, value := range s.MatchLabels {
		if got, found := pod.Labels[key]; !found || got != value {
			return false
		}
	}
	return true
}

func isMetadata(a netip.Addr) bool {
	return a.Unmap().IsLinkLocalUnicast() || netip.MustParsePrefix("fd00:ec2::/32").Contains(a)
}

// within: an IPv4 address written as an IPv6 one is still that IPv4 address.
func within(list []v1alpha1.CIDR, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(c v1alpha1.CIDR) bool { return netip.MustParsePrefix(string(c)).Contains(a.Unmap()) })
}

// narrow are the networks a mail server may answer on.
func narrow(list []v1alpha1.CIDR) []v1alpha1.CIDR {
	return slices.DeleteFunc(slices.Clone(list), func(c v1alpha1.CIDR) bool {
		p := netip.MustParsePrefix(string(c))
		return p.Bits() < 24 || p.Addr().Is6() && p.Bits() < 48
	})
}
