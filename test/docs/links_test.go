package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *$`)
	anchored = regexp.MustCompile(`<a (?:id|name)="([^"]+)">`)
	dropped  = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
	fenced   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	inCode   = regexp.MustCompile("`([^`\n]+)`")
	// named are paths of the repository that stand in code, as in `config/admission/`.
	named = regexp.MustCompile(`^(config|charts|docs|test|hack|internal|cmd|pkg|api|controllers)/[A-Za-z0-9_./-]+$`)
)

// prose of a page is what stands outside of blocks.
func (p *page) prose() string { return fenced.ReplaceAllString(p.text, "") }

// anchors of a page, as the readers of Markdown make them from headings.
func (p *page) anchors() []string {
	var out []string
	for _, h := range heading.FindAllStringSubmatch(p.prose(), -1) {
		text := link.ReplaceAllStringFunc(h[1], func(l string) string { return l[1:strings.Index(l, "](")] })
		id := strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		unique := id
		for n := 1; slices.Contains(out, unique); n++ {
			unique = fmt.Sprintf("%s-%d", id, n)
		}
		out = append(out, unique)
	}
	for _, a := range anchored.FindAllStringSubmatch(p.text, -1) {
		out = append(out, a[1])
	}
	return out
}

// targets of a page's links within the repository: path and anchor.
func (p *page) targets() [][2]string {
	var out [][2]string
	for _, l := range link.FindAllStringSubmatch(inCode.ReplaceAllString(p.prose(), ""), -1) {
		if strings.Contains(l[1], "://") || strings.HasPrefix(l[1], "mailto:") {
			continue
		}
		target, anchor, _ := strings.Cut(l[1], "#")
		if target = path.Join(path.Dir(p.path), target); strings.HasPrefix(l[1], "#") {
			target = p.path
		}
		out = append(out, [2]string{target, anchor})
	}
	return out
}

// Every link within the repository leads somewhere, and so does every path named in code.
func TestLinks(t *testing.T) {
	byPath := map[string]*page{}
	for _, p := range pages() {
		byPath[p.path] = p
	}
	count := 0
	for _, p := range byPath {
		for _, l := range p.targets() {
			count++
			if _, err := os.Stat(filepath.Join(root(), l[0])); err != nil {
				t.Errorf("%s links to %s: %v", p.path, l[0], err)
			}
			if target := byPath[l[0]]; l[1] != "" && (target == nil || !slices.Contains(target.anchors(), l[1])) {
				t.Errorf("%s links to %s#%s, which has no such heading", p.path, l[0], l[1])
			}
		}
		for _, c := range inCode.FindAllStringSubmatch(p.prose(), -1) {
			if !named.MatchString(c[1]) {
				continue
			}
			if _, err := os.Stat(filepath.Join(root(), c[1])); err != nil {
				t.Errorf("%s names %s: %v", p.path, c[1], err)
			}
		}
	}
	if count < 30 {
		t.Errorf("%d links found, expected more: does the pattern still fit?", count)
	}
}

// Every file in docs/ can be found: pages from the README or a README in docs/, the rest from a page.
func TestEverythingIsLinked(t *testing.T) {
	linked, index := map[string]bool{}, map[string]bool{}
	for _, p := range pages() {
		for _, l := range p.targets() {
			linked[l[0]] = true
			if path.Base(p.path) == "README.md" && p.path != l[0] && !strings.HasPrefix(p.path, "config/") {
				index[l[0]] = true
			}
		}
	}
	err := filepath.WalkDir(filepath.Join(root(), "docs"), func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file = strings.TrimPrefix(file, root()+"/")
		if isPage := strings.HasSuffix(file, ".md"); isPage && !index[file] {
			t.Errorf("%s is linked neither from README.md nor from a README.md in docs/", file)
		} else if !isPage && !linked[file] {
			t.Errorf("%s is linked from no page", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
