package tenantconfig

import (
	"slices"
	"time"
)

// IdleTimeout is how long a session lives without user input, 45 CFR 164.312(a)(2)(iii).
func (c Config) IdleTimeout() time.Duration {
	return time.Duration(c.Session.IdleTimeoutSeconds) * time.Second
}

// Idle says that a session whose user last did something at lastInput is over at now. Use it where sessions live in a
// database or a cookie; SessionTimer keeps one in memory. A time that is missing, or further ahead than a session lives, ends
// the session as well: whatever wrote it cannot be believed.
func (c Config) Idle(lastInput, now time.Time) bool {
	silent := now.Sub(lastInput)
	return lastInput.IsZero() || silent >= c.IdleTimeout() || silent <= -c.IdleTimeout()
}

// ChannelDisabled says that a channel must not carry PHI: do not offer it, and do not use it.
func (c Config) ChannelDisabled(name string) bool { return slices.Contains(c.DisabledChannels, name) }

// FieldHidden says that a role of the application does not see a field: leave it out of pages, exports and answers.
func (c Config) FieldHidden(role, field string) bool {
	return slices.ContainsFunc(c.Application.HiddenFields, func(h HiddenFields) bool {
		return h.Role == role && slices.Contains(h.Fields, field)
	})
}

// FieldSearchable says that a global search by a role may look in a field and show it: only what the tenant lists, and
// nothing that is hidden from the role, because a hit tells what is in it.
func (c Config) FieldSearchable(role, field string) bool {
	return slices.Contains(c.Application.SearchableFields, field) && !c.FieldHidden(role, field)
}

// MayRecord says whether a recording may begin: RecordingManual when a person asks for it, RecordingAutomatic when the
// application would begin by itself.
func (c Config) MayRecord(mode string) bool {
	if c.ChannelDisabled(ChannelCallRecording) {
		return false
	}
	switch c.Application.CallRecording {
	case RecordingAutomatic:
		return mode == RecordingManual || mode == RecordingAutomatic
	case RecordingManual:
		return mode == RecordingManual
	}
	return false
}

// RecordingRetention is how long a recording is kept; false when the tenant does not say.
func (c Config) RecordingRetention() (time.Duration, bool) {
	seconds := c.Application.RecordingRetentionSeconds
	return time.Duration(seconds) * time.Second, seconds > 0
}
