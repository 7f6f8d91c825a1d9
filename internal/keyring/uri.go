package keyring

import (
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
}

// ScopeTenant is the only value of the parameter "scope".
const ScopeTenant = "tenant"

// maxURI is the limit of spec.encryption.keyURI, in bytes.
const maxURI = 512

var (
	schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	pathPattern   = regexp.MustCompile(`^[A-Za-z0-9._~:/+=,-]+$`)
)

// ParseKeyURI reads scheme://path[?parameters]. Percent-encoding, fragments, user names and path segments "." and
// ".." are refused: no KMS needs them in a key's name, and each is a way to mean another key than the one a
// reader sees. Errors are of kind Unsupported.
func ParseKeyURI(uri string) (KeyRef, error) {
	ref, problem := parseKeyURI(uri)
	if problem != nil {
		problem.Subject = "key URI " + Quote(redactUser(uri))
		return KeyRef{}, problem
	}
	return ref, nil
}

func parseKeyURI(uri string) (KeyRef, *Error) {
	if len(uri) > maxURI {
		return KeyRef{}, Errorf(Unsupported, "longer than %d characters", maxURI)
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || !schemePattern.MatchString(scheme) {
		return KeyRef{}, Errorf(Unsupported, "expected scheme://key, such as vault://transit/acme-health")
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
		return KeyRef{}, Errorf(Unsupported, "scope=%s is unknown; the only scope is %q", Quote(scope), ScopeTenant)
	}
	query.Del("scope")
	return KeyRef{Scheme: scheme, Path: path, Query: query, Scope: scope}, nil
}

func checkPath(path string) *Error {
	if strings.Contains(path, "@") {
		return Errorf(Unsupported, "a user name or password has no place in a key URI; credentials are given to the operator")
	}
	if !pathPattern.MatchString(path) {
		return Errorf(Unsupported, "the part after :// must name a key with letters, digits and . _ ~ : / + = , -")
	}
	// One leading slash is a file path (kmsv2+unix:///run/kms.sock).
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return Errorf(Unsupported, "the path must not hold empty segments, \".\" or \"..\"")
		}
	}
	return nil
}

func parseQuery(raw string) (url.Values, *Error) {
	if strings.Contains(raw, "#") {
		return nil, Errorf(Unsupported, "a fragment (#) has no meaning in a key URI")
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, Errorf(Unsupported, "the part after ? must be name=value pairs joined by &")
	}
	for name, values := range query {
		if len(values) != 1 {
			return nil, Errorf(Unsupported, "parameter %s is given %d times; once is enough", Quote(name), len(values))
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

// redactUser blanks what looks like user:password@ so that a mistake does not spread a credential.
func redactUser(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	i := strings.LastIndex(rest, "@")
	if !ok || i < 0 {
		return uri
	}
	return scheme + "://[removed]" + rest[i:]
}
