package tenantconfig

import (
	"slices"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

func fifteen() Config { return Config{Session: Session{IdleTimeoutSeconds: 900}} }

func TestIdle(t *testing.T) {
	c := fifteen()
	for name, tc := range map[string]struct {
		last time.Time
		want bool
	}{
		"just now":                       {noon, false},
		"the last instant":               {noon.Add(-15*time.Minute + 1), false},
		"as long as permitted":           {noon.Add(-15 * time.Minute), true},
		"yesterday":                      {noon.Add(-24 * time.Hour), true},
		"never":                          {time.Time{}, true},
		"a clock that is ahead a little": {noon.Add(time.Minute), false},
		"a time nobody can have written": {noon.Add(15 * time.Minute), true},
	} {
		if got := c.Idle(tc.last, noon); got != tc.want {
			t.Errorf("%s: idle %t, want %t", name, got, tc.want)
		}
	}
	if !c.Idle(time.Time{}, time.Time{}) {
		t.Error("a session without a last input lives while the clock is not set")
	}
	if !(Config{}).Idle(noon, noon) {
		t.Error("a config that was never loaded lets a session live")
	}
}

// clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestSessionTimer: only user input keeps a session alive, and one that is over stays over.
func TestSessionTimer(t *testing.T) {
	time := &clock{at: noon}
	s := newSessionTimer(fifteen, time.now)
	for range 3 {
		time.pass(14 * minute)
		if !s.UserInput() {
			t.Fatal("the session ended although its user was there every 14 minutes")
		}
	}
	time.pass(5 * minute)
	for range 100 {
		if s.Expired() {
			t.Fatal("the session ended after 5 minutes")
		}
	}
	if got := s.Remaining(); got != 10*minute {
		t.Errorf("%s remain, want 10m: asking is no user input", got)
	}
	time.pass(10 * minute)
	if !s.Expired() || s.Remaining() != 0 {
		t.Error("the session lives after 15 minutes without user input")
	}
	if s.UserInput() || !s.Expired() {
		t.Error("user input brought back a session that was over")
	}
	time.pass(-10 * minute)
	if !s.Expired() {
		t.Error("a clock that was set back brought back a session that was over")
	}
}

const minute = time.Minute

// TestSessionTimerFollowsTheConfig: a shorter timeout ends sessions that are open; a longer one brings none back.
func TestSessionTimerFollowsTheConfig(t *testing.T) {
	time, seconds := &clock{at: noon}, 900
	s := newSessionTimer(func() Config { return Config{Session: Session{IdleTimeoutSeconds: seconds}} }, time.now)
	time.pass(10 * minute)
	seconds = 300
	if !s.Expired() {
		t.Error("the session outlives a timeout that got shorter")
	}
	seconds = 3600
	if !s.Expired() {
		t.Error("a longer timeout brought back a session that was over")
	}
	logoff := newSessionTimer(fifteen, time.now)
	logoff.End()
	if !logoff.Expired() || logoff.UserInput() {
		t.Error("the session lives although its user logged off")
	}
	if NewSessionTimer(fifteen).Expired() {
		t.Error("a session that begins now is over")
	}
}

func TestFields(t *testing.T) {
	c := Config{Application: Application{
		SearchableFields: []string{"ticketId", "status"},
		HiddenFields:     []HiddenFields{{Role: "agent", Fields: []string{"ssn", "status"}}, {Role: "night-nurse", Fields: []string{"dob"}}},
	}}
	for _, tc := range []struct {
		role, field        string
		hidden, searchable bool
	}{
		{"agent", "ssn", true, false}, {"agent", "status", true, false}, {"agent", "ticketId", false, true}, {"agent", "dob", false, false},
		{"night-nurse", "dob", true, false}, {"night-nurse", "status", false, true}, {"", "ssn", false, false}, {"other", "ticketId", false, true},
	} {
		if c.FieldHidden(tc.role, tc.field) != tc.hidden || c.FieldSearchable(tc.role, tc.field) != tc.searchable {
			t.Errorf("%+v: hidden %t, searchable %t", tc, c.FieldHidden(tc.role, tc.field), c.FieldSearchable(tc.role, tc.field))
		}
	}
	if (Config{}).FieldSearchable("agent", "ticketId") {
		t.Error("a tenant that lists no searchable field has one")
	}
}

func TestChannelsAndRecording(t *testing.T) {
	if c := (Config{DisabledChannels: []string{"sms"}}); !c.ChannelDisabled("sms") || c.ChannelDisabled("fax") || c.ChannelDisabled("") {
		t.Error("expected sms alone to be disabled")
	}
	allowed := map[string][]string{
		RecordingDisabled: nil, "": nil, "Later": nil, RecordingManual: {RecordingManual}, RecordingAutomatic: {RecordingManual, RecordingAutomatic},
	}
	for setting, modes := range allowed {
		for _, mode := range []string{RecordingDisabled, RecordingManual, RecordingAutomatic, "", "Later"} {
			c := Config{Application: Application{CallRecording: setting}}
			if got, want := c.MayRecord(mode), slices.Contains(modes, mode); got != want {
				t.Errorf("callRecording %q: may record %q %t, want %t", setting, mode, got, want)
			}
			c.DisabledChannels = []string{ChannelCallRecording}
			if c.MayRecord(mode) {
				t.Errorf("callRecording %q: may record %q while the channel is disabled", setting, mode)
			}
		}
	}
	if _, says := (Config{}).RecordingRetention(); says {
		t.Error("a tenant that does not say has a retention")
	}
	if d, says := (Config{Application: Application{RecordingRetentionSeconds: 3600}}).RecordingRetention(); !says || d != time.Hour {
		t.Errorf("retention %s, %t", d, says)
	}
}
