package controllers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// nextStep is when the step of a rotation that was just written is in the cache, and the next may follow.
const nextStep = time.Second

// keyWork is what became of a tenant's keys.
type keyWork struct {
	// keysets to stand, by namespace; nil when they could not be made.
	keysets map[string]compile.Keyset
	// replaced are the namespaces whose standing keyset changes.
	replaced map[string]bool
	// changes to tell once the keysets stand.
	changes []keyring.Change
	// next is when to look again; zero on a problem.
	next time.Time
	// abroad is the region of a key that the tenant may not use, as its KMS tells it.
	abroad string
	status status.Keys
}

// makeKeys makes or checks the data keys of all namespaces. A KMS that fails is an outcome, not an error: the rest of
// the tenant goes on, and what stands is left alone.
func (r *TenantReconciler) makeKeys(ctx context.Context, t *v1alpha1.HIPAATenant, d decision) (keyWork, error) {
	if problem, err := r.beingShredded(ctx, t); err != nil || problem != nil {
		return keyWork{status: *cmp.Or(problem, &status.Keys{})}, err
	}
	standing, err := r.readKeysets(ctx, t, d.facts)
	if err != nil {
		return keyWork{}, fmt.Errorf("reading keysets: %w", err)
	}
	request := keyRequest(t, d, standing)
	request.ClusterUID = r.ClusterUID
	outcome, problem, err := r.ensureKeys(ctx, t, request)
	if err != nil {
		return keyWork{}, err
	}
	work := keyWork{status: keyProblem(problem), replaced: map[string]bool{}}
	if outcome.Key != nil {
		work.status.Asked, work.status.Region = true, outcome.Key.Region
	}
	if problem != nil {
		work.status.Statuses = highest(t.Status.Keys, outcome.Keys)
		if keyring.KindOf(problem) == keyring.Misplaced {
			work.abroad = outcome.Key.Region
		}
		return work, nil
	}
	work.keysets = map[string]compile.Keyset{}
	for namespace, document := range outcome.Keysets {
		before, stood := standing[namespace]
		work.keysets[namespace] = compile.Keyset{Document: document, ResourceVersion: before.ResourceVersion}
		work.replaced[namespace] = stood && !bytes.Equal(before.Document, document)
	}
	work.status.Statuses, work.changes, work.next = outcome.Keys, outcome.Changes, outcome.Next
	if outcome.Unfinished {
		work.next = r.Clock.Now().Add(nextStep)
	}
	noteKeys(t.Name, outcome)
	return work, nil
}

// ensureKeys asks the ring, and once more where only a tombstone can vouch for what stands. It takes nothing over from a
// tenant that was shredded. The problem is the ring's, the error that of a read.
func (r *TenantReconciler) ensureKeys(ctx context.Context, t *v1alpha1.HIPAATenant, request keyring.Request) (out keyring.Outcome, problem, err error) {
	if len(request.FormerUIDs) > 0 {
		_, shredded, err := r.buried(ctx, t)
		if err != nil {
			return out, nil, err
		}
		request.FormerUIDs = slices.DeleteFunc(request.FormerUIDs, func(uid string) bool { return slices.Contains(shredded, uid) })
	}
	out, problem = r.Keys.Ensure(ctx, request)
	if keyring.KindOf(problem) == keyring.Foreign {
		retained, _, err := r.buried(ctx, t)
		if err != nil {
			return out, nil, err
		}
		request.FormerUIDs = append(request.FormerUIDs, retained...)
		out, problem = r.Keys.Ensure(ctx, request)
	}
	return out, problem, nil
}

// highest is what the status says of keys after a problem: what stands, but nothing lower than what was seen before.
// Otherwise an old keyset that was restored, and found out, would be taken for the present one the next time.
func highest(seen, standing []v1alpha1.KeyStatus) []v1alpha1.KeyStatus {
	byName := map[string]v1alpha1.KeyStatus{}
	for _, k := range slices.Concat(seen, standing) {
		if known, found := byName[k.Name]; !found || k.PrimaryVersion >= known.PrimaryVersion {
			byName[k.Name] = k
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b v1alpha1.KeyStatus) int { return strings.Compare(a.Name, b.Name) })
}

func keyRequest(t *v1alpha1.HIPAATenant, d decision, standing map[string]compile.Keyset) keyring.Request {
	request := keyring.Request{
		Tenant: t.Name, TenantUID: string(t.UID),
		KeyURI: t.Spec.Encryption.KeyURI, RotationPeriod: d.plan.Rotation, RetireAfter: d.plan.RetireAfter,
		Regions: d.plan.KeyRegions, Doubtful: doubtful(t),
		Unproven: unproven(t),
		DataKeys: compile.DataKeyNames(t), Namespaces: compile.NamespaceNames(t),
		Keysets: map[string][]byte{}, PrimaryVersions: map[string]int64{},
	}
	for namespace, k := range standing {
		request.Keysets[namespace] = k.Document
	}
	for _, k := range t.Status.Keys {
		request.PrimaryVersions[k.Name] = k.PrimaryVersion
	}
	for _, n := range d.facts.Namespaces {
		if n.Tenant() == t.Name && n.TenantUID() != t.UID && n.TenantUID() != "" {
			request.FormerUIDs = append(request.FormerUIDs, string(n.TenantUID()))
		}
	}
	return request
}

