// Package audit takes down who was given which power over a tenant, when and why: 45 CFR 164.312(b) and, for accounts of
// disclosures, 164.528. No record holds PHI or a secret.
package audit

import (
	"context"
	"time"

	"github.com/go-logr/logr"
)

// Record is one thing that happened.
type Record struct {
	// Time it was seen.
	Time time.Time
	// Actor is the user who caused it, as the API server authenticated them; the operator's name for what time did.
	Actor string
	// Tenant it concerns.
	Tenant string
	// Action in one word, such as EmergencyAccessGranted.
	Action string
	// Subject is the object it happened to, kind and name.
	Subject string
	// Reason somebody gave, or the operator found.
	Reason string
}

// Trail keeps records. It does not fail: a sink that is away is its own concern.
type Trail func(context.Context, Record)

// Log is a trail of structured lines in the operator's log, one per record, each with audit=true.
func Log(logger logr.Logger) Trail {
	return func(_ context.Context, r Record) {
		logger.Info(r.Action, "audit", true, "at", r.Time.UTC().Format(time.RFC3339), "actor", r.Actor, "tenant", r.Tenant,
			"subject", r.Subject, "reason", r.Reason)
	}
}
