package controllers

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// leaves takes joined errors apart. The predicates of apierrors look at the first error of a join only.
func leaves(err error) []error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		joined, ok := e.(interface{ Unwrap() []error })
		if !ok {
			continue
		}
		var out []error
		for _, part := range joined.Unwrap() {
			out = append(out, leaves(part)...)
		}
		return out
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// some says that one of the joined errors is of a kind.
func some(err error, is func(error) bool) bool { return slices.ContainsFunc(leaves(err), is) }

// all says that there are errors, and all of them are of a kind.
func all(err error, is func(error) bool) bool {
	return err != nil && !slices.ContainsFunc(leaves(err), func(e error) bool { return !is(e) })
}

// retriable drops errors that the next event or requeue takes care of by itself.
func retriable(err error) error {
	terminating := func(e error) bool { return apierrors.HasStatusCause(e, corev1.NamespaceTerminatingCause) }
	if all(err, terminating) {
		return nil
	}
	return err
}
