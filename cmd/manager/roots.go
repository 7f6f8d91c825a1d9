package main

// The certificate authorities Mozilla trusts, for a machine that has none of its own, as an image of nothing but this program: by
// these the certificates of cloud key services are checked, and of a Vault without --vault-ca-file. A machine's own count where it
// has any.
import _ "golang.org/x/crypto/x509roots/fallback"
