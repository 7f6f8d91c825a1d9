package controllers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// source says where namespaces are read from.
type source int

const (
	cached source = iota // from the cache; from the API server only where the cache cannot know
	live                 // from the API server, and so are profile and associates
)

// readFacts reads everything a plan depends on but the keysets.
func (r *TenantReconciler) readFacts(ctx context.Context, t *v1alpha1.HIPAATenant, from source) (compile.Facts, error) {
	f := compile.Facts{
		AdmissionEnforced: len(r.State.Admission()) == 0,
		Nodes:             r.State.Nodes(),
		StorageClasses:    r.State.StorageClasses(),
		AtRest:            r.State.AtRest(),
		Extensions:        r.State.Extensions(),
		OperatorNamespace: r.OperatorNamespace,
		ProbeNamespace:    r.ProbeNamespace,
		Now:               r.Clock.Now(),
	}
	agreements := client.Reader(r.Client)
	if from == live {
		agreements = r.Live
	}
	profile := &v1alpha1.HIPAAProfile{}
	switch err := agreements.Get(ctx, client.ObjectKey{Name: compile.ProfileName(t)}, profile); {
	case err == nil:
		f.Profile = profile
	case !apierrors.IsNotFound(err):
		return f, err
	}
	var profiles v1alpha1.HIPAAProfileList
	if err := r.Client.List(ctx, &profiles, client.UnsafeDisableDeepCopy); err != nil {
		return f, err
	}
	for i := range profiles.Items {
		f.SharedNamespaces = append(f.SharedNamespaces, compile.SharedNamespaces(&profiles.Items[i])...)
	}
	var associates v1alpha1.BusinessAssociateList
	if err := agreements.List(ctx, &associates, client.UnsafeDisableDeepCopy); err != nil {
		return f, err
	}
	f.Associates = byName(associates.Items)
	var err error
	if f.KeySharers, err = r.sharers(ctx, t); err != nil {
		return f, err
	}
	if f.Namespaces, err = r.readNamespaces(ctx, t, from); err != nil {
		return f, err
	}
	if err = r.readStrangers(ctx, t, &f); err != nil {
		return f, err
	}
	var regions []string
	if f.Profile != nil {
		regions = compile.PermittedRegions(t, f.Profile)
	}
	f.Pods, f.Volumes, err = r.Placement.read(t.Name, regions, f.Namespaces)
	return f, err
}

func byName(list []v1alpha1.BusinessAssociate) map[string]*v1alpha1.BusinessAssociate {
	m := make(map[string]*v1alpha1.BusinessAssociate, len(list))
	for i := range list {
		m[list[i].Name] = &list[i]
	}
	return m
}

// readNamespaces looks up the namespaces the tenant names or remembers. The cache holds labelled namespaces only. One
// that is not in it is taken for absent where nothing says otherwise: the first wave creates it, and finds out if that
// was wrong. One to adopt, or written to before, may exist without its label, so the API server is asked.
func (r *TenantReconciler) readNamespaces(ctx context.Context, t *v1alpha1.HIPAATenant, from source) (map[string]compile.Namespace, error) {
	found := map[string]compile.Namespace{}
	for _, name := range namespacesOf(t) {
		ns := &corev1.Namespace{}
		key := client.ObjectKey{Name: name}
		err := r.Client.Get(ctx, key, ns)
		if from == live || (apierrors.IsNotFound(err) && expected(t, name)) {
			ns = &corev1.Namespace{} // decoding into what the cache gave would keep labels that are gone
			err = r.Live.Get(ctx, key, ns)
		}
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, err
		default:
			found[name] = namespaceFact(ns)
		}
	}
	return found, nil
}

func namespaceFact(ns *corev1.Namespace) compile.Namespace {
	labels, facts := apply.OwnedMeta(ns)
	return compile.Namespace{UID: ns.UID, Labels: labels, Facts: facts, Terminating: !ns.DeletionTimestamp.IsZero()}
}

func namespacesOf(t *v1alpha1.HIPAATenant) []string {
	names := compile.NamespaceNames(t)
	for _, ref := range t.Status.Inventory {
		if ref.Kind == "Namespace" {
			names = append(names, ref.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func expected(t *v1alpha1.HIPAATenant, name string) bool {
	return slices.ContainsFunc(t.Status.Namespaces, func(s v1alpha1.NamespaceStatus) bool { return s.Name == name }) ||
		slices.ContainsFunc(t.Spec.Namespaces, func(n v1alpha1.TenantNamespace) bool { return string(n.Name) == name && n.Adopt })
}
