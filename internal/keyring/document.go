package keyring

import (
	"strconv"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// The document is defined once, for the operator and for the applications that read it: package document.
type (
	// Keyset is the document of one namespace.
	Keyset = document.Keyset
	// Entry is one version of one data key.
	Entry = document.Entry
	// State of one version of a data key.
	State = document.State
	// Binding says where one sealed data key belongs.
	Binding = document.Binding
	// KeyRef is a parsed key URI.
	KeyRef = document.KeyRef

	id    = document.ID
	owner = document.Owner
)

// States, and the field "schema" of every document.
const (
	Primary     = document.Primary
	DecryptOnly = document.DecryptOnly
	Retired     = document.Retired
	Schema      = document.Schema
	Algorithm   = document.Algorithm
	ScopeTenant = document.ScopeTenant
)

// Quote makes text of others fit for a message: one line, printable, at most 200 characters, in quotation marks.
func Quote(text string) string { return document.Quote(text) }

// ParseKeyURI reads scheme://path[?parameters], see document.ParseKeyURI. Errors are of kind Unsupported.
func ParseKeyURI(uri string) (KeyRef, error) {
	ref, err := document.ParseKeyURI(uri)
	if err != nil {
		return KeyRef{}, about("key URI "+Quote(redactUser(uri)), Errorf(Unsupported, "%s", err))
	}
	return ref, nil
}

// redactUser blanks what looks like user:password@ so that a mistake does not spread a credential.
func redactUser(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	i := strings.LastIndex(rest, "@")
	if !ok || i < 0 {
		return uri
	}
	return scheme + "://[removed]" + rest[i:]
}

// parseKeyset reads a document strictly. Errors are of kind Foreign.
func parseKeyset(raw []byte) (Keyset, error) {
	k, err := document.Parse(raw)
	return k, foreign(err)
}

// belongs checks that a keyset is bound to its owner. Errors are of kind Foreign.
func belongs(k Keyset, o owner, formerUIDs []string) error {
	return foreign(k.Belongs(o, formerUIDs))
}

// leftAlone ends every message about a foreign keyset.
const leftAlone = "it was left as it is. Restore this namespace's own keyset, or, when nothing is encrypted with this one, delete the Secret"

func foreign(err error) error {
	if err == nil {
		return nil
	}
	return Errorf(Foreign, "%s; %s", err, leftAlone)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
