package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// readiness is that of a replica, whether it works or waits for the lease: it has read all tenants, so its service account,
// its roles and the definitions are as it needs them, and it can take over. It does not end when the API server goes away:
// nobody sends requests to the operator, and a restart would not bring the API server back.
type readiness struct{ reached atomic.Bool }

var _ manager.LeaderElectionRunnable = &readiness{}

// Start is called when the caches that every replica keeps are filled.
func (r *readiness) Start(context.Context) error {
	r.reached.Store(true)
	return nil
}

// NeedLeaderElection says that a replica that waits is ready, too.
func (r *readiness) NeedLeaderElection() bool { return false }

func (r *readiness) check(*http.Request) error {
	if !r.reached.Load() {
		return errors.New("expected all tenants to be read, and they are not yet; if it stays so, the log says what the API server answers")
	}
	return nil
}
