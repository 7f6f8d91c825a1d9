// Command vault-transit serves the real transit engine and the real Kubernetes auth method of HashiCorp Vault, for tests.
//
// Engine (encryption, key derivation, versions, error texts, status codes) and auth method (roles, audiences,
// TokenReviews) are Vault's own code. What surrounds them in a real Vault is reduced to what the tests need: tokens,
// policies, the storage. Everything lives in memory and is gone when the process ends.
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
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; the URL is printed as the first line of standard output")
	cert := flag.String("tls-cert", "", "PEM file of the certificate to serve https with; without, http is served")
	key := flag.String("tls-key", "", "PEM file of the certificate's key")
	mounts := flag.String("mounts", "transit", "comma list of paths to mount a transit engine at")
	root := flag.String("token", "root", "token that may do everything")
	role := flag.String("role", "hipaa-tenant-operator", "role that logs in with -jwt; its tokens have the policy of the same name")
	jwt := flag.String("jwt", "", "service account token that logs in as -role without being reviewed; empty leaves every login to the auth method")
	lease := flag.Duration("lease", time.Hour, "life of a token from the Kubernetes login, where its role says none")
	flag.Parse()

	v, err := newVault(context.Background(), strings.Split(*mounts, ","))
	if err != nil {
		return err
	}
	v.tokens = tokens{root: *root, role: *role, jwt: *jwt, lease: *lease, issued: map[string]issued{}}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	scheme := "http"
	if *cert != "" {
		scheme = "https"
	}
	fmt.Println(scheme + "://" + l.Addr().String())

	failed := make(chan error, 1)
	server := &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
	go func() {
		if *cert == "" {
			failed <- server.Serve(l)
			return
		}
		failed <- server.ServeTLS(l, *cert, *key)
	}()
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
