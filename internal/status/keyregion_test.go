package status

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// TestKeyRegion: where a key lives is claimed by whoever says so, and by nobody where nobody does. A restart, after which
// the KMS has not been asked yet, changes no word.
func TestKeyRegion(t *testing.T) {
	const unknown, byURI, byKMS = "the region of the key is not known", "the key URI says that the key lives in region us-east-1, which the KMS does not confirm",
		"the KMS says that the key lives in region us-west-2"
	for _, tc := range []struct {
		name         string
		asked        bool
		told, inURI  string
		want, reborn string // after a restart
	}{
		{"nobody says", true, "", "", unknown, unknown},
		{"the KMS says", true, "us-west-2", "", byKMS, byKMS},
		{"the KMS says otherwise than the URI", true, "us-west-2", "us-east-1", byKMS, byKMS},
		{"the URI says", true, "", "us-east-1", byURI, byURI},
		{"nobody was asked", false, "", "", unknown, unknown},
	} {
		in := ready()
		in.Keys.Asked, in.Keys.Region, in.Plan.KeyRegion = tc.asked, tc.told, tc.inURI
		in.Keys.Statuses = []v1alpha1.KeyStatus{{Name: "default", Assurance: v1alpha1.ReasonKMSWrapped}}
		message := func() string {
			in.Tenant.Status = Compute(in)
			return meta.FindStatusCondition(in.Tenant.Status.Conditions, v1alpha1.ConditionEncryptionReady).Message
		}
		if got := message(); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q; want %q", tc.name, got, tc.want)
		}
		in.Keys.Asked, in.Keys.Region = false, ""
		if got := message(); !strings.Contains(got, tc.reborn) {
			t.Errorf("%s, after a restart: %q; want %q", tc.name, got, tc.reborn)
		}
		in.Tenant.Generation++
		if got := message(); strings.Contains(got, byKMS) {
			t.Errorf("%s, for another spec: %q; want no claim the KMS did not make", tc.name, got)
		}
	}
}
