package controllers

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestJoinedErrors(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	conflict := fmt.Errorf("writing: %w", apierrors.NewConflict(secrets, "x", errors.New("changed")))
	exists := apierrors.NewAlreadyExists(secrets, "x")
	other := errors.New("no route")
	for name, c := range map[string]struct {
		err                  error
		allConflict, someTwo bool
	}{
		"none":                 {nil, false, false},
		"a conflict":           {conflict, true, false},
		"two conflicts":        {errors.Join(conflict, conflict), true, false},
		"a conflict and more":  {errors.Join(conflict, other), false, false},
		"more and a conflict":  {errors.Join(other, conflict), false, false},
		"exists behind others": {fmt.Errorf("applying: %w", errors.Join(conflict, errors.Join(other, exists))), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := all(c.err, apierrors.IsConflict); got != c.allConflict {
				t.Errorf("all conflicts: %v, want %v", got, c.allConflict)
			}
			if got := some(c.err, apierrors.IsAlreadyExists); got != c.someTwo {
				t.Errorf("some AlreadyExists: %v, want %v", got, c.someTwo)
			}
		})
	}
}
