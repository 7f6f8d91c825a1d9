package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestEcho(t *testing.T) {
	var out strings.Builder
	if err := echo(strings.NewReader("one\ntwo\n"), &out); err != nil || out.String() != "one\ntwo\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// A connection is made where somebody listens, and nowhere else.
func TestConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := run([]string{"connect", address}); err != nil {
		t.Error(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"connect", address}); err == nil {
		t.Error("connected where nobody listens")
	}
}

func TestFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "record")
	if err := run([]string{"write", file, "text"}); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"read", file}); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{nil, {"sh"}, {"serve"}, {"read"}, {"write", file}, {"read", file + "-none"}} {
		if err := run(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
