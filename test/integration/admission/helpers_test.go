package admission_test

import (
	"context"
	"errors"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// setFacts changes facts of the row's namespace while the row runs. The API server sees them a moment later.
func setFacts(changes map[string]string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error { return s.Env.SetFacts(ctx, s.Namespace, changes) }
}

var errStillAllowed = errors.New("still allowed")

// untilRefused repeats a dry run until a policy refuses it, and returns the refusal.
func untilRefused(request pt.Request) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		var refusal error
		err := pt.Await(ctx, "a refusal", func(ctx context.Context) error {
			refusal = request(ctx, s)
			if refusal == nil || !strings.Contains(refusal.Error(), "denied request") {
				return errors.Join(errStillAllowed, refusal)
			}
			return nil
		})
		return errors.Join(err, refusal)
	}
}

// untilRefusedOnly waits for the refusal and takes it as success: the API server has seen the facts.
func untilRefusedOnly(request pt.Request) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		if err := untilRefused(request)(ctx, s); errors.Is(err, errStillAllowed) {
			return err
		}
		return nil
	}
}

// decided repeats a request while something else than a policy refuses it: a class the API server has not seen yet.
func decided(request pt.Request) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		var last error
		err := pt.Await(ctx, "a decision", func(ctx context.Context) error {
			if last = request(ctx, s); last == nil || strings.Contains(last.Error(), "denied request") {
				return nil
			}
			return last
		})
		return errors.Join(err, last)
	}
}

// formerly creates an object the policies refuse, before the namespace is the tenant's. They refuse it to the developer.
func formerly(text string) pt.Request {
	return pt.InOrder(
		pt.Patch(self, types.JSONPatchType, noTenant),
		// Mutating policies are asked before the validating ones: while the API server takes notice of the namespace, one request may
		// be changed as a tenant's and let in as nobody's. The next one is nobody's altogether.
		pt.Eventually("the namespace to be nobody's", pt.As(pt.Admin, pt.DryRun(text))),
		pt.As(pt.Admin, pt.Create(text)),
		pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"hipaatenant.dev/tenant":"`+pt.Tenant+`"}}}`),
		untilRefusedOnly(pt.As(pt.Developer, pt.DryRun(text))),
	)
}

func concat(parts ...[]pt.Row) []pt.Row { return slices.Concat(parts...) }
