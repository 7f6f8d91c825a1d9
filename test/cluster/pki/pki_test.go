package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/pki"
)

func authority(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func parse(t *testing.T, pair pki.Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatalf("certificate and key do not belong together: %v", err)
	}
	return loaded.Leaf
}

func verify(t *testing.T, ca *pki.CA, cert *x509.Certificate, usage x509.ExtKeyUsage, at time.Time) error {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Pair().Cert) {
		t.Fatal("the authority's certificate is not PEM")
	}
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestServerCertificate(t *testing.T) {
	ca := authority(t)
	pair, err := ca.Server("api", "127.0.0.1", "localhost", "::1")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	if err := verify(t, ca, cert, x509.ExtKeyUsageServerAuth, time.Now()); err != nil {
		t.Error(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "::1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if cert.VerifyHostname("127.0.0.2") == nil {
		t.Error("expected another address to be refused")
	}
	if verify(t, ca, cert, x509.ExtKeyUsageClientAuth, time.Now()) == nil {
		t.Error("expected a server's certificate to be no client's")
	}
}

func TestClientCertificate(t *testing.T) {
	ca := authority(t)
	pair, err := ca.Client("dana", "auditors", "staff")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	if err := verify(t, ca, cert, x509.ExtKeyUsageClientAuth, time.Now()); err != nil {
		t.Error(err)
	}
	if verify(t, ca, cert, x509.ExtKeyUsageServerAuth, time.Now()) == nil {
		t.Error("expected a client's certificate to be no server's")
	}
	groups := slices.Sorted(slices.Values(cert.Subject.Organization)) // the encoding is a set
	if cert.Subject.CommonName != "dana" || !cmp.Equal(groups, []string{"auditors", "staff"}) {
		t.Errorf("expected dana of auditors and staff, found %s of %v", cert.Subject.CommonName, cert.Subject.Organization)
	}
	if cert.IsCA {
		t.Error("expected a client's certificate that cannot sign others")
	}
}

func TestLifetime(t *testing.T) {
	ca := authority(t)
	pair, err := ca.Client("dana")
	if err != nil {
		t.Fatal(err)
	}
	cert, now := parse(t, pair), time.Now()
	for at, valid := range map[time.Duration]bool{
		-2 * time.Hour: false, -30 * time.Minute: true, 0: true, 300 * 24 * time.Hour: true, 400 * 24 * time.Hour: false,
	} {
		if err := verify(t, ca, cert, x509.ExtKeyUsageClientAuth, now.Add(at)); (err == nil) != valid {
			t.Errorf("valid at now%+v: expected %v, found %v", at, valid, err)
		}
	}
}

func TestOtherAuthorityIsRefused(t *testing.T) {
	pair, err := authority(t).Client("dana")
	if err != nil {
		t.Fatal(err)
	}
	if verify(t, authority(t), parse(t, pair), x509.ExtKeyUsageClientAuth, time.Now()) == nil {
		t.Error("expected a certificate of another authority to be refused")
	}
}

func TestSerialNumbersDiffer(t *testing.T) {
	ca, seen := authority(t), map[string]bool{}
	for range 10 {
		pair, err := ca.Client("dana")
		if err != nil {
			t.Fatal(err)
		}
		serial := parse(t, pair).SerialNumber
		if serial.Sign() <= 0 || seen[serial.String()] {
			t.Fatalf("expected a new positive serial number, found %v", serial)
		}
		seen[serial.String()] = true
	}
}

func TestLoadedAuthoritySigns(t *testing.T) {
	ca, dir := authority(t), t.TempDir()
	if err := ca.Pair().Write(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.crt", "ca.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("expected mode 0600 of %s, found %v", name, info.Mode())
		}
	}
	loaded, err := pki.LoadCA(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := loaded.Client("dana")
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, ca, parse(t, pair), x509.ExtKeyUsageClientAuth, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestLoadCAFails(t *testing.T) {
	good := authority(t).Pair()
	notDER := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	for _, tc := range []struct {
		name string
		pair pki.Pair
		want string
	}{
		{"no PEM certificate", pki.Pair{Cert: []byte("x"), Key: good.Key}, "in PEM"},
		{"no PEM key", pki.Pair{Cert: good.Cert, Key: []byte("x")}, "in PEM"},
		{"damaged certificate", pki.Pair{Cert: notDER, Key: good.Key}, "certificate"},
		{"damaged key", pki.Pair{Cert: good.Cert, Key: notDER}, "key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tc.pair.Write(dir, "ca"); err != nil {
				t.Fatal(err)
			}
			if _, err := pki.LoadCA(dir, "ca"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("expected an error about %q, found %v", tc.want, err)
			}
		})
	}
	for _, missing := range []string{"ca.crt", "ca.key"} {
		dir := t.TempDir()
		if err := good.Write(dir, "ca"); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, missing)); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.LoadCA(dir, "ca"); !os.IsNotExist(err) {
			t.Errorf("without %s: expected an error that it does not exist, found %v", missing, err)
		}
	}
}

func TestWriteFails(t *testing.T) {
	if err := authority(t).Pair().Write(filepath.Join(t.TempDir(), "missing"), "ca"); err == nil {
		t.Error("expected an error for a missing directory, found none")
	}
}

func TestNewKey(t *testing.T) {
	text, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		t.Fatal("expected one PEM block")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := key.Params().Name; got != "P-256" {
		t.Errorf("expected P-256, found %s", got)
	}
}
