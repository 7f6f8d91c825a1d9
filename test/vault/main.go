// Command vault-transit serves the real transit engine of HashiCorp Vault on a loopback port, for tests.
//
// The engine (encryption, key derivation, versions, error texts, status codes) is Vault's own code. What
// surrounds it in a real Vault is reduced to what the tests need: tokens, one narrow policy, the Kubernetes
// login. Everything lives in memory and is gone when the process ends.
//
// Licence: github.com/hashicorp/vault is under the Business Source License 1.1. This module is for tests only.
// It is never imported by the operator, and its binary is part of no image and no release.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vault-transit:", err)
		os.Exit(1)
	}
}

// run serves until standard input ends. The starter holds the other end of that pipe, so the server goes
// when the starter does, however it dies.
func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; it is printed as the first line of standard output")
	mounts := flag.String("mounts", "transit", "comma list of paths to mount a transit engine at")
	root := flag.String("token", "root", "token that may do everything")
	role := flag.String("role", "hipaa-tenant-operator", "role the Kubernetes login knows")
	jwt := flag.String("jwt", "", "service account token the Kubernetes login accepts; empty refuses every login")
	lease := flag.Duration("lease", time.Hour, "life of a token from the Kubernetes login")
	flag.Parse()

	v := &vault{
		engines: map[string]*engine{},
		tokens:  tokens{root: *root, role: *role, jwt: *jwt, lease: *lease, issued: map[string]time.Time{}},
	}
	for mount := range strings.SplitSeq(*mounts, ",") {
		e, err := newEngine(context.Background())
		if err != nil {
			return fmt.Errorf("mount %q: %w", mount, err)
		}
		v.engines[mount] = e
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())

	failed := make(chan error, 1)
	server := &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
	go func() { failed <- server.Serve(l) }()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}
