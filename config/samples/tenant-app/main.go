// Command tenant-app is an example of an application that does what its tenant's agreement asks of it, and follows changes of
// the HIPAATenant without a restart:
//
//	curl -X POST -c jar 'localhost:8080/session?role=agent'           # log in
//	curl -b jar localhost:8080/tickets/4711                           # without the fields hidden from agents
//	curl -b jar 'localhost:8080/tickets?field=status&value=open'      # searchable fields alone
//	curl -b jar -X POST 'localhost:8080/messages?channel=sms'         # refused while the channel is disabled
//	curl -b jar -X POST 'localhost:8080/recordings?mode=Manual'       # as the tenant permits
//	curl -b jar -X POST localhost:8080/input                          # what a page sends for a key, a click or a touch
//
// README.md beside this file tells how to run it, docs/application-contract.md what is expected of an application.
package main

import (
	"cmp"
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	interval, err := time.ParseDuration(cmp.Or(os.Getenv("RELOAD_EVERY"), "10s"))
	if err != nil {
		return err
	}
	config, err := tenantconfig.Watch(ctx, cmp.Or(os.Getenv("HIPAA_CONFIG_FILE"), tenantconfig.DefaultFile), tenantconfig.Options{
		Interval: interval,
		OnReload: func(err error) {
			if err != nil {
				log.Printf("the settings in use stay: %v", err)
				return
			}
			log.Print("took the changed settings")
		},
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", os.Getenv("LISTEN"))
	if err != nil {
		return err
	}
	log.Printf("listening on %s for tenant %s", listener.Addr(), config.Config().Tenant)
	server := &http.Server{Handler: newApp(config.Config).handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}
