package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// settings of a tenant, as the operator delivers them.
func settings(change ...func(*tenantconfig.Config)) tenantconfig.Config {
	c := tenantconfig.Config{
		Schema: tenantconfig.Schema, Tenant: "acme", Region: "us-east-1", FailoverRegions: []string{},
		Session:          tenantconfig.Session{IdleTimeoutSeconds: 900, Activity: tenantconfig.ActivityUserInput},
		DisabledChannels: []string{"sms"},
		Authentication: tenantconfig.Authentication{Method: "SAML", MFA: "IdentityProvider",
			SSO: &tenantconfig.SSO{MetadataURL: "https://idp.acme.example/metadata"}},
		Application: tenantconfig.Application{
			CallRecording: "Manual", RecordingRetentionSeconds: 3600, SearchableFields: []string{"ticketId", "status"},
			HiddenFields: []tenantconfig.HiddenFields{{Role: "agent", Fields: []string{"ssn"}}},
		},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// bed is the application's binary on a mounted ConfigMap.
type bed struct {
	t     *testing.T
	mount string
	url   string
	// session is the cookie of whoever is logged in.
	session *http.Cookie
	// log has a line for each line of the application.
	log chan string
}

// write changes the mounted ConfigMap as the kubelet does: the link ..data is replaced.
func (b *bed) write(raw []byte) {
	b.t.Helper()
	data, err := os.MkdirTemp(b.mount, "..")
	must(b.t, err)
	must(b.t, os.WriteFile(filepath.Join(data, "hipaa.json"), raw, 0o600))
	must(b.t, os.Symlink(filepath.Base(data), filepath.Join(b.mount, "..data_tmp")))
	must(b.t, os.Rename(filepath.Join(b.mount, "..data_tmp"), filepath.Join(b.mount, "..data")))
}

func (b *bed) deliver(change ...func(*tenantconfig.Config)) {
	b.t.Helper()
	raw, err := json.Marshal(settings(change...))
	must(b.t, err)
	b.write(raw)
}

// start builds and runs the application until the test ends.
func start(t *testing.T) *bed {
	b := &bed{t: t, mount: t.TempDir(), log: make(chan string, 1000)}
	b.deliver()
	must(t, os.Symlink(filepath.Join("..data", "hipaa.json"), filepath.Join(b.mount, "hipaa.json")))
	binary := filepath.Join(t.TempDir(), "tenant-app")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	app := exec.Command(binary)
	app.Env = append(os.Environ(), "HIPAA_CONFIG_FILE="+filepath.Join(b.mount, "hipaa.json"), "LISTEN=127.0.0.1:0", "RELOAD_EVERY=20ms")
	stderr, err := app.StderrPipe()
	must(t, err)
	must(t, app.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			b.log <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = app.Process.Signal(os.Interrupt)
		<-ended
		if err := app.Wait(); err != nil {
			t.Errorf("the application ended with %v", err)
		}
	})
	_, address, _ := strings.Cut(b.await("listening on "), "listening on ")
	address, _, _ = strings.Cut(address, " ")
	b.url = "http://" + address
	return b
}

// await waits for a line of the application's log.
func (b *bed) await(text string) string {
	b.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line := <-b.log:
			if strings.Contains(line, text) {
				return line
			}
		case <-deadline:
			b.t.Fatalf("the application did not say %q", text)
		}
	}
}

func (b *bed) expect(method, path string, code int, want string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, nil)
	must(b.t, err)
	if b.session != nil {
		req.AddCookie(b.session)
	}
	resp, err := http.DefaultClient.Do(req)
	must(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(b.t, err)
	if got := strings.TrimSpace(string(text)); resp.StatusCode != code || (want != "" && got != want) {
		b.t.Errorf("%s %s: %d %q; expected %d %q", method, path, resp.StatusCode, got, code, want)
	}
	for _, c := range resp.Cookies() {
		b.session = c
	}
}

const (
	open    = `{"dob":"1975-03-14","patient":"Robin Doe","ssn":"078-05-1120","status":"open","ticketId":"4711"}`
	hidden  = `{"dob":"1975-03-14","patient":"Robin Doe","status":"open","ticketId":"4711"}`
	refused = http.StatusForbidden
)

