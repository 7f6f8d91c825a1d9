package atrest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// State of the encryption of Secrets at rest. The words are those of the metric hipaatenant_encryption_at_rest.
type State string

// States, best first.
const (
	// StateKMS: every API server wrote a Secret through a KMS v2 provider, and none has read plaintext.
	StateKMS State = "kms"
	// StateOther: every API server wrote a Secret encrypted, not all of them through KMS v2.
	StateOther State = "other_provider"
	// StatePlaintextRemains: Secrets are written encrypted, and some that were written before lie in plaintext.
	StatePlaintextRemains State = "plaintext_remains"
	// StateNotEncrypted: an API server writes Secrets in plaintext.
	StateNotEncrypted State = "not_encrypted"
	// StateUnknown: it could not be observed.
	StateUnknown State = "unknown"
)

// States are all states.
func States() []State {
	return []State{StateKMS, StateOther, StatePlaintextRemains, StateNotEncrypted, StateUnknown}
}

// Verdict on the encryption of Secrets at rest. It is the same from one look to the next while nothing changed.
type Verdict struct {
	State State
	// Message for people.
	Message string
}

// Prefixes of transformers, as they stand before what is stored.
const (
	prefixKMSv2 = "k8s:enc:kms:v2:"
	prefixKMSv1 = "k8s:enc:kms:v1:"
	prefix      = "k8s:enc:"
	identity    = "identity"
)

// Judge says what the samples show. Servers are the hashes of the identities of all API servers that run; where one of
// them was not sampled, only bad news is believed.
func Judge(servers []string, samples []Sample) Verdict {
	samples = distinct(samples)
	if plain := those(samples, writesPlaintext); len(plain) > 0 {
		return Verdict{StateNotEncrypted, fmt.Sprintf("observed: %s Secrets to etcd in plaintext (%s); give every kube-apiserver an "+
			"--encryption-provider-config that names a KMS v2 provider first for Secrets", share(plain, servers, samples), whyPlaintext(plain))}
	}
	if Missing(servers, samples) {
		return Verdict{StateUnknown, fmt.Sprintf("not observed: not all of the API servers that hold a Lease kube-system/apiserver-* (%d) could be reached; "+
			"let the operator connect to the addresses in EndpointSlice default/kubernetes", len(servers))}
	}
	text := fmt.Sprintf("observed: writes of Secrets by %d of %d API servers used %s", len(servers), len(servers), named(samples, Sample.writers))
	if remains := those(samples, readsPlaintext); len(remains) > 0 {
		return Verdict{StatePlaintextRemains, text + fmt.Sprintf("; %d of them read Secrets in plaintext since they started: "+
			"write every Secret anew, then restart the API servers, whose counts begin anew", len(remains))}
	}
	if older := olderProviders(samples); older != "" {
		text += "; older Secrets were read with " + older
	}
	text += "; no plaintext was read"
	if len(those(samples, writesWithoutKMS)) > 0 {
		return Verdict{StateOther, text}
	}
	return Verdict{StateKMS, text}
}

// distinct keeps one sample of each process, the last.
func distinct(samples []Sample) []Sample {
	var out []Sample
	for _, s := range samples {
		at := slices.IndexFunc(out, func(o Sample) bool { return o.Server == s.Server && o.Process == s.Process })
		if at < 0 {
			out = append(out, s)
			continue
		}
		out[at] = s
	}
	return out
}

// Missing says that not every API server was sampled yet. Where there is only one it need not say who it is.
func Missing(servers []string, samples []Sample) bool {
	return len(servers) == 0 || Observed(servers, samples) < len(servers)
}

// Observed counts the API servers that were sampled.
func Observed(servers []string, samples []Sample) int {
	if len(servers) == 1 && len(those(samples, nameless)) > 0 {
		return 1
	}
	count := 0
	for _, server := range servers {
		if slices.ContainsFunc(samples, func(s Sample) bool { return s.Server == server }) {
			count++
		}
	}
	return count
}

func those(samples []Sample, is func(Sample) bool) []Sample {
	return slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return !is(s) })
}

func nameless(s Sample) bool        { return s.Server == "" }
func writesPlaintext(s Sample) bool { return slices.Contains(s.Writers, "") }
func readsPlaintext(s Sample) bool  { return slices.Contains(s.Readers, identity) }

func writesWithoutKMS(s Sample) bool {
	return slices.ContainsFunc(s.Writers, func(w string) bool { return !strings.HasPrefix(w, prefixKMSv2) })
}

// share says how many API servers write plaintext. Where not all were reached the number would differ from one look to
// the next, so it is left out.
func share(plain []Sample, servers []string, samples []Sample) string {
	reached := Observed(servers, samples)
	if len(servers) > 1 {
		reached += len(those(samples, nameless))
	}
	switch {
	case len(servers) == 0 || reached != len(servers):
		return "an API server writes"
	case len(plain) == 1:
		return fmt.Sprintf("1 of %d API servers writes", len(servers))
	}
	return fmt.Sprintf("%d of %d API servers write", len(plain), len(servers))
}

// whyPlaintext lists the reasons, each once.
func whyPlaintext(samples []Sample) string {
	var why []string
	for _, s := range samples {
		switch {
		case s.Config == "":
			why = append(why, "no encryption configuration")
		case s.Unnamed:
			why = append(why, "the encryption configuration does not name Secrets")
		default:
			why = append(why, "identity is the first provider")
		}
	}
	slices.Sort(why)
	return strings.Join(slices.Compact(why), "; ")
}

func (s Sample) writers() []string { return s.Writers }

// olderProviders are those that Secrets were read with and are not written with any more.
func olderProviders(samples []Sample) string {
	return named(samples, func(s Sample) []string {
		return slices.DeleteFunc(slices.Clone(s.Readers), func(r string) bool { return slices.Contains(s.Writers, r) || !strings.HasPrefix(r, prefix) })
	})
}

// named lists providers in words, each once.
func named(samples []Sample, of func(Sample) []string) string {
	var list []string
	for _, s := range samples {
		for _, p := range of(s) {
			list = append(list, Provider(p))
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}

// Provider names in words what a prefix before stored data means.
func Provider(stored string) string {
	if rest, ok := strings.CutPrefix(stored, prefixKMSv2); ok {
		return "KMS v2 provider " + providerName(rest)
	}
	if rest, ok := strings.CutPrefix(stored, prefixKMSv1); ok {
		return "KMS v1 provider " + providerName(rest) + " (deprecated)"
	}
	if rest, ok := strings.CutPrefix(stored, prefix); ok {
		name, _, _ := strings.Cut(rest, ":")
		switch name {
		case "aescbc", "aesgcm", "secretbox":
			return name + " (a key in a file of the API server, no KMS)"
		}
		return "an unknown provider " + name
	}
	return "plaintext"
}

// providerName is what stands before the next colon.
func providerName(rest string) string {
	name, _, _ := strings.Cut(rest, ":")
	return cmp.Or(name, "without a name")
}
