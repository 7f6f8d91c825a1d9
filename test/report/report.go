// Package report prints the result lines that checks read, such as
//
//	attack: network attempted=120 refused=120 repaired=0 leaked=0
//
// `go test ./...` hides what passing packages print, so `make test` names a file in the environment, lets every package
// append its lines to it, and prints it at the end. The name is new each time and part of Go's cache key: a package with
// lines is run, never answered from the cache.
package report

import (
	"fmt"
	"os"
)

// File is the environment variable with the file that lines are appended to. Unset, lines go to the standard output.
const File = "HIPAA_TEST_LINES"

// Line reports one result. Call it once per line, when the figures are final, also when they are bad. It panics when the
// line cannot be written: a check would take a missing line for a missing test.
func Line(format string, args ...any) {
	text := fmt.Sprintf(format, args...) + "\n"
	path := os.Getenv(File)
	if path == "" {
		fmt.Print("\n" + text) // a new line: ginkgo's dots end without one
		return
	}
	if err := appendTo(path, text); err != nil {
		panic(fmt.Sprintf("reporting %q: %v", text, err))
	}
}

// appendTo writes the text at once, so that lines of packages that run side by side do not mix.
func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Close()
}
