package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// patience is how long a block may take.
const patience = 3 * time.Minute

// preamble stops at the first command that fails, and tells which one it was.
const preamble = `set -Eeuo pipefail; trap 'echo "failed: $BASH_COMMAND" >&2' ERR
`

// command is what is typed in one go, and what is shown to come of it; nothing is shown in sh blocks.
type command struct {
	line, shown string
}

// commands of a block.
func (b *block) commands() []command {
	if b.language == "sh" {
		var out []command
		for _, line := range split(b.code) {
			out = append(out, command{line: line})
		}
		return out
	}
	var out []command
	for line := range strings.Lines(b.code) {
		typed, begins := strings.CutPrefix(line, "$ ")
		switch last := len(out) - 1; {
		case begins:
			out = append(out, command{line: typed})
		case last >= 0 && out[last].shown == "" && incomplete(out[last].line):
			out[last].line += line
		case last >= 0:
			out[last].shown += line
		default:
			out = append(out, command{line: "false # a console block begins with \"$ \"", shown: line})
		}
	}
	return out
}

// split cuts a script into its commands. Where one ends the shell says itself.
func split(script string) []string {
	var out []string
	pending := ""
	for line := range strings.Lines(script) {
		trimmed := strings.TrimSpace(line)
		if pending == "" && (trimmed == "" || strings.HasPrefix(trimmed, "#")) {
			continue
		}
		if pending += line; !incomplete(pending) {
			out = append(out, pending)
			pending = ""
		}
	}
	if pending != "" {
		out = append(out, pending)
	}
	return out
}

// incomplete says whether the shell would wait for more. Of a here-document it only warns.
func incomplete(text string) bool {
	var problem bytes.Buffer
	cmd := exec.Command("bash", "-n")
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), &problem
	err := cmd.Run()
	return err != nil || problem.Len() > 0 || strings.HasSuffix(strings.TrimRight(text, "\n"), `\`)
}

// shell is where the commands of a page are run.
type shell struct {
	// dir looks like the repository; what a page writes stays in it.
	dir string
	// env is the environment of an administrator.
	env []string
}

// newShell makes the directory: links to what the repository has.
func newShell(dir string, env []string) (*shell, error) {
	entries, err := os.ReadDir(root())
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := os.Symlink(filepath.Join(root(), e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return &shell{dir: dir, env: env}, nil
}

// run gives a script to bash, and returns what it printed.
func (s *shell) run(ctx context.Context, script string, env ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = s.dir, append(s.env, env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%w\n%s", err, out)
	}
	return string(out), nil
}

// block runs one, and compares what is shown with what came.
func (s *shell) block(ctx context.Context, b *block, env ...string) error {
	if b.language == "sh" {
		_, err := s.run(ctx, preamble+b.code, env...)
		return err
	}
	for _, c := range b.commands() {
		out, err := s.run(ctx, c.line, env...)
		if differs := differs(c.shown, out); differs != nil {
			return fmt.Errorf("%s%w", c.line, differs)
		}
		if err != nil && c.shown == "" { // a refusal is shown
			return fmt.Errorf("%s%w", c.line, err)
		}
	}
	return nil
}

// What differs from one time to the next, and says nothing.
var changing = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<uid>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[0-9:.]+Z\b`), "<time>"},
	{regexp.MustCompile(`\b(\d+[dhms])+$`), "<age>"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// shape is what of a line stays the same.
func shape(line string) string {
	line = strings.TrimSpace(line)
	for _, c := range changing {
		line = c.pattern.ReplaceAllString(line, c.word)
	}
	return line
}

// differs finds the first line that is shown and did not come. What is shown comes in this order, with other lines in
// between where "..." stands alone; inside a line it stands for any text.
func differs(shown, came string) error {
	lines := strings.Split(strings.TrimSpace(came), "\n")
	gap, at := false, 0
	for expected := range strings.Lines(shown) {
		expected = shape(expected)
		if expected == "..." || expected == "" {
			gap = true
			continue
		}
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(expected), `\.\.\.`, ".*") + "$")
		for gap && at < len(lines) && !pattern.MatchString(shape(lines[at])) {
			at++
		}
		if at == len(lines) || !pattern.MatchString(shape(lines[at])) {
			return fmt.Errorf("shown:\n  %s\ncame:\n%s", expected, came)
		}
		gap, at = false, at+1
	}
	if !gap && shown != "" && at < len(lines) {
		return fmt.Errorf("nothing more is shown, and this came:\n%s", strings.Join(lines[at:], "\n"))
	}
	return nil
}
