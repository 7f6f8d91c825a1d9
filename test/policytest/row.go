package policytest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Row is one request and what must become of it. Each row runs in a namespace of its own.
type Row struct {
	// Name says what is tried.
	Name string
	// As makes the request; the Developer unless told otherwise.
	As User
	// Facts that differ from those of an ordinary tenant.
	Facts map[string]string
	// Given is done first, as the operator.
	Given []Request
	// Do is the request.
	Do Request
	// Want is what must become of it.
	Want Outcome
	// Inside rows are not repeated outside of tenants: they hold there too, or have no meaning there.
	Inside bool
}

// Request is made in the session of a row.
type Request func(context.Context, *Session) error

// Session is what a request works with.
type Session struct {
	// Env the row runs in.
	Env *Env
	// Namespace of the row.
	Namespace string
	// Client of the row's user.
	Client client.Client
	// Config of the row's user.
	Config *rest.Config
}

// Kube is a typed client of the row's user, for what Client cannot express.
func (s *Session) Kube() (*kubernetes.Clientset, error) { return kubernetes.NewForConfig(s.Config) }

// Outcome is what must become of a request.
type Outcome struct {
	policy string
	parts  []string
	open   bool
}

// Allowed requests succeed.
func Allowed() Outcome { return Outcome{} }

// Unhindered requests may fail, but no policy refuses them. It is for requests the test bed has no answer to, such as exec
// into a pod that runs in name only.
func Unhindered() Outcome { return Outcome{open: true} }

// Refused requests are refused by this policy (without prefix hipaatenant-), with every part in the message.
func Refused(policy string, parts ...string) Outcome { return Outcome{policy: policy, parts: parts} }

// IsRefusal says whether the outcome asks for a refusal.
func (o Outcome) IsRefusal() bool { return o.policy != "" }

// Says is what the message of the refusal must contain, in one line.
func (o Outcome) Says() string { return strings.Join(o.parts, " ") }

// Check compares the outcome with how the request ended; the error says how they differ.
func (o Outcome) Check(err error) error {
	switch {
	case o.open && (err == nil || !strings.Contains(err.Error(), "AdmissionPolicy")):
		return nil
	case o.open:
		return fmt.Errorf("want no policy to refuse it, got: %w", err)
	case o.policy == "" && err != nil:
		return fmt.Errorf("want it allowed, got: %w", err)
	case o.policy == "":
		return nil
	case err == nil:
		return fmt.Errorf("want it refused by %s, but it was allowed", o.policy)
	}
	prefix := fmt.Sprintf("ValidatingAdmissionPolicy 'hipaatenant-%s' with binding 'hipaatenant-%[1]s' denied request: ", o.policy)
	if !strings.Contains(err.Error(), prefix) {
		return fmt.Errorf("want it refused by %s, got: %w", o.policy, err)
	}
	var missing []error
	for _, part := range o.parts {
		if !strings.Contains(err.Error(), part) {
			missing = append(missing, fmt.Errorf("want %q in the message, got: %w", part, err))
		}
	}
	return errors.Join(missing...)
}

// Try runs a row in a new tenant namespace, and says how its outcome differs from the wanted one.
func (e *Env) Try(ctx context.Context, row Row) error {
	namespace, err := e.TenantNamespace(ctx, row.Facts)
	if err != nil {
		return err
	}
	return e.TryIn(ctx, row, namespace)
}

// TryIn runs a row in this namespace.
func (e *Env) TryIn(ctx context.Context, row Row, namespace string) error {
	operator, err := e.session(ctx, Operator, namespace)
	if err != nil {
		return err
	}
	for i, given := range row.Given {
		if err := given(ctx, operator); err != nil {
			return fmt.Errorf("prepare the row, step %d: %w", i, err)
		}
	}
	if row.As == "" {
		row.As = Developer
	}
	session, err := e.session(ctx, row.As, namespace)
	if err != nil {
		return err
	}
	return row.Want.Check(row.Do(ctx, session))
}

func (e *Env) session(ctx context.Context, user User, namespace string) (*Session, error) {
	c, err := e.client(ctx, user, namespace)
	if err != nil {
		return nil, err
	}
	config, err := e.Config(ctx, user, namespace)
	if err != nil {
		return nil, err
	}
	return &Session{Env: e, Namespace: namespace, Client: c, Config: config}, nil
}
