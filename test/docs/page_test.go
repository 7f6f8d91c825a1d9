package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// Directives: HTML comments, one a line, right before a block. Nobody sees them on the rendered page.
const (
	// notRun: <reason>. The block needs what is not here. What is here has to run.
	notRun = "not run"
	// as: <user> [<group>...]. The commands are run as somebody else than an administrator.
	as = "as"
	// file: <name>. The block is that file in the directory the page's commands are run in.
	file = "file"
	// part: <kind or chart>[.<path>]. The YAML is a piece of such an object, or a values file of such a chart.
	part = "yaml"
	// begins: <state>. Before the first command: what the page's commands find.
	begins = "begins"
)

// emptyCluster is what a page begins with that says so. Others find the operator installed and the samples Ready.
const emptyCluster = "an empty cluster"

// languages of blocks. What is in none of them is shown to nobody's benefit: nothing can be said about it.
var languages = []string{"sh", "console", "yaml", "json", "text", "mermaid", "hcl", "promql", "lua", "go", "python", "java"}

// programs are the languages whose blocks are compiled and run by the tests of the packages they show.
var programs = map[string][]string{
	"docs/keyset.md":               {"go", "python", "java"},
	"docs/application-contract.md": {"go", "python"},
}

// page is a file of the documentation.
type page struct {
	path   string // in the repository
	text   string
	begins string
	blocks []*block
}

// block is fenced code.
type block struct {
	at         string // page:line
	language   string
	directives map[string]string
	code       string
}

var (
	fence     = regexp.MustCompile("^( *)(```+)(.*)$")
	directive = regexp.MustCompile(`^ *<!-- (` + strings.Join([]string{notRun, as, file, part, begins}, "|") + `): *(.*?) *-->$`)
)

// root is the directory of the repository.
func root() string {
	dir, err := cluster.RepositoryRoot()
	if err != nil {
		panic(err)
	}
	return dir
}

// paths of all pages: the README, docs/ and the READMEs of the charts.
func paths() []string {
	out := []string{"README.md"}
	for _, dir := range []string{"docs", "charts", "config"} {
		err := filepath.WalkDir(filepath.Join(root(), dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
				out = append(out, strings.TrimPrefix(path, root()+"/"))
			}
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	return out
}

// pages reads all of them.
func pages() []*page {
	var out []*page
	for _, path := range paths() {
		text, err := os.ReadFile(filepath.Join(root(), path))
		if err != nil {
			panic(err)
		}
		p, err := parse(path, string(text))
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

// parse finds the blocks of a page, and what keeps them from being tested.
func parse(path, text string) (*page, error) {
	p := &page{path: path, text: text}
	var problems []error
	var open *block
	var mark, indent string
	before := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", path, i+1)
		switch f := fence.FindStringSubmatch(line); {
		case open != nil && f != nil && f[3] == "" && len(f[2]) >= len(mark):
			problems = append(problems, open.check(path))
			open = nil
		case open != nil:
			open.code += strings.TrimPrefix(line, indent) + "\n"
		case f != nil:
			indent, mark = f[1], f[2]
			open = &block{at: at, language: f[3], directives: before}
			before = map[string]string{}
			p.blocks = append(p.blocks, open)
		default:
			problems = append(problems, p.between(at, line, before))
		}
	}
	if open != nil {
		problems = append(problems, fmt.Errorf("%s: the block is never closed", open.at))
	}
	return p, errors.Join(problems...)
}

// between looks at a line outside of blocks.
func (p *page) between(at, line string, before map[string]string) error {
	d := directive.FindStringSubmatch(line)
	switch {
	case d != nil && d[2] == "":
		return fmt.Errorf("%s: %q says nothing", at, line)
	case d != nil && d[1] == begins:
		p.begins = d[2]
		if d[2] != emptyCluster || slices.ContainsFunc(p.blocks, (*block).shell) {
			return fmt.Errorf("%s: a page begins, before its first command, with %q or with nothing said, found %q", at, emptyCluster, d[2])
		}
	case d != nil:
		before[d[1]] = d[2]
	case len(before) > 0 && strings.TrimSpace(line) != "":
		return fmt.Errorf("%s: a block was expected after the directive, found %q", at, line)
	}
	return nil
}

// check finds what could not be tested, and would go unseen.
func (b *block) check(path string) error {
	if !slices.Contains(languages, b.language) {
		return fmt.Errorf("%s: the language of a block is one of %v, found %q", b.at, languages, b.language)
	}
	if slices.Contains([]string{"go", "python", "java"}, b.language) && !slices.Contains(programs[path], b.language) {
		return fmt.Errorf("%s: no test compiles %s on this page", b.at, b.language)
	}
	takes := map[string][]string{
		"sh": {notRun, as}, "console": {notRun, as}, "yaml": {notRun, file, part}, "json": {file}, "text": {file}, "hcl": {file},
	}
	for name := range b.directives {
		if !slices.Contains(takes[b.language], name) {
			return fmt.Errorf("%s: %q says nothing about %s", b.at, name, b.language)
		}
	}
	if b.shell() && b.directives[notRun] != "" && b.here() {
		return fmt.Errorf("%s: everything it needs is here (%s), so it is run: take the directive away", b.at, b.directives[notRun])
	}
	return nil
}

// shell says whether the block is for a shell.
func (b *block) shell() bool { return b.language == "sh" || b.language == "console" }

// available are the programs that pages are run with.
var available = []string{"kubectl", "helm", "bash", "cat", "echo", "grep", "mkdir", "diff", "sed", "sort", "jq", "[", "test", "#", "EOF"}

// absent is what needs a kubelet, a person, or the machine of a control plane.
var absent = regexp.MustCompile(`\bkubectl\b.* (exec|logs|port-forward|attach|debug|cp|edit|top)\b| /etc/`)

var (
	assignment = regexp.MustCompile(`^([A-Z_]+=\S* )+`)
	program    = regexp.MustCompile(`^[a-z./]+$`)
)

// here says whether all that a block needs is here.
func (b *block) here() bool {
	for line := range strings.SplitSeq(b.code, "\n") {
		line = assignment.ReplaceAllString(strings.TrimSpace(strings.TrimPrefix(line, "$ ")), "")
		word, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(line, "kubectl hipaa") || line == "" {
			continue
		}
		continued := strings.HasPrefix(word, "-") || strings.HasPrefix(word, "<")
		if absent.MatchString(line) || !continued && !slices.Contains(available, word) && program.MatchString(word) {
			return false
		}
	}
	return true
}
