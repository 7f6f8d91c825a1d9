package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/audit"
)

// lines that were logged, each of which must be an object with level, ts and msg.
func lines(t *testing.T, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("not JSON: %s", line)
		}
		if _, err := time.Parse(time.RFC3339, fmt.Sprint(fields["ts"])); err != nil || fields["level"] == nil || fields["msg"] == nil {
			t.Errorf("no level, message or time: %s", line)
		}
		all = append(all, fields)
	}
	return all
}

// TestEverythingIsLoggedAlike: what a library says through klog goes where the operator's own lines go.
func TestEverythingIsLoggedAlike(t *testing.T) {
	o, out := options{}, &bytes.Buffer{}
	o.logTo(out)
	t.Cleanup(klog.ClearLogger)
	ctrl.Log.Info("own", "tenant", "acme")
	klog.Warningf("watch of %s ended", "pods")
	klog.Background().Info("structured", "key", "value")
	all := lines(t, out)
	if len(all) != 3 || all[0]["tenant"] != "acme" || all[1]["msg"] != "watch of pods ended" || all[2]["key"] != "value" {
		t.Errorf("logged %v", all)
	}
}

// TestAuditRecordsAreAllWritten, however many there are and whatever level is asked for.
func TestAuditRecordsAreAllWritten(t *testing.T) {
	for _, level := range []string{"error", "info", "debug"} {
		o, err := parse([]string{"--zap-log-level=" + level})
		if err != nil {
			t.Fatal(err)
		}
		out := &bytes.Buffer{}
		trail := audit.Log(o.auditLog(out))
		const many = 300
		for range many {
			trail(t.Context(), audit.Record{Action: "EmergencyAccessGranted"})
		}
		if all := lines(t, out); len(all) != many || all[0]["logger"] != "audit" {
			t.Errorf("level %s: %d of %d records, the first %v", level, len(all), many, all[:min(1, len(all))])
		}
	}
}
