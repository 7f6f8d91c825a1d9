package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// The emergency access of the stories, and who takes part.
const (
	accessName     = "inc-4711"
	accessDuration = "1m"
	requester      = "sam@acme.example"
	approver       = "dana@acme.example"
	// endWithin is how long somebody may still be let in after the end.
	endWithin = 5 * time.Second
	// toolbox is the pod that is reached into.
	toolbox = "toolbox"
)

// emergency lets a person into a tenant's pods for a minute, and tries kubectl exec all the while, and on.
func (w *world) emergency(ctx context.Context) (string, error) {
	if err := w.startToolbox(ctx); err != nil {
		return "", err
	}
	persons, err := w.persons(ctx)
	if err != nil {
		return "", err
	}
	if err := persons.keptOut(ctx); err != nil {
		return "", err
	}
	agreed, err := w.agree(ctx, persons)
	if err != nil {
		return "", err
	}
	let, err := persons.requester.until(ctx, true, agreed.Add(10*time.Second))
	if err != nil {
		return "", fmt.Errorf("after the agreement: %w", err)
	}
	open, err := persons.requester.open(ctx)
	if err != nil {
		return "", err
	}
	defer open.close()
	access := &v1alpha1.EmergencyAccess{}
	if err := w.admin.Get(ctx, client.ObjectKey{Name: accessName}, access); err != nil {
		return "", err
	}
	end := access.Status.ExpiresAt.Time
	over, err := persons.requester.until(ctx, false, end.Add(endWithin+10*time.Second))
	if err != nil {
		return "", fmt.Errorf("after the end: %w", err)
	}
	figures := fmt.Sprintf("let_in_after=%.1fs for=%.0fs tries=%d unclear=%d last_let_in=%+.1fs refused_from=%+.1fs",
		let.at.Sub(agreed).Seconds(), end.Sub(access.Status.ApprovedAt.Time).Seconds(), over.tries, let.unclear+over.unclear, over.before.Sub(end).Seconds(), over.at.Sub(end).Seconds())
	// An access whose end is not the last second of somebody who was let in would be cut short.
	if over.at.Sub(end) > endWithin || over.at.Before(end.Add(-time.Second)) {
		return figures, fmt.Errorf("%w: expected kubectl exec until the end, and at most %s longer", errTarget, endWithin)
	}
	more, err := w.openSession(ctx, open)
	return figures + more, err
}

// openSession says what became of a session that was open at the end: nothing asks again whether it may go on, as docs/limits.md
// has it. It ends with its pod.
func (w *world) openSession(ctx context.Context, s *session) (string, error) {
	figures := fmt.Sprintf(" open_session_goes_on=%t", s.say("after the end"))
	if _, err := w.shell(ctx, "kubectl -n acme-health-app delete pod "+toolbox+" --wait"); err != nil {
		return figures, err
	}
	cut := !s.say("after the pod")
	figures += fmt.Sprintf(" ends_with_pod=%t", cut)
	if !cut {
		return figures, errors.New("expected the session to end with its pod")
	}
	return figures, nil
}

// startToolbox runs a pod with something to run in.
func (w *world) startToolbox(ctx context.Context) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: acmeApp, Name: toolbox}, Spec: restricted(toolboxImage)}
	pod.Spec.Containers[0].Args = []string{"serve", ":9000"}
	if err := w.admin.Create(ctx, pod); err != nil {
		return err
	}
	_, err := w.shell(ctx, "kubectl -n acme-health-app wait --for=condition=Ready pod/"+toolbox+" --timeout=60s")
	return err
}

// person uses kubectl as somebody.
type person struct {
	*world
	config string
}

// persons of an emergency, and one of the tenant's own operators.
type persons struct{ requester, approver, tenants person }

// persons are let ask and agree, with the commands of docs/emergency-access.md.
func (w *world) persons(ctx context.Context) (persons, error) {
	for _, line := range []string{
		"kubectl create clusterrolebinding emergency-requesters --clusterrole=hipaatenant-emergency-requester --group=on-call",
		"kubectl create clusterrolebinding emergency-approvers --clusterrole=hipaatenant-emergency-approver --group=security-officers",
	} {
		if _, err := w.shell(ctx, line); err != nil {
			return persons{}, err
		}
	}
	return persons{person{w, w.kubeconfig(requester, "on-call")}, person{w, w.kubeconfig(approver, "security-officers")}, person{w, w.kubeconfig("omar@acme.example", "acme-ops")}}, nil
}

