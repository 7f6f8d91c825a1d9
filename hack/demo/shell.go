package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// commandLimit bounds one command. The longest, kubectl wait, has a limit of its own.
	commandLimit = 2 * time.Minute
	// patience bounds a wait for a condition. Usual are one or two seconds.
	patience = 45 * time.Second
	// interval is how often a wait looks again.
	interval = 100 * time.Millisecond
)

// answer is what a command printed, and how it ended.
type answer struct {
	demo *demo
	text string
	err  error
}

// run shows a command line and its answer. What is shown is what is run, by a shell. Nothing is once the user has stopped
// the demonstration.
func (d *demo) run(ctx context.Context, line string) answer {
	if ctx.Err() != nil {
		return answer{d, "", ctx.Err()}
	}
	d.screen.command(line)
	a := d.ask(ctx, line)
	d.screen.answer(a.text)
	return a
}

// ask runs a command line without showing it. kubectl is the one of the cluster's version, and knows the contexts of
// writeContexts; nothing of the user's own configuration reaches it.
func (d *demo) ask(ctx context.Context, line string) answer {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Dir = d.root
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Dir(d.cluster.Kubectl())+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"KUBECONFIG="+d.kubeconfig(), "HOME="+d.cluster.Dir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what the shell started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	text, err := cmd.CombinedOutput()
	return answer{d, string(text), err}
}

// shows expects success, and all of these words.
func (a answer) shows(what string, words ...string) {
	err := a.err
	if err == nil {
		err = a.lacks(words)
	}
	a.demo.check(what, err)
}

// refused expects a failure in all of these words.
func (a answer) refused(what string, words ...string) {
	err := a.lacks(words)
	if a.err == nil {
		err = fmt.Errorf("expected a refusal, found success")
	}
	a.demo.check(what, err)
}

func (a answer) lacks(words []string) error {
	for _, w := range words {
		if !strings.Contains(a.text, w) {
			return fmt.Errorf("expected %q in the answer, found none in %q", w, a.text)
		}
	}
	return nil
}

// without expects none of these words.
func (a answer) without(words ...string) error {
	for _, w := range words {
		if strings.Contains(a.text, w) {
			return fmt.Errorf("expected no %q in the answer, found it in %q", w, a.text)
		}
	}
	return nil
}

// await tries until there is no error, and says how long that took unless it was so at once.
func (d *demo) await(ctx context.Context, what string, try func(context.Context) error) {
	took, err := poll(ctx, try)
	if took >= interval {
		what = fmt.Sprintf("%s (after %s)", what, short(took))
	}
	d.check(what, err)
}

// poll tries until there is no error, and fails with the last one.
func poll(ctx context.Context, try func(context.Context) error) (time.Duration, error) {
	began := time.Now()
	var last error
	err := wait.PollUntilContextTimeout(ctx, interval, patience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %w", err, last)
	}
	return time.Since(began), err
}

func short(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

func (d *demo) kubeconfig() string { return filepath.Join(d.cluster.Dir(), "demo.kubeconfig") }

// writeContexts lets kubectl act as different people. The first is who it acts as when no context is named.
func (d *demo) writeContexts(admin *rest.Config, others map[string]*rest.Config) error {
	const server = "demo"
	config := clientcmdapi.NewConfig()
	config.CurrentContext = "admin"
	config.Clusters[server] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData}
	add := func(name string, c *rest.Config) {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, Token: c.BearerToken}
		config.Contexts[name] = &clientcmdapi.Context{Cluster: server, AuthInfo: name}
	}
	add(config.CurrentContext, admin)
	for name, c := range others {
		add(name, c)
	}
	return clientcmd.WriteToFile(*config, d.kubeconfig())
}
