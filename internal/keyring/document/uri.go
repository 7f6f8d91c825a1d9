package document

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// KeyRef is a parsed key URI.
type KeyRef struct {
	// Scheme chooses the provider, such as "vault".
	Scheme string
	// Path is what stands between "://" and "?"; the provider gives it meaning.
	Path string
	// Query holds the parameters that help to find the key, such as region.
	Query url.Values
	// Scope is the parameter "scope": "tenant" says that this key serves one tenant alone, so that destroying it
	// destroys that tenant's data keys and nobody else's. Empty means shared. It is not part of ID.
	Scope string
	// Region is the parameter "region": where the key lives. It is part of ID where it helps to find the key. In schemes
	// whose KMS knows no regions it is somebody's word for it, and not part of ID.
	Region string
}

// declared are the schemes in which a region is somebody's word and nothing else.
var declared = map[string]bool{"vault": true, "kmsv2+unix": true}

// ScopeTenant is the only value of the parameter "scope".
const ScopeTenant = "tenant"

// maxURI is the limit of spec.encryption.keyURI, in bytes.
const maxURI = 512

var (
	schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	regionPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	pathPattern   = regexp.MustCompile(`^[A-Za-z0-9._~:/+=,-]+$`)
)

// ParseKeyURI reads scheme://path[?parameters]. Percent-encoding, fragments, user names and path segments "." and
// ".." are refused: no KMS needs them in a key's name, and each is a way to mean another key than the one a
// reader sees. Errors do not repeat the URI, which may hold a credential.
func ParseKeyURI(uri string) (KeyRef, error) {
	if len(uri) > maxURI {
		return KeyRef{}, fmt.Errorf("longer than %d characters", maxURI)
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || !schemePattern.MatchString(scheme) {
		return KeyRef{}, errors.New("expected scheme://key, such as vault://transit/acme-health")
	}
	path, rawQuery, _ := strings.Cut(rest, "?")
	if err := checkPath(path); err != nil {
		return KeyRef{}, err
	}
	query, err := parseQuery(rawQuery)
	if err != nil {
		return KeyRef{}, err
	}
	scope := query.Get("scope")
	if query.Has("scope") && scope != ScopeTenant {
		return KeyRef{}, fmt.Errorf("scope=%s is unknown; the only scope is %q", Quote(scope), ScopeTenant)
	}
	query.Del("scope")
	region := query.Get("region")
	if query.Has("region") && !regionPattern.MatchString(region) {
		return KeyRef{}, fmt.Errorf("region=%s is no name of a region, such as us-east-1", Quote(region))
	}
	if declared[scheme] {
		query.Del("region")
	}
	return KeyRef{Scheme: scheme, Path: path, Query: query, Scope: scope, Region: region}, nil
}

func checkPath(path string) error {
	if strings.Contains(path, "@") {
		return errors.New("a user name or password has no place in a key URI; credentials are given to the operator")
	}
	if !pathPattern.MatchString(path) {
		return errors.New("the part after :// must name a key with letters, digits and . _ ~ : / + = , -")
	}
	// One leading slash is a file path (kmsv2+unix:///run/kms.sock).
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errors.New("the path must not hold empty segments, \".\" or \"..\"")
		}
	}
	return nil
}

func parseQuery(raw string) (url.Values, error) {
	if strings.Contains(raw, "#") {
		return nil, errors.New("a fragment (#) has no meaning in a key URI")
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the part after ? must be name=value pairs joined by &")
	}
	for name, values := range query {
		if len(values) != 1 {
			return nil, fmt.Errorf("parameter %s is given %d times; once is enough", Quote(name), len(values))
		}
	}
	return query, nil
}

// ID names the key within its scheme: the path, and the parameters sorted by name. It is the field keyRef of a
// keyset; scheme and ID make a key URI again.
func (r KeyRef) ID() string {
	if len(r.Query) == 0 {
		return r.Path
	}
	return r.Path + "?" + r.Query.Encode()
}

// URI is scheme://ID.
func (r KeyRef) URI() string { return r.Scheme + "://" + r.ID() }