// TestTheExampleFollowsTheTenant: what the tenant changes holds for the running program, and what is not valid changes nothing.
func TestTheExampleFollowsTheTenant(t *testing.T) {
	b := start(t)
	b.expect("GET", "/healthz", http.StatusOK, "")
	b.expect("GET", "/tickets/4711", http.StatusUnauthorized, "log in first")
	b.expect("POST", "/session?role=agent", http.StatusCreated, "")
	asBefore := func() {
		t.Helper()
		b.expect("GET", "/tickets/4711", http.StatusOK, hidden)
		b.expect("GET", "/tickets?field=status&value=open", http.StatusOK, `[{"status":"open","ticketId":"4711"}]`)
		b.expect("GET", "/tickets?field=ssn&value=078-05-1120", refused, `field "ssn" is not searchable`)
		b.expect("POST", "/messages?channel=sms", refused, `channel "sms" must not carry this`)
		b.expect("POST", "/messages?channel=fax", http.StatusAccepted, "")
		b.expect("POST", "/recordings?mode=Manual", http.StatusCreated, `{"deletedAfterSeconds":3600}`)
		b.expect("POST", "/recordings?mode=Automatic", refused, `recordings of mode "Automatic" are not permitted`)
	}
	asBefore()
	for _, bad := range []string{"", "{", `{"schema": "hipaatenant.dev/config/v2"}`} {
		b.write([]byte(bad))
		b.await("the settings in use stay")
		asBefore()
	}
	b.deliver(func(c *tenantconfig.Config) {
		c.DisabledChannels = []string{"call-recording", "fax"}
		c.Application.HiddenFields, c.Application.SearchableFields = []tenantconfig.HiddenFields{}, []string{"ssn"}
	})
	b.await("took the changed settings")
	b.expect("GET", "/tickets/4711", http.StatusOK, open)
	b.expect("GET", "/tickets?field=ssn&value=078-05-1120", http.StatusOK, `[{"ssn":"078-05-1120"}]`)
	b.expect("GET", "/tickets?field=status&value=open", refused, "")
	b.expect("POST", "/messages?channel=sms", http.StatusAccepted, "")
	b.expect("POST", "/messages?channel=fax", refused, "")
	b.expect("POST", "/recordings?mode=Manual", refused, "")
	b.deliver()
	b.await("took the changed settings")
	asBefore()
	b.expect("DELETE", "/session", http.StatusNoContent, "")
	b.expect("GET", "/tickets/4711", http.StatusUnauthorized, "the session is over: log in again")
}

// TestIdleSessionsEnd: requests the page makes by itself keep no session alive, and a timeout that gets shorter ends those that
// are open.
func TestIdleSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := settings()
		handler := newApp(func() tenantconfig.Config { return config }).handler()
		var session []*http.Cookie
		ask := func(method, path string) int {
			req := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			for _, c := range session {
				req.AddCookie(c)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			if cookies := w.Result().Cookies(); len(cookies) > 0 {
				session = cookies
			}
			return w.Code
		}
		login := func() { ask("POST", "/session?role=agent") }
		pass := func(d time.Duration) { <-time.After(d) }

		login()
		for range 5 {
			pass(14 * time.Minute)
			if code := ask("POST", "/input"); code != http.StatusNoContent {
				t.Fatalf("%d for a user who is there every 14 minutes", code)
			}
		}
		for range 14 {
			pass(time.Minute)
			if code := ask("GET", "/session") + ask("GET", "/tickets/4711"); code != 2*http.StatusOK {
				t.Fatalf("%d before the session is over", code)
			}
		}
		pass(time.Minute)
		if code := ask("GET", "/session"); code != http.StatusUnauthorized {
			t.Errorf("%d after 15 minutes in which the page alone asked for something", code)
		}
		if code := ask("POST", "/input"); code != http.StatusUnauthorized {
			t.Errorf("%d: user input brought back a session that was over", code)
		}
		login()
		pass(6 * time.Minute)
		config.Session.IdleTimeoutSeconds = 300
		if code := ask("GET", "/tickets/4711"); code != http.StatusUnauthorized {
			t.Errorf("%d in a session that is open for longer than the new timeout", code)
		}
	})
}

// What the manifest tells the application is what the application asks for.
func TestTheManifestNamesEveryVariable(t *testing.T) {
	source, err := os.ReadFile("main.go")
	must(t, err)
	manifest, err := os.ReadFile("deployment.yaml")
	must(t, err)
	seen := 0
	for _, part := range strings.Split(string(source), `os.Getenv("`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		seen++
		if name != "RELOAD_EVERY" && !strings.Contains(string(manifest), "name: "+name+"\n") {
			t.Errorf("deployment.yaml sets no %s", name)
		}
	}
	if want := fmt.Sprintf("value: %s\n", tenantconfig.DefaultFile); seen < 3 || !strings.Contains(string(manifest), want) {
		t.Errorf("%d variables; expected deployment.yaml to have %q", seen, want)
	}
}
