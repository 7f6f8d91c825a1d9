package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// terminal is where the demonstration is shown. Colours are used on real terminals only, and not where the user has
// set NO_COLOR (no-color.org).
type terminal struct {
	out    io.Writer
	colour bool
}

// Escape sequences of ECMA-48.
const (
	bold  = "\x1b[1m"
	red   = "\x1b[1;31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

const failedWord = "FAILED"

func newTerminal(out *os.File) *terminal {
	info, err := out.Stat()
	isTerminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &terminal{out: out, colour: isTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (t *terminal) in(colour, text string) string {
	if !t.colour {
		return text
	}
	return colour + text + plain
}

// heading begins a step.
func (t *terminal) heading(text string) { fmt.Fprintf(t.out, "\n%s\n", t.in(bold, "== "+text)) }

// note says what is not a command.
func (t *terminal) note(format string, args ...any) { fmt.Fprintf(t.out, "\n# "+format+"\n", args...) }

// command shows what is typed.
func (t *terminal) command(line string) { fmt.Fprintf(t.out, "\n%s\n", t.in(bold, "$ "+line)) }

// answer shows what came back, as it came.
func (t *terminal) answer(text string) {
	if text = strings.TrimRight(text, "\n"); text != "" {
		fmt.Fprintln(t.out, text)
	}
}

// verdict says whether something held, and what was found where it did not.
func (t *terminal) verdict(what string, err error) {
	if err != nil {
		fmt.Fprintf(t.out, "%s %s: %v\n", t.in(red, failedWord), what, err)
		return
	}
	fmt.Fprintf(t.out, "%s %s\n", t.in(green, "ok"), what)
}
