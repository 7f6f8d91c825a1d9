package status

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

func encryptionReady(in Inputs, s v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionEncryptionReady
	switch in.Keys.Reason {
	case "":
	case v1alpha1.ReasonKMSUnreachable:
		return condition(kind, unknown, in.Keys.Reason, in.Keys.Message)
	default:
		return condition(kind, no, in.Keys.Reason, in.Keys.Message)
	}
	if c, failed := failure(in, kind, "Secret"); failed {
		return c
	}
	if !in.Applied.clean() {
		return kept(in, kind)
	}
	if slices.ContainsFunc(s.Keys, func(k v1alpha1.KeyStatus) bool { return k.Assurance == v1alpha1.ReasonSoftwareKey }) {
		return atRest(in, condition(kind, yes, v1alpha1.ReasonSoftwareKey,
			"data keys are wrapped by a software key: whoever can read the Secrets of the operator's namespace, or an etcd backup, can unwrap them"))
	}
	return atRest(in, condition(kind, yes, v1alpha1.ReasonKMSWrapped, fmt.Sprintf("%d data keys wrapped by %s; %s",
		len(s.Keys), in.Tenant.Spec.Encryption.KeyURI, keyRegion(in))))
}

// told begins what is said of a key whose KMS tells where it is.
const told = "the KMS says that the key lives in region "

// keyRegion says where the key lives, and who says so.
func keyRegion(in Inputs) string {
	region := in.Keys.Region
	if !in.Keys.Asked {
		region = toldBefore(in)
	}
	switch {
	case region != "":
		return told + region
	case in.Plan.KeyRegion != "":
		return "the key URI says that the key lives in region " + in.Plan.KeyRegion + ", which the KMS does not confirm"
	}
	return "the region of the key is not known"
}

// toldBefore is the region the KMS told before the operator was started: what it said of this spec still counts, and a
// restart writes no status.
func toldBefore(in Inputs) string {
	said := meta.FindStatusCondition(in.Tenant.Status.Conditions, v1alpha1.ConditionEncryptionReady)
	if said == nil || said.ObservedGeneration != in.Tenant.Generation {
		return ""
	}
	_, rest, _ := strings.Cut(said.Message, told)
	region, _, _ := strings.Cut(rest, ";")
	return region
}

// atRest adds to a condition that speaks of keys what was observed of Secrets in etcd.
func atRest(in Inputs, keys metav1.Condition) metav1.Condition {
	for _, seen := range []struct {
		code   string
		status metav1.ConditionStatus
		reason string
	}{
		{compile.CodeEncryptedAtRest, yes, keys.Reason},
		{compile.CodeAtRestWithoutKMS, yes, keys.Reason},
		{compile.CodeNotEncryptedAtRest, no, v1alpha1.ReasonNotEncryptedAtRest},
		{compile.CodePlaintextAtRest, no, v1alpha1.ReasonPlaintextAtRest},
		{compile.CodeAtRestUnknown, unknown, v1alpha1.ReasonAtRestUnknown},
		{compile.CodeAtRestAttested, unknown, v1alpha1.ReasonAtRestAttested},
	} {
		if f, found := finding(in.Plan, seen.code); found {
			return condition(keys.Type, seen.status, seen.reason, keys.Message+"; Secrets in etcd: "+f.Message)
		}
	}
	return keys
}