// keptOut says that none of them may reach in.
func (p persons) keptOut(ctx context.Context) error {
	for _, one := range []person{p.requester, p.approver, p.tenants} {
		got, err := answered(func() (bool, error) { return one.reaches(ctx) })
		if err == nil && got.allowed {
			err = fmt.Errorf("expected kubectl exec to be refused without an emergency, found it allowed to %s", filepath.Base(one.config))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig of a user.
func (w *world) kubeconfig(name string, groups ...string) string {
	path := filepath.Join(w.Dir, name+".kubeconfig")
	if err := w.cluster.WriteKubeconfig(path, w.cluster.User(name, groups...)); err != nil {
		panic(err) // the directory is ours
	}
	return path
}

// agree asks as the one and agrees as the other, and returns when that was.
func (w *world) agree(ctx context.Context, p persons) (time.Time, error) {
	sample := filepath.Join(w.Root, "config", "samples", "30-emergencyaccess.yaml")
	for _, step := range []struct{ config, line string }{
		{p.requester.config, fmt.Sprintf("sed 's/duration: .*/duration: %s/' %s | kubectl create -f -", accessDuration, sample)},
		{p.approver.config, "kubectl annotate emergencyaccess " + accessName + " hipaatenant.dev/approve=true"},
	} {
		if _, err := w.shell(ctx, "export KUBECONFIG="+step.config+"; "+step.line); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

// command of kubectl in the toolbox.
func (p person) command(ctx context.Context, args ...string) *exec.Cmd {
	line := append([]string{"--kubeconfig", p.config, "-n", acmeApp, "exec", "-i", toolbox, "--", "/toolbox"}, args...)
	return exec.CommandContext(ctx, p.cluster.Kubectl(), line...)
}

// reaches says whether kubectl exec is allowed. What is neither done nor refused is an error.
func (p person) reaches(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, endWithin-time.Second) // one without an answer leaves time to see the end
	defer cancel()
	cmd := p.command(ctx, "echo")
	cmd.Stdin = strings.NewReader("here\n")
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err == nil && strings.TrimSpace(text) == "here":
		return true, nil
	case strings.Contains(text, "(Forbidden)") || strings.Contains(text, " is forbidden: "):
		return false, nil
	default:
		return false, fmt.Errorf("kubectl exec: %w: %s", err, strings.TrimSpace(text))
	}
}

// answer to a request, when it was begun, and how many before it had none.
type answer struct {
	allowed bool
	began   time.Time
	unclear int
}

// answered tries again what was neither done nor refused, once: a machine that is busy is too slow now and then. Twice in a row is
// an error.
func answered(try func() (bool, error)) (a answer, err error) {
	for a.unclear = range 2 {
		a.began = time.Now()
		if a.allowed, err = try(); err == nil {
			return a, nil
		}
	}
	return a, fmt.Errorf("twice in a row: %w", err)
}

// turn is when the answer became another.
type turn struct {
	// before and at are when the last request with the old answer, and the first with the new one, were begun.
	before, at     time.Time
	tries, unclear int
}

// until tries kubectl exec until it is allowed, or until it is not.
func (p person) until(ctx context.Context, allowed bool, limit time.Time) (t turn, err error) {
	for {
		got, err := answered(func() (bool, error) { return p.reaches(ctx) })
		if err != nil {
			return t, err
		}
		t.tries, t.unclear = t.tries+1+got.unclear, t.unclear+got.unclear
		if got.allowed == allowed {
			t.at = got.began
			return t, nil
		}
		t.before = got.began
		if got.began.After(limit) {
			return t, fmt.Errorf("expected kubectl exec to be allowed: %t by %s, found %t", allowed, limit.Format(time.TimeOnly), got.allowed)
		}
	}
}

// session is an open kubectl exec.
type session struct {
	in    io.WriteCloser
	lines chan string
	cmd   *exec.Cmd
}

func (p person) open(ctx context.Context) (*session, error) {
	s := &session{cmd: p.command(ctx, "echo"), lines: make(chan string, 1)}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
	}()
	if !s.say("during the access") {
		s.close()
		return nil, errors.New("expected kubectl exec to open a session")
	}
	return s, nil
}

// say says whether what is said in the session is answered.
func (s *session) say(text string) bool {
	if _, err := fmt.Fprintln(s.in, text); err != nil {
		return false
	}
	select {
	case line, open := <-s.lines:
		return open && line == text
	case <-time.After(5 * time.Second):
		return false
	}
}

func (s *session) close() {
	_ = s.in.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}
