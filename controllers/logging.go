package controllers

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
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

// unread logs that the cache could not be read for those whom a change concerns, and what becomes of them. While the operator
// starts it is no error: watches begin side by side, and each brings all of its kind when it does.
func unread(ctx context.Context, err error, consequence string) {
	notWatched := func(e error) bool {
		_, is := errors.AsType[*cache.ErrResourceNotCached](e)
		return is
	}
	if !all(err, notWatched) {
		ctrl.LoggerFrom(ctx).Error(err, consequence)
	}
}
