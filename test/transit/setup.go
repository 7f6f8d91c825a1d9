package transit

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/client-go/rest"
)

// Review has the Kubernetes auth method review tokens at an API server, with the token of a connection, which needs the rights
// of ClusterRole system:auth-delegator.
func (v *Vault) Review(ctx context.Context, reviewer *rest.Config) error {
	_, err := v.Write(ctx, "auth/kubernetes/config", map[string]any{
		"kubernetes_host":      reviewer.Host,
		"kubernetes_ca_cert":   string(reviewer.CAData),
		"token_reviewer_jwt":   reviewer.BearerToken,
		"disable_local_ca_jwt": true,
	})
	return err
}

// WritePolicy is "vault policy write".
func (v *Vault) WritePolicy(ctx context.Context, name, text string) error {
	_, err := v.Write(ctx, "sys/policies/acl/"+name, map[string]any{"policy": text})
	return err
}

// AllowOperator writes the policies that docs/keyset.md asks for, with the right to destroy keys, for both mounts.
func (v *Vault) AllowOperator(ctx context.Context, name string) error {
	page, err := readFile("docs/keyset.md")
	if err != nil {
		return err
	}
	_, page, found := strings.Cut(page, "\n## Vault: what to set up\n")
	blocks := regexp.MustCompile("(?s)\n```hcl\n(.*?)```").FindAllStringSubmatch(page, -1)
	if !found || len(blocks) != 2 {
		return fmt.Errorf("expected two policies in docs/keyset.md after its heading on Vault, found %d", len(blocks))
	}
	text := blocks[0][1] + blocks[1][1]
	return v.WritePolicy(ctx, name, text+strings.ReplaceAll(text, `"transit/`, `"team-a/transit/`))
}

// Run does what a page tells an administrator to do: the `vault policy write` and `vault write` commands of the first shell
// block after a heading or text of a page. Lines may be continued, and a policy comes as a here document.
func (v *Vault) Run(ctx context.Context, page, after string) error {
	lines, err := shellBlock(page, after)
	if err != nil {
		return err
	}
	for len(lines) > 0 {
		if lines, err = v.command(ctx, strings.Fields(lines[0]), lines[1:]); err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
	}
	return nil
}

// command runs one, and returns the lines that are not its here document.
func (v *Vault) command(ctx context.Context, words, lines []string) ([]string, error) {
	switch {
	case len(words) == 0:
		return lines, nil
	case len(words) == 6 && strings.Join(words[:3], " ") == "vault policy write" && words[4] == "-" && words[5] == "<<EOF":
		policy, rest, ended := cutAt(lines, "EOF")
		if !ended {
			return nil, fmt.Errorf("the here document of policy %s does not end", words[3])
		}
		return rest, v.WritePolicy(ctx, words[3], policy)
	case len(words) > 2 && strings.Join(words[:2], " ") == "vault write":
		_, err := v.Write(ctx, words[2], parameters(words[3:]))
		return lines, err
	default:
		return nil, fmt.Errorf("expected vault policy write or vault write, found %q", words)
	}
}

// shellBlock returns the lines of the first one after a text, continued lines as one.
func shellBlock(page, after string) ([]string, error) {
	text, err := readFile(page)
	if err != nil {
		return nil, err
	}
	_, text, found := strings.Cut(text, after)
	_, text, opened := strings.Cut(text, "```sh\n")
	text, _, closed := strings.Cut(text, "```")
	if !found || !opened || !closed || strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("%s has no shell block after %q", page, after)
	}
	return strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n"), nil
}

// cutAt joins the lines before one that holds nothing but the word.
func cutAt(lines []string, word string) (before string, after []string, found bool) {
	for i, line := range lines {
		if strings.TrimSpace(line) == word {
			return strings.Join(lines[:i], "\n"), lines[i+1:], true
		}
	}
	return "", nil, false
}

func parameters(words []string) map[string]any {
	out := map[string]any{}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		out[name] = value
	}
	return out
}
