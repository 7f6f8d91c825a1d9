package azurekeyvault

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// suffixes of the hosts of vaults and managed HSMs, public and sovereign. A token of the operator is sent to the host, so it
// must be Microsoft's.
var suffixes = []string{
	".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net",
	".managedhsm.azure.net", ".managedhsm.azure.cn", ".managedhsm.usgovcloudapi.net",
}

// paramRegion says where the vault is, which the vault itself does not.
const paramRegion = "region"

var (
	vaultPattern  = regexp.MustCompile(`^[A-Za-z](-?[A-Za-z0-9]){2,23}$`)
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9-]{1,127}$`)
	regionPattern = regexp.MustCompile(`^[a-z][a-z0-9]{1,40}$`)
)

// key is where a key URI leads.
type key struct{ host, name string }

// id is the key's name in Azure, without a version.
func (k key) id() string { return "https://" + k.host + "/keys/" + k.name }

func parse(ref keyring.KeyRef) (key, error) {
	for name := range ref.Query {
		if name != paramRegion {
			return key{}, keyring.Errorf(keyring.Unsupported, "parameter %s is unknown; expected %s or scope", keyring.Quote(name), paramRegion)
		}
	}
	if region := ref.Query.Get(paramRegion); ref.Query.Has(paramRegion) && !regionPattern.MatchString(region) {
		return key{}, keyring.Errorf(keyring.Unsupported, "region %s: expected one such as eastus", keyring.Quote(region))
	}
	segments := strings.Split(ref.Path, "/")
	if len(segments) != 3 || segments[1] != "keys" || !namePattern.MatchString(segments[2]) {
		return key{}, keyring.Errorf(keyring.Unsupported, "expected azurekeyvault://<vault>/keys/<name>, without a version: the latest one wraps")
	}
	host, err := hostOf(segments[0])
	return key{host: host, name: segments[2]}, err
}

func hostOf(vault string) (string, error) {
	vault = strings.ToLower(vault)
	name, rest, isHost := strings.Cut(vault, ".")
	if !vaultPattern.MatchString(name) {
		return "", keyring.Errorf(keyring.Unsupported, "%s is no name of a vault: expected 3 to 24 letters, digits and single hyphens", keyring.Quote(name))
	}
	if !isHost {
		return name + suffixes[0], nil
	}
	if !slices.Contains(suffixes, "."+rest) {
		return "", keyring.Errorf(keyring.Unsupported, "%s is no host of Azure Key Vault: expected the name of a vault, or a host under one of %s",
			keyring.Quote(vault), strings.Join(suffixes, " "))
	}
	return vault, nil
}
