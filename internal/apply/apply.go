package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Applier writes objects.
type Applier struct {
	writer client.Client
	live   client.Reader
	owner  string
	maker  string // owner of Secrets this process makes
	memory memory

	settled sync.Map // ref of an object of an optional kind -> settlement
}

// New returns an applier. It reads from writer's cache, which must hold stripped objects (Strip) of all Kinds, and from
// live, which asks the API server. owner is the field manager of every write.
func New(writer client.Client, live client.Reader, owner string) *Applier {
	return &Applier{writer: writer, live: live, owner: owner, maker: owner + "-" + rand.String(8)}
}

// Plan is what to write.
type Plan interface {
	// Waves of objects, in order.
	Waves() [][]runtime.ApplyConfiguration
	// Births says that an object must not exist before its first wave.
	Births(v1alpha1.ObjectRef) bool
}

// Result of an Apply.
type Result struct {
	// Written are the objects that were written, in order.
	Written []v1alpha1.ObjectRef
	// UIDs of the objects that stand now.
	UIDs map[v1alpha1.ObjectRef]types.UID
	// Failed are the objects that could not be written, and why.
	Failed map[v1alpha1.ObjectRef]error
	// Refused are objects of optional kinds that could not be written, and why. What one project's schema or webhook refuses
	// holds nothing else up, and is no error: the caller says so, and when to try again.
	Refused map[v1alpha1.ObjectRef]error
}

// note what became of an object.
func (r *Result) note(ref v1alpha1.ObjectRef, uid types.UID, wrote bool, err error) {
	switch {
	case err != nil && optional(ref) && !apierrors.IsConflict(err):
		r.Refused[ref] = err
	case err != nil:
		r.Failed[ref] = err
	default:
		r.UIDs[ref] = uid
		if wrote {
			r.Written = append(r.Written, ref)
		}
	}
}

