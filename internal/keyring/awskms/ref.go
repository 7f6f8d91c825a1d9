package awskms

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Parameters of a key URI.
const (
	// paramRegion is where an alias is looked up. An ARN says so itself.
	paramRegion = "region"
	// paramWindow is the number of days between Destroy and the end of the key.
	paramWindow = "deletionDays"
)

// The days AWS takes for a deletion window.
const (
	minWindow = 7
	maxWindow = 30
)

var (
	// The region becomes part of the host that credentials are sent to, hence the strict form.
	regionPattern = regexp.MustCompile(`^[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}$`)
	arnPattern    = regexp.MustCompile(`^arn:aws(?:-[a-z]+)*:kms:([a-z0-9-]+):[0-9]{12}:(key|alias)/([A-Za-z0-9/_-]+)$`)
	aliasPattern  = regexp.MustCompile(`^alias/[A-Za-z0-9/_-]+$`)
)

// key is where a key URI leads.
type key struct {
	id     string // ARN, or alias/<name>
	region string
	alias  bool
	window int32
}

// parse reads a key URI. A bare alias needs the region: without it, the same URI would mean another key for an operator
// in another region.
func parse(ref keyring.KeyRef) (key, error) {
	window, err := parseWindow(ref.Query)
	if err != nil {
		return key{}, err
	}
	k := key{id: ref.Path, region: ref.Query.Get(paramRegion), alias: true, window: window}
	if arn := arnPattern.FindStringSubmatch(ref.Path); arn != nil {
		if k.region != "" && k.region != arn[1] {
			return key{}, keyring.Errorf(keyring.Unsupported, "region=%s contradicts the ARN, which says %s; leave the parameter out", keyring.Quote(k.region), arn[1])
		}
		k.region, k.alias = arn[1], arn[2] == "alias"
	} else if !aliasPattern.MatchString(ref.Path) {
		return key{}, keyring.Errorf(keyring.Unsupported,
			"expected awskms://<ARN of a key or alias>, such as awskms://arn:aws:kms:us-east-1:111122223333:key/<id>, or awskms://alias/<name>?region=<region>")
	}
	if !regionPattern.MatchString(k.region) {
		return key{}, keyring.Errorf(keyring.Unsupported, "region %s: expected one such as us-east-1, in the ARN or as parameter region", keyring.Quote(k.region))
	}
	return k, nil
}

// parseWindow reads the deletion window, and looks that there are no unknown parameters.
func parseWindow(query url.Values) (int32, error) {
	for name := range query {
		if name != paramRegion && name != paramWindow {
			return 0, keyring.Errorf(keyring.Unsupported, "parameter %s is unknown; expected %s, %s or scope", keyring.Quote(name), paramRegion, paramWindow)
		}
	}
	if !query.Has(paramWindow) {
		return maxWindow, nil
	}
	days, err := strconv.ParseInt(query.Get(paramWindow), 10, 32)
	if err != nil || days < minWindow || days > maxWindow {
		return 0, keyring.Errorf(keyring.Unsupported, "%s=%s: expected %d to %d", paramWindow, keyring.Quote(query.Get(paramWindow)), minWindow, maxWindow)
	}
	return int32(days), nil
}

func lastSegment(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
