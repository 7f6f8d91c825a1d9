// Package trouble is what the fakes of clouds do instead of their work, when a test asks for it.
package trouble

import (
	"io"
	"net/http"
	"sync"
)

// Trouble is what an operation does instead of its work. One that has neither Location nor Raw nor Code only delays.
type Trouble struct {
	// Status of the answer; 0 means 400.
	Status int
	// Code in the cloud's own terms, and Inner where it has a code within.
	Code, Inner, Message string
	// Raw is sent as the body, in place of a code.
	Raw string
	// Location makes the answer a redirect.
	Location string
	// Until, if not nil, delays the answer until it is closed, or the request is given up.
	Until <-chan struct{}
}

// Plan is the trouble that operations are in. The zero value is none.
type Plan struct {
	mu sync.Mutex
	of map[string]Trouble
}

// Upset has an operation, or every one for "", answer with trouble until Calm.
func (p *Plan) Upset(operation string, t Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[string]Trouble{}
	}
	p.of[operation] = t
}

// Calm ends all trouble.
func (p *Plan) Calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.of)
}

// Serve makes the trouble an operation is in, if any, and says whether the request is answered by it. A code is for the
// fake to send, in its own form.
func (p *Plan) Serve(w http.ResponseWriter, r *http.Request, operation string, send func(Trouble)) bool {
	p.mu.Lock()
	t, ok := p.of[operation]
	if !ok {
		t, ok = p.of[""]
	}
	p.mu.Unlock()
	if !ok {
		return false
	}
	if t.Until != nil {
		select {
		case <-t.Until:
		case <-r.Context().Done():
		}
	}
	if t.Status == 0 {
		t.Status = http.StatusBadRequest
	}
	switch {
	case t.Location != "":
		http.Redirect(w, r, t.Location, http.StatusTemporaryRedirect)
	case t.Raw != "":
		w.WriteHeader(t.Status)
		_, _ = io.WriteString(w, t.Raw)
	case t.Code != "":
		send(t)
	default:
		return false
	}
	return true
}
