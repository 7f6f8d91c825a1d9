// Package artifact makes what versions are published as, and what they are tested with: programs, their bills of materials, and
// images. The same commit gives the same bytes, whoever builds it and where.
package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CommitTime is when the commit that is checked out in a directory was made, or SOURCE_DATE_EPOCH, by the convention of
// reproducible-builds.org.
func CommitTime(ctx context.Context, dir string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := Command(ctx, dir, nil, "git", "log", "-1", "--format=%ct")
		if err != nil {
			return time.Time{}, fmt.Errorf("asking git when the commit was made (set SOURCE_DATE_EPOCH where there is no repository): %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("expected seconds since 1970, found %q: %w", text, err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// Revision is the commit that is checked out in a directory, with "-dirty" where files differ from it, as Go records it.
func Revision(ctx context.Context, dir string) (string, error) {
	commit, err := Command(ctx, dir, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	changes, err := Command(ctx, dir, nil, "git", "status", "--porcelain")
	if err != nil {
		return "", err
	}
	revision := strings.TrimSpace(string(commit))
	if len(changes) > 0 {
		revision += "-dirty"
	}
	return revision, nil
}

// ErrNoCommit says that a commit is not there to be built.
var ErrNoCommit = errors.New("the commit is not in this clone")

// Checkout writes the files of a commit into a new directory.
func Checkout(ctx context.Context, root, commit, dir string) error {
	// A repository that git does not open, such as one of another user, has the commit for all that is known.
	if _, err := Command(ctx, root, nil, "git", "rev-parse", "--git-dir"); err != nil {
		return err
	}
	if _, err := Command(ctx, root, nil, "git", "cat-file", "-e", commit+"^{commit}"); err != nil {
		return fmt.Errorf("%w: expected %s; fetch the whole history, or name another: %w", ErrNoCommit, commit, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	archive, err := Command(ctx, root, nil, "git", "archive", commit)
	if err != nil {
		return err
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(archive)
	if out, err := unpack.CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking %s: %w\n%s", commit, err, out)
	}
	return nil
}

// Command runs a program in a directory, with further variables in its environment, and returns what it prints.
func Command(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var problem strings.Builder
	c.Stderr = &problem
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return out, nil
}
