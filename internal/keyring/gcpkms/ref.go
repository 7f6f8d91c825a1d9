package gcpkms

import (
	"hash/crc32"
	"regexp"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// keyName is a parsed reference: the whole resource name, and the location within it.
type keyName struct{ key, location string }

// namePattern is the resource name of a key: project ids may hold a domain (example.com:project), rings and keys have up
// to 63 characters.
var namePattern = regexp.MustCompile(`^projects/[a-z0-9][a-z0-9.:-]*/locations/([a-z0-9-]+)/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}$`)

func parse(ref keyring.KeyRef) (keyName, error) {
	found := namePattern.FindStringSubmatch(ref.Path)
	if found == nil || len(ref.Query) > 0 {
		return keyName{}, keyring.Errorf(keyring.Unsupported,
			"expected gcpkms://projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key> without a version and without parameters but scope")
	}
	return keyName{key: ref.Path, location: found[1]}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(data []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(data, castagnoli)))
}
