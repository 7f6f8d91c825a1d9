package controllers

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// recorded is the last event, in all its parts.
type recorded struct {
	events.EventRecorder
	said string
	note string
}

func (r *recorded) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) { //nolint:revive // as many as the interface has
	r.note = fmt.Sprintf(note, args...)
	r.said = fmt.Sprint(regarding.(*corev1.Namespace).Name, " ", related.(*corev1.Pod).Name, " ", kind, " ", reason, " ", action)
}

// TestNotesFitIntoEvents: the API server refuses a note of more than 1024 bytes, and replaces a byte that is no character by three.
func TestNotesFitIntoEvents(t *testing.T) {
	const head = "somebody: "
	for name, c := range map[string]struct{ said, want string }{
		"short":                           {"no 100%d", head + "no 100%d"},
		"as long as may be":               {strings.Repeat("x", 1014), head + strings.Repeat("x", 1014)},
		"longer by one":                   {strings.Repeat("x", 1015), head + strings.Repeat("x", 1011) + "..."},
		"as long as may be, of two bytes": {strings.Repeat("ä", 507), head + strings.Repeat("ä", 507)},
		"cut between two of two bytes":    {"x" + strings.Repeat("ä", 507), head + "x" + strings.Repeat("ä", 505) + "..."},
		"cut within one of two bytes":     {strings.Repeat("ä", 508), head + strings.Repeat("ä", 505) + "..."},
		"cut within one of four bytes":    {strings.Repeat("🔑", 254), head + strings.Repeat("🔑", 252) + "..."},
		"bytes that are no characters":    {"x\xffy" + strings.Repeat("\xfe", 2000), head + "xy"},
	} {
		r := &recorded{}
		on, also := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
		shortNotes{r}.Eventf(on, also, "Warning", "Reason", "Do", "%s: %s", "somebody", c.said)
		if r.note != c.want || len(r.note) > 1024 {
			t.Errorf("%s: %d bytes, %q; want %d bytes, %q", name, len(r.note), r.note, len(c.want), c.want)
		}
		if r.said != "n p Warning Reason Do" {
			t.Errorf("%s: the event is %s", name, r.said)
		}
	}
}
