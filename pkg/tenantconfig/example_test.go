package tenantconfig_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

// example is what docs/application-contract.md shows.
func example(ctx context.Context, mux *http.ServeMux, sessionOf func(*http.Request) *tenantconfig.SessionTimer) error {
	config, err := tenantconfig.Watch(ctx, tenantconfig.DefaultFile, tenantconfig.Options{
		OnReload: func(err error) {
			if err != nil {
				log.Printf("the settings in use stay: %v", err)
			}
		},
	})
	if err != nil {
		return err // without settings nobody knows what is permitted: do not begin
	}
	// At login, for each user: session := tenantconfig.NewSessionTimer(config.Config)
	mux.HandleFunc("POST /input", func(w http.ResponseWriter, r *http.Request) { // the page calls it for a key, a click, a touch
		if s := sessionOf(r); s == nil || !s.UserInput() {
			http.Error(w, "log in again", http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("POST /sms", func(w http.ResponseWriter, r *http.Request) {
		switch s := sessionOf(r); {
		case s == nil || s.Expired():
			http.Error(w, "log in again", http.StatusUnauthorized)
		case config.Config().ChannelDisabled("sms"):
			http.Error(w, "text messages are off", http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	return nil
}

var _ = example

func ExampleParse() {
	_, err := tenantconfig.Parse([]byte(`{"schema": "hipaatenant.dev/config/v7"}`))
	fmt.Println(err)
	// Output: unknown schema of the tenant config: expected "hipaatenant.dev/config/v1", found "hipaatenant.dev/config/v7"
}

func ExampleConfig_MayRecord() {
	c := tenantconfig.Config{Application: tenantconfig.Application{CallRecording: tenantconfig.RecordingManual}}
	fmt.Println(c.MayRecord(tenantconfig.RecordingManual), c.MayRecord(tenantconfig.RecordingAutomatic))
	c.DisabledChannels = []string{tenantconfig.ChannelCallRecording}
	fmt.Println(c.MayRecord(tenantconfig.RecordingManual))
	// Output:
	// true false
	// false
}

func ExampleConfig_FieldHidden() {
	c := tenantconfig.Config{Application: tenantconfig.Application{
		SearchableFields: []string{"ticketId", "ssn"},
		HiddenFields:     []tenantconfig.HiddenFields{{Role: "agent", Fields: []string{"ssn"}}},
	}}
	fmt.Println(c.FieldHidden("agent", "ssn"), c.FieldSearchable("agent", "ssn"), c.FieldSearchable("agent", "ticketId"))
	fmt.Println(c.FieldHidden("nurse", "ssn"), c.FieldSearchable("nurse", "ssn"))
	// Output:
	// true false true
	// false true
}