// doubtful says that the last thing known of the tenant's key is that it was not in order.
func doubtful(t *v1alpha1.HIPAATenant) bool {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionEncryptionReady)
	return c != nil && slices.Contains([]string{v1alpha1.ReasonKMSUnreachable, v1alpha1.ReasonKMSRefused, v1alpha1.ReasonKeyUnsupported}, c.Reason)
}

// unproven says that the tenant's keys are not known to be in order. What is known of Secrets in etcd says nothing of them.
func unproven(t *v1alpha1.HIPAATenant) bool {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionEncryptionReady)
	return c == nil || !slices.Contains([]string{
		v1alpha1.ReasonKMSWrapped, v1alpha1.ReasonSoftwareKey, v1alpha1.ReasonNotEncryptedAtRest,
		v1alpha1.ReasonPlaintextAtRest, v1alpha1.ReasonAtRestUnknown, v1alpha1.ReasonAtRestAttested,
	}, c.Reason)
}

// readKeysets reads the keysets that stand, in every namespace the tenant names or remembers. That one is missing is
// believed only of a namespace that does not exist, which the first wave then has to create, or of a live read: a
// keyset made from a stale view would replace keys that data is encrypted with.
func (r *TenantReconciler) readKeysets(ctx context.Context, t *v1alpha1.HIPAATenant, f compile.Facts) (map[string]compile.Keyset, error) {
	standing := map[string]compile.Keyset{}
	for namespace, n := range f.Namespaces {
		if n.Tenant() != "" && n.Tenant() != t.Name {
			continue
		}
		key := client.ObjectKey{Namespace: namespace, Name: v1alpha1.SecretKeyset}
		secret := &corev1.Secret{}
		err := r.Client.Get(ctx, key, secret)
		if apierrors.IsNotFound(err) {
			err = r.Live.Get(ctx, key, secret)
		}
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, err
		default:
			standing[namespace] = compile.Keyset{Document: secret.Data[v1alpha1.KeysetKey], ResourceVersion: secret.ResourceVersion}
		}
	}
	return standing, nil
}

// keyProblem says why the keys could not be made; nothing when they could.
func keyProblem(err error) status.Keys {
	if err == nil {
		return status.Keys{}
	}
	reasons := map[keyring.Kind]string{
		keyring.Unreachable: v1alpha1.ReasonKMSUnreachable,
		keyring.Foreign:     v1alpha1.ReasonForeignKeyMaterial,
		keyring.Unsupported: v1alpha1.ReasonKeyUnsupported,
		keyring.Misplaced:   v1alpha1.ReasonKeyUnsupported,
	}
	reason, known := reasons[keyring.KindOf(err)]
	if !known {
		reason = v1alpha1.ReasonKMSRefused
	}
	return status.Keys{Reason: reason, Message: err.Error()}
}

// keysChanged tells what happened to keys, once it stands.
func (r *TenantReconciler) keysChanged(t *v1alpha1.HIPAATenant, changes []keyring.Change) {
	for _, c := range changes {
		kind, reason, message := corev1.EventTypeNormal, "", ""
		switch c.Kind {
		case keyring.Rotated:
			reason, message = "DataKeyRotated", fmt.Sprintf("data key %s: version %s is primary, version %s only decrypts", c.Key, c.To, c.From)
		case keyring.Rewrapped:
			reason, message = "DataKeyRewrapped", fmt.Sprintf("data key %s: wrapped by version %s of the KMS key, before by version %s; the data key is the same", c.Key, c.To, c.From)
		case keyring.RetiredKey:
			reason, message = "DataKeyRetired", fmt.Sprintf("data key %s: version %s is retired; it is kept", c.Key, c.From)
		case keyring.GivenBack:
			reason, message = "DataKeyGivenBack", fmt.Sprintf("data key %s: version %s was retired too soon and decrypts again", c.Key, c.From)
		case keyring.Lost:
			kind, reason = corev1.EventTypeWarning, "DataKeyLost"
			message = fmt.Sprintf("data key %s: no keyset was left; version %s was made, and what version %s or one before it encrypted cannot be read; restore its entries from a backup of Secret %s",
				c.Key, c.To, c.From, v1alpha1.SecretKeyset)
		case keyring.CaughtUp:
			kind, reason = corev1.EventTypeWarning, "KeysetCaughtUp"
			message = fmt.Sprintf("namespace %s held an older keyset, data key %s at version %s: restored from a backup, or away during a rotation; it was brought up to version %s of the other namespaces",
				c.Namespace, c.Key, c.From, c.To)
		}
		r.Recorder.Eventf(t, nil, kind, reason, "Reconcile", "%s", message)
	}
}
