// Package walls enforces NetworkPolicies with iptables for the addresses of pods on nodes whose bridge plug-in enforces
// nothing. It is for tests alone, which need nodes where a policy holds: a pod has no walls in the moment before its address is
// known, and only IPv4 is judged.
//
// A node's pods must be on a Linux bridge with net.bridge.bridge-nf-call-iptables=1, or routed. What the node itself begins
// (a kubelet's probes) is always let through, and so is everything of connections that stand. What pods send to the node is
// judged by their egress, after kube-proxy has chosen who answers.
package walls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	// settle is how long more changes are waited for.
	settle = 50 * time.Millisecond
	// again is how soon rules that could not be written are written again.
	again = time.Second
	// patience with iptables, and with the API server's first answer.
	patience = 30 * time.Second
)

// hooks are the chains of iptables that lead to ours. What the node itself sends goes through neither.
var hooks = []string{"FORWARD", "INPUT"}

// Walls are standing.
type Walls struct {
	places     []place
	policies   func() ([]*networkingv1.NetworkPolicy, error)
	namespaces func() ([]*corev1.Namespace, error)
	pods       func() ([]*corev1.Pod, error)
	changed    chan struct{}
	cancel     context.CancelFunc
	ended      sync.WaitGroup

	mu      sync.Mutex
	written string
	err     error
}

// place is the path of a network namespace; empty for that of this process.
type place string

// Start writes the rules for what the API server has, and keeps them up to date until Stop or the end of ctx, which leaves them
// standing. They are the same in all the network namespaces whose paths are given, such as /run/netns/node-a; without any, in
// that of this process. It needs root and the connection of whom RBAC lets watch pods, namespaces and NetworkPolicies.
func Start(ctx context.Context, config *rest.Config, namespacePaths ...string) (*Walls, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactory(client, 0)
	policies, namespaces, pods := factory.Networking().V1().NetworkPolicies(), factory.Core().V1().Namespaces(), factory.Core().V1().Pods()
	w := &Walls{
		policies:   func() ([]*networkingv1.NetworkPolicy, error) { return policies.Lister().List(labels.Everything()) },
		namespaces: func() ([]*corev1.Namespace, error) { return namespaces.Lister().List(labels.Everything()) },
		pods:       func() ([]*corev1.Pod, error) { return pods.Lister().List(labels.Everything()) },
		changed:    make(chan struct{}, 1),
		cancel:     cancel,
	}
	for _, path := range namespacePaths {
		w.places = append(w.places, place(path))
	}
	if len(w.places) == 0 {
		w.places = []place{""}
	}
	for _, i := range []cache.SharedIndexInformer{policies.Informer(), namespaces.Informer(), pods.Informer()} {
		if _, err := i.AddEventHandler(w.handler()); err != nil {
			cancel()
			return nil, err
		}
	}
	factory.Start(watching.Done())
	w.ended.Go(func() {
		<-watching.Done()
		factory.Shutdown()
	})
	first, done := context.WithTimeout(watching, patience)
	defer done()
	for kind, synced := range factory.WaitForCacheSync(first.Done()) {
		if !synced {
			return nil, errors.Join(fmt.Errorf("the API server did not list %s within %s", kind, patience), w.Stop())
		}
	}
	err = w.sync(first)
	for _, p := range w.places {
		err = errors.Join(err, p.hang(first))
	}
	if err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	w.ended.Go(func() { w.follow(watching) })
	return w, nil
}

func (w *Walls) handler() cache.ResourceEventHandlerFuncs {
	changed := func() {
		select {
		case w.changed <- struct{}{}:
		default: // it is known already
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() },
	}
}

// follow writes the rules anew after every change that matters.
func (w *Walls) follow(ctx context.Context) {
	wait := time.NewTimer(settle)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
			wait.Reset(settle)
		case <-wait.C:
			if err := w.sync(ctx); err != nil {
				wait.Reset(again)
			}
		}
	}
}

// sync writes the rules if they are others than those that stand.
func (w *Walls) sync(ctx context.Context) error {
	policies, err1 := w.policies()
	namespaces, err2 := w.namespaces()
	pods, err3 := w.pods()
	err := errors.Join(err1, err2, err3)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		if text := Rules(policies, namespaces, pods); text != w.written {
			for _, p := range w.places {
				err = errors.Join(err, p.write(ctx, text))
			}
			if err == nil {
				w.written = text
			}
		}
	}
	w.err = err
	return err
}

// Err is why the last change of the rules was not written; nil when it was.
func (w *Walls) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Stop takes the rules away. It may be called more than once.
func (w *Walls) Stop() error {
	w.cancel()
	w.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var problems []error
	for _, p := range w.places {
		problems = append(problems, p.remove(ctx))
	}
	return errors.Join(problems...)
}

// write replaces all chains in one step. Those that are no longer needed go with it.
func (p place) write(ctx context.Context, text string) error {
	standing, err := p.chains(ctx)
	if err != nil {
		return err
	}
	var gone strings.Builder
	for _, name := range standing {
		if !strings.Contains(text, "\n:"+name+" ") {
			fmt.Fprintf(&gone, "-F %s\n-X %s\n", name, name)
		}
	}
	return p.run(ctx, strings.Replace(text, "COMMIT\n", gone.String()+"COMMIT\n", 1), "iptables-restore", "--noflush", "-w", "10")
}

// chains of ours that stand.
func (p place) chains(ctx context.Context) ([]string, error) {
	out, err := p.command(ctx, "iptables", "-w", "10", "-t", table, "-S").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("iptables -t %s -S: %w: %s", table, err, bytes.TrimSpace(out))
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name, is := strings.CutPrefix(strings.TrimSpace(line), "-N "); is && (name == chain || strings.HasPrefix(name, chain+"-")) {
			names = append(names, name)
		}
	}
	return names, nil
}

// hang has packets go through our chain, once.
func (p place) hang(ctx context.Context) error {
	for _, hook := range hooks {
		if p.run(ctx, "", "iptables", "-w", "10", "-t", table, "-C", hook, "-j", chain) == nil {
			continue
		}
		if err := p.run(ctx, "", "iptables", "-w", "10", "-t", table, "-I", hook, "-j", chain); err != nil {
			return err
		}
	}
	return nil
}

// remove takes away what write and hang made.
func (p place) remove(ctx context.Context) error {
	standing, err := p.chains(ctx)
	if err != nil || !slices.Contains(standing, chain) {
		return err
	}
	for _, hook := range hooks {
		if p.run(ctx, "", "iptables", "-w", "10", "-t", table, "-C", hook, "-j", chain) == nil {
			err = errors.Join(err, p.run(ctx, "", "iptables", "-w", "10", "-t", table, "-D", hook, "-j", chain))
		}
	}
	empty, gone := "-F "+strings.Join(standing, "\n-F "), "-X "+strings.Join(standing, "\n-X ")
	return errors.Join(err, p.run(ctx, "*"+table+"\n"+empty+"\n"+gone+"\nCOMMIT\n", "iptables-restore", "--noflush", "-w", "10"))
}

func (p place) run(ctx context.Context, input string, command ...string) error {
	cmd := p.command(ctx, command...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func (p place) command(ctx context.Context, words ...string) *exec.Cmd {
	if p != "" {
		words = append([]string{"nsenter", "--net=" + string(p)}, words...)
	}
	return exec.CommandContext(ctx, words[0], words[1:]...)
}
