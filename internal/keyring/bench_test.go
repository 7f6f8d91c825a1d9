package keyring_test

import (
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// BenchmarkUnchanged is what each tenant costs at a restart of the operator.
func BenchmarkUnchanged(b *testing.B) {
	clock := clocktesting.NewFakePassiveClock(start)
	ring := keyring.New(clock, newKMS("one", clock))
	req := request()
	out, err := ring.Ensure(b.Context(), req)
	if err != nil {
		b.Fatal(err)
	}
	req = with(req, out)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Ensure(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreate is what a new tenant costs besides its KMS.
func BenchmarkCreate(b *testing.B) {
	clock := clocktesting.NewFakePassiveClock(start)
	kms := newKMS("one", clock)
	ring := keyring.New(clock, kms.Provider)
	req := request()
	req.KeyURI = "local://acme"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Ensure(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
