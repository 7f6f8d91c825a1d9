package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// Recorder records events as the operator. All of its loops take theirs from here.
func Recorder(mgr manager.Manager) events.EventRecorder {
	return shortNotes{mgr.GetEventRecorder(v1alpha1.OperatorName)} //nolint:forbidigo // the one that cuts
}

// shortNotes cuts notes. They hold URIs of keys, errors of others and lists, and the API server refuses a note that is too long: nobody
// tries again, and that keys were destroyed would be told by no event.
type shortNotes struct{ events.EventRecorder }

// Eventf formats the note, and hands it on as it may be.
func (s shortNotes) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) { //nolint:revive // as many as the interface has
	s.EventRecorder.Eventf(regarding, related, kind, reason, action, "%s", status.Cut(fmt.Sprintf(note, args...)))
}
