package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

// app asks for the config with every request: a change counts from the next one on.
type app struct {
	config func() tenantconfig.Config

	mu       sync.Mutex
	sessions map[string]*session
}

// session is one user's.
type session struct {
	*tenantconfig.SessionTimer
	role string
}

const cookie = "session"

// tickets stand for a database.
var tickets = map[string]map[string]string{
	"4711": {"ticketId": "4711", "status": "open", "patient": "Robin Doe", "ssn": "078-05-1120", "dob": "1975-03-14"},
	"4712": {"ticketId": "4712", "status": "closed", "patient": "Kim Roe", "ssn": "219-09-9999", "dob": "1981-11-02"},
}

func newApp(config func() tenantconfig.Config) *app {
	return &app{config: config, sessions: map[string]*session{}}
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /session", a.login)
	mux.Handle("GET /session", a.within(remaining))
	mux.Handle("DELETE /session", a.within(logoff))
	mux.Handle("POST /input", a.within(input))
	mux.Handle("GET /tickets/{id}", a.within(a.ticket))
	mux.Handle("GET /tickets", a.within(a.search))
	mux.Handle("POST /messages", a.within(a.message))
	mux.Handle("POST /recordings", a.within(a.record))
	return mux
}

// login begins a session. This example takes everybody's word: a real application asks the identity provider, or for password
// and second factor, as authentication of the config says.
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	a.mu.Lock()
	for old, s := range a.sessions {
		if s.Expired() {
			delete(a.sessions, old)
		}
	}
	a.sessions[id] = &session{SessionTimer: tenantconfig.NewSessionTimer(a.config), role: r.FormValue("role")}
	a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusCreated)
}

// within lets through who has a session that is not over. The request itself is no user input: pages also ask by themselves.
func (a *app) within(handle func(http.ResponseWriter, *http.Request, *session)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(cookie)
		if err != nil {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		a.mu.Lock()
		s := a.sessions[c.Value]
		a.mu.Unlock()
		if s == nil || s.Expired() {
			http.Error(w, "the session is over: log in again", http.StatusUnauthorized)
			return
		}
		handle(w, r, s)
	})
}

func input(w http.ResponseWriter, _ *http.Request, s *session) {
	if !s.UserInput() {
		http.Error(w, "the session is over: log in again", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func remaining(w http.ResponseWriter, _ *http.Request, s *session) {
	answer(w, map[string]int{"remainingSeconds": int(s.Remaining().Seconds())})
}

func logoff(w http.ResponseWriter, _ *http.Request, s *session) {
	s.End()
	w.WriteHeader(http.StatusNoContent)
}

// ticket leaves out what the role does not see.
func (a *app) ticket(w http.ResponseWriter, r *http.Request, s *session) {
	found, ok := tickets[r.PathValue("id")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	answer(w, visible(a.config(), s.role, found))
}

func visible(c tenantconfig.Config, role string, record map[string]string) map[string]string {
	shown := map[string]string{}
	for field, value := range record {
		if !c.FieldHidden(role, field) {
			shown[field] = value
		}
	}
	return shown
}

// search looks in searchable fields, and shows searchable fields of what it finds.
func (a *app) search(w http.ResponseWriter, r *http.Request, s *session) {
	c, field := a.config(), r.FormValue("field")
	if !c.FieldSearchable(s.role, field) {
		http.Error(w, fmt.Sprintf("field %q is not searchable", field), http.StatusForbidden)
		return
	}
	hits := []map[string]string{}
	for _, record := range tickets {
		if record[field] != r.FormValue("value") {
			continue
		}
		hit := map[string]string{}
		for name, value := range record {
			if c.FieldSearchable(s.role, name) {
				hit[name] = value
			}
		}
		hits = append(hits, hit)
	}
	answer(w, hits)
}

func (a *app) message(w http.ResponseWriter, r *http.Request, _ *session) {
	if channel := r.FormValue("channel"); channel == "" || a.config().ChannelDisabled(channel) {
		http.Error(w, fmt.Sprintf("channel %q must not carry this", channel), http.StatusForbidden)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (a *app) record(w http.ResponseWriter, r *http.Request, _ *session) {
	c := a.config()
	if mode := r.FormValue("mode"); !c.MayRecord(mode) {
		http.Error(w, fmt.Sprintf("recordings of mode %q are not permitted", mode), http.StatusForbidden)
		return
	}
	kept := map[string]int{}
	if retention, says := c.RecordingRetention(); says {
		kept["deletedAfterSeconds"] = int(retention.Seconds())
	}
	w.WriteHeader(http.StatusCreated)
	answer(w, kept)
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(what)
}
