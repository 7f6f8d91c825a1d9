package tenantconfig

import (
	"sync"
	"time"
)

// SessionTimer ends one session when its user has done nothing for as long as the tenant permits, 45 CFR
// 164.312(a)(2)(iii). Its methods may be called from several goroutines.
type SessionTimer struct {
	config func() Config
	now    func() time.Time

	mu    sync.Mutex
	last  time.Time
	ended bool
}

// NewSessionTimer begins a session now, when somebody has just proved who they are. It asks for the config each time, so a
// timeout that gets shorter ends sessions that are open: give it the Config method of a Watcher.
func NewSessionTimer(config func() Config) *SessionTimer {
	return newSessionTimer(config, time.Now)
}

func newSessionTimer(config func() Config, now func() time.Time) *SessionTimer {
	return &SessionTimer{config: config, now: now, last: now()}
}

// UserInput notes that the user did something, and says whether the session still lives. Call it for a key, a click or a
// touch, never for what the application does by itself. A session that is over stays over: let the user log in anew.
func (s *SessionTimer) UserInput() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.over(now) {
		return false
	}
	s.last = now
	return true
}

// Expired says that the session is over. Ask before every answer, also those to requests that are no user input.
func (s *SessionTimer) Expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over(s.now())
}

// Remaining is how long the session lives without further input, zero when it is over: for a warning to the user.
func (s *SessionTimer) Remaining() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.over(now) {
		return 0
	}
	return s.config().IdleTimeout() - now.Sub(s.last)
}

// End ends the session: the user logged off.
func (s *SessionTimer) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// over notes and says that the session is over. The caller holds mu.
func (s *SessionTimer) over(now time.Time) bool {
	s.ended = s.ended || s.config().Idle(s.last, now)
	return s.ended
}
