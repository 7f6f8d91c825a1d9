// Command toolbox is what somebody finds in a container of the tests who reaches into it: the image has no shell.
//
//	toolbox serve :8080              answer connections with what they send, until it is told to end
//	toolbox connect 10.0.0.1:8080    exit with 0 when somebody answers there within three seconds
//	toolbox echo                     print every line of standard input, until it ends
//	toolbox read FILE                print a file
//	toolbox write FILE TEXT          write one
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "toolbox:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch strings.Join(args[:min(1, len(args))], "") {
	case "serve":
		return with(args, 2, serve)
	case "connect":
		return with(args, 2, connect)
	case "echo":
		return echo(os.Stdin, os.Stdout)
	case "read":
		return with(args, 2, read)
	case "write":
		return with(args, 3, func(file string) error { return os.WriteFile(file, []byte(args[2]), 0o600) })
	}
	return fmt.Errorf("expected serve, connect, echo, read or write, found %q", args)
}

// with expects as many words, and hands over the second.
func with(args []string, words int, do func(string) error) error {
	if len(args) != words {
		return fmt.Errorf("expected %d words, found %q", words, args)
	}
	return do(args[1])
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}()
	}
}

// patience with who is asked.
const patience = 3 * time.Second

func connect(address string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	return c.Close()
}

func echo(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func read(file string) error {
	text, err := os.ReadFile(file)
	_, written := os.Stdout.Write(text)
	return errors.Join(err, written)
}