// Err joins the failures; nil when there is none. The same failures give the same text, so that a status which quotes
// it is not written again and again.
func (r Result) Err() error {
	var list []error
	for ref, err := range r.Failed {
		list = append(list, fmt.Errorf("%s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err))
	}
	slices.SortFunc(list, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(list...)
}

// Apply writes the plan wave by wave and stops behind the first wave in which a write failed. An object that had to be
// born and exists already fails with AlreadyExists. Behind a Secret that could not be written no other of its wave is:
// they hold the same new keys, and where one namespace has got others meanwhile, one version would be two keys.
func (a *Applier) Apply(ctx context.Context, plan Plan) (Result, error) {
	r := Result{UIDs: map[v1alpha1.ObjectRef]types.UID{}, Failed: map[v1alpha1.ObjectRef]error{}, Refused: map[v1alpha1.ObjectRef]error{}}
	for _, wave := range plan.Waves() {
		broken := false // a Secret of this wave could not be written
		for _, config := range wave {
			want, err := newDesired(config)
			if err != nil {
				return r, err
			}
			if broken && want.ref.Kind == "Secret" {
				continue
			}
			_, seen := r.UIDs[want.ref]
			born := plan.Births(want.ref) && !seen
			uid, wrote, err := a.applyOne(ctx, want, born)
			r.note(want.ref, uid, wrote, err)
			broken = broken || err != nil && want.ref.Kind == "Secret"
		}
		if len(r.Failed) > 0 {
			break
		}
	}
	return r, r.Err()
}

func (a *Applier) applyOne(ctx context.Context, want desired, born bool) (types.UID, bool, error) {
	if born {
		s, err := a.create(ctx, want)
		return s.uid, true, err
	}
	live, found, err := a.standing(ctx, want.object)
	if err != nil {
		return "", false, err
	}
	pinned := want.object.GetUID()
	if found && a.same(want, live.digest) && (pinned == "" || pinned == live.uid) {
		return live.uid, false, nil
	}
	s, err := a.patch(ctx, want)
	return s.uid, true, err
}

// standing is the newest that is known of an object: what the cache says, or what this process wrote since.
func (a *Applier) standing(ctx context.Context, obj client.Object) (standing, bool, error) {
	ref := RefOf(obj)
	written, wrote := a.memory.recall(ref)
	cached, _ := empty(ref.Kind)
	err := a.writer.Get(ctx, client.ObjectKeyFromObject(obj), cached)
	switch {
	case apierrors.IsNotFound(err) && wrote && time.Since(written.at) > trust:
		return a.standingLive(ctx, ref)
	case apierrors.IsNotFound(err):
		return written, wrote, nil
	case err != nil:
		return standing{}, false, err
	case wrote && newer(written.version, cached.GetResourceVersion()):
		return written, true, nil
	}
	digest, _ := strippedDigest(cached)
	return standing{uid: cached.GetUID(), version: cached.GetResourceVersion(), digest: digest}, true, nil
}

// standingLive asks the API server for an object that was written and never appeared in the cache: somebody may have
// deleted it before the cache saw it, and then no event ever tells.
func (a *Applier) standingLive(ctx context.Context, ref v1alpha1.ObjectRef) (standing, bool, error) {
	obj, _ := empty(ref.Kind)
	err := a.live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, obj)
	if apierrors.IsNotFound(err) {
		a.memory.forget(ref)
		return standing{}, false, nil
	}
	return standing{uid: obj.GetUID(), version: obj.GetResourceVersion(), digest: Digest(obj)}, err == nil, err
}

// create makes an object that must not exist.
func (a *Applier) create(ctx context.Context, want desired) (standing, error) {
	obj := want.object.DeepCopyObject().(client.Object)
	if err := a.writer.Create(ctx, obj, client.FieldOwner(a.owner)); err != nil {
		return standing{}, err
	}
	return a.wrote(want.ref, obj), nil
}

// patch applies the object and makes sure that nothing was left in it that is not ours: a field somebody else added to
// the body survives a server-side apply, so then the whole object is replaced.
func (a *Applier) patch(ctx context.Context, want desired) (standing, error) {
	obj, _ := empty(want.ref.Kind)
	obj.SetNamespace(want.ref.Namespace)
	obj.SetName(want.ref.Name)
	err := a.writer.Patch(ctx, obj, client.RawPatch(types.ApplyPatchType, want.body), a.options(want)...)
	if wanted, binding := want.object.(*rbacv1.RoleBinding); binding && apierrors.IsInvalid(err) {
		return a.rebind(ctx, want, wanted.RoleRef, err)
	}
	if apierrors.IsInvalid(err) && optional(want.ref) {
		err = a.standsInTheWay(ctx, obj, err)
	}
	if err != nil {
		return standing{}, err
	}
	if !a.same(want, Digest(obj)) {
		if obj, err = a.replace(ctx, want, obj); err != nil {
			return standing{}, fmt.Errorf("removing what others added: %w", err)
		}
	}
	return a.wrote(want.ref, obj), nil
}

// standsInTheWay reads an object whose apply was refused, so that it is replaced: a field that somebody added may be what does not
// go together with ours. It returns why it was refused when there is no such object.
func (a *Applier) standsInTheWay(ctx context.Context, obj client.Object, refused error) error {
	if err := a.live.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return refused
	}
	return nil
}

// options are those of a forced apply, but for a Secret that was not there when it was decided on. If another process
// made one meanwhile, a forced write would replace keys that data is encrypted with. Unforced and under an owner of this
// process alone, it ends in a conflict, and the next attempt sees what stands.
func (a *Applier) options(want desired) []client.PatchOption {
	if want.ref.Kind == "Secret" && want.object.GetResourceVersion() == "" {
		return []client.PatchOption{client.FieldOwner(a.maker)}
	}
	return []client.PatchOption{client.FieldOwner(a.owner), client.ForceOwnership}
}

// replace overwrites the body of live by the wanted one and drops our labels and annotations that are not wanted. What
// belongs to others in the metadata stays.
func (a *Applier) replace(ctx context.Context, want desired, live client.Object) (client.Object, error) {
	obj := want.object.DeepCopyObject().(client.Object)
	obj.SetUID(live.GetUID())
	obj.SetResourceVersion(live.GetResourceVersion())
	obj.SetLabels(merge(live.GetLabels(), want.object.GetLabels()))
	obj.SetAnnotations(merge(live.GetAnnotations(), want.object.GetAnnotations()))
	obj.SetOwnerReferences(live.GetOwnerReferences())
	obj.SetFinalizers(live.GetFinalizers())
	if err := a.writer.Update(ctx, obj, client.FieldOwner(a.owner)); err != nil {
		return nil, err
	}
	if Digest(obj) != want.digest && !a.settle(want, obj) {
		return nil, fmt.Errorf("the API server keeps a difference in %s %s/%s: look for a mutating webhook or policy that changes it",
			want.ref.Kind, want.ref.Namespace, want.ref.Name)
	}
	return obj, nil
}

func (a *Applier) wrote(ref v1alpha1.ObjectRef, obj client.Object) standing {
	s := standing{uid: obj.GetUID(), version: obj.GetResourceVersion(), digest: Digest(obj), at: time.Now()}
	a.memory.remember(ref, s)
	return s
}

// merge keeps the keys of others in live and takes ours from want.
func merge(live, want map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range live {
		if !owned(k) {
			out[k] = v
		}
	}
	maps.Copy(out, want)
	return out
}
