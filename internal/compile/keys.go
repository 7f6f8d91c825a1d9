package compile

import (
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

func (r *resolved) resolveKeys(f Facts, p *Plan) {
	e, rules := r.tenant.Spec.Encryption, r.profile.Spec.Keys
	if !slices.ContainsFunc(rules.AllowedURIs, func(pattern string) bool { return allows(pattern, e.KeyURI) }) {
		p.find(v1alpha1.SeverityError, CodeKeyURINotAllowed, "spec.encryption.keyURI",
			"keyURI %s matches none of keys.allowedURIs of profile %s: %s", e.KeyURI, r.profile.Name, strings.Join(rules.AllowedURIs, ", "))
	}
	if strings.HasPrefix(strings.ToLower(e.KeyURI), "local:") && !rules.AllowSoftwareKeys {
		p.find(v1alpha1.SeverityError, CodeSoftwareKeyNotAllowed, "spec.encryption.keyURI",
			"keyURI %s is a software key and profile %s has keys.allowSoftwareKeys false: name a key in a KMS", e.KeyURI, r.profile.Name)
	}
	r.resolveKeyRegion(f, p)
	limit := rules.MaxRotationPeriod.Value()
	r.rotation = e.RotationPeriod.Value()
	if r.rotation > limit {
		p.find(v1alpha1.SeverityWarning, CodeRotationPeriodCapped, "spec.encryption.rotationPeriod",
			"rotationPeriod %s is above keys.maxRotationPeriod of profile %s; %s is used", e.RotationPeriod, r.profile.Name, rules.MaxRotationPeriod)
	}
	if r.rotation == 0 || r.rotation > limit {
		r.rotation = limit
	}
	p.RetireAfter = limit
}

// resolveKeyRegion keeps keys in the tenant's regions: data that may not leave a region is worth little when the key to
// it lies in another. What neither the key URI nor the KMS tells is not held against the key, and never claimed.
func (r *resolved) resolveKeyRegion(f Facts, p *Plan) {
	uri := r.tenant.Spec.Encryption.KeyURI
	if ref, err := document.ParseKeyURI(uri); err == nil {
		p.KeyRegion = keyRegion(ref)
	}
	p.KeyRegions = PermittedRegions(r.tenant, r.profile)
	if len(p.KeyRegions) == 0 {
		return // there is a finding for each of the regions already
	}
	for _, told := range []struct{ by, region string }{{"the key URI", p.KeyRegion}, {"the KMS", f.KeyRegion}} {
		home := func(region string) bool { return strings.EqualFold(region, told.region) }
		if told.region != "" && !slices.ContainsFunc(p.KeyRegions, home) {
			p.find(v1alpha1.SeverityError, CodeKeyRegionForeign, "spec.encryption.keyURI",
				"%s says that key %s lives in region %s, and the tenant's regions are %s: name a key in one of these", told.by, uri, told.region, orNothing(p.KeyRegions))
			return
		}
	}
}

// keyRegion is the region a key URI names: in its parameter, or in the key's own name. Empty when it names none.
//
//	awskms://arn:aws:kms:us-east-1:111122223333:key/...
//	gcpkms://projects/p/locations/us-east1/keyRings/r/cryptoKeys/k
func keyRegion(ref document.KeyRef) string {
	if ref.Region != "" {
		return ref.Region
	}
	switch ref.Scheme {
	case "awskms":
		if arn := strings.Split(ref.Path, ":"); len(arn) > 3 && arn[0] == "arn" {
			return arn[3]
		}
	case "gcpkms":
		path := strings.Split(ref.Path, "/")
		if i := slices.Index(path, "locations"); i >= 0 && i+1 < len(path) {
			return path[i+1]
		}
	}
	return ""
}

// allows says whether a key URI fits a pattern of the profile. A * stands for any run of characters on its side of the
// question mark: no parameter can supply what the pattern asks of the key's name. A pattern without parameters permits
// any; those a provider does not know it refuses.
func allows(pattern, uri string) bool {
	name, parameters, _ := strings.Cut(uri, "?")
	namePattern, parameterPattern, asks := strings.Cut(pattern, "?")
	return matches(namePattern, name) && (!asks || matches(parameterPattern, parameters))
}

// matches says whether s fits pattern, in which * stands for any run of characters.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) || len(s) < len(first)+len(last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = after
	}
	return true
}
