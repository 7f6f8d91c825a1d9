package controllers

import (
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// tenantLog makes the loggers of the tenants' controller: whoever follows one tenant through the log, or one attempt, finds
// all lines of it by one field. The controller adds reconcileID.
func tenantLog(base logr.Logger) func(*reconcile.Request) logr.Logger {
	base = base.WithValues("controller", "tenants")
	return func(request *reconcile.Request) logr.Logger {
		if request == nil {
			return base // of the controller itself
		}
		return base.WithValues("tenant", request.Name)
	}
}
