package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// readyTimeout is how long the API server may take. About 4 s are usual on two idle cores; the rest is for a
// machine that compiles at the same time.
const readyTimeout = 2 * time.Minute

// readyInterval is how often readiness is asked for.
const readyInterval = 50 * time.Millisecond

func (c *Cluster) startAll(ctx context.Context) error {
	for _, name := range c.opts.components() {
		if err := c.startProcess(name); err != nil {
			return err
		}
		if name != APIServer {
			continue
		}
		fmt.Fprintln(c.opts.Log, "waiting for the API server")
		if err := c.waitAPIServer(ctx); err != nil {
			return err
		}
	}
	if c.opts.ControllerManager {
		fmt.Fprintln(c.opts.Log, "waiting for the controller manager")
		return c.waitControllerManager(ctx)
	}
	return nil
}

// startProcess starts one component and, in a detached cluster, records it for Open.
func (c *Cluster) startProcess(name string) error {
	p, err := process.Start(process.Spec{
		Name: name, Command: c.command(name), Dir: c.dir, Env: c.environment(),
		Log: c.LogPath(name), Detached: c.opts.Detached,
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes[name] = p
	return c.saveState()
}

// waitAPIServer waits for /readyz.
func (c *Cluster) waitAPIServer(ctx context.Context) error {
	client, err := rest.HTTPClientFor(c.admin)
	if err != nil {
		return err
	}
	client.Timeout = 5 * time.Second
	defer client.CloseIdleConnections()
	return c.wait(ctx, APIServer, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.admin.Host+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("expected 200 from /readyz, found %s", resp.Status)
		}
		return nil
	})
}

// waitControllerManager waits for the first service account, without which no pod can be created.
func (c *Cluster) waitControllerManager(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	return c.wait(ctx, ControllerManager, func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("expected the controller manager to make the service account default/default: %w", err)
		}
		return err
	})
}

// wait asks until ready says nil. It gives up when the deadline passes or a component ends.
func (c *Cluster) wait(ctx context.Context, component string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		if err := c.firstExit(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("gave up waiting for %s: %w", component, ctx.Err()) // the user's wish; no log needed
			}
			return fmt.Errorf("%s is not ready (%w): %w; the end of %s:\n%s", component, ctx.Err(), last,
				c.LogPath(component), process.Tail(c.LogPath(component), logTail))
		case <-tick.C:
		}
	}
}

// firstExit says which component has ended though it should run.
func (c *Cluster) firstExit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range c.opts.components() {
		p, ok := c.processes[name]
		if !ok || p.Running() {
			continue
		}
		err := c.exitError(name, p)
		if strings.Contains(err.Error(), "address already in use") {
			return fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	return nil
}

// StopComponent stops a component as a power cut would: with SIGKILL. Its data stays, and StartComponent
// starts it again on the same port.
func (c *Cluster) StopComponent(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.processes[name]
	if !ok {
		return fmt.Errorf("stop %s: expected a running component, found none of that name among %s", name, strings.Join(c.opts.components(), ", "))
	}
	if err := p.Stop(0); err != nil {
		return err
	}
	delete(c.processes, name)
	return c.saveState()
}

// StartComponent starts a component that StopComponent has stopped, or that has ended by itself. For the
// API server and etcd it waits until requests are served again; the others need a moment to take over.
func (c *Cluster) StartComponent(ctx context.Context, name string) error {
	if known := c.opts.components(); !slices.Contains(known, name) {
		return fmt.Errorf("start %s: expected one of this cluster's components, %s", name, strings.Join(known, ", "))
	}
	c.mu.Lock()
	p, ok := c.processes[name]
	c.mu.Unlock()
	if ok && p.Running() {
		return fmt.Errorf("start %s: it is running already, as pid %d; stop it first", name, p.PID())
	}
	if err := c.startProcess(name); err != nil {
		return err
	}
	if name == Etcd || name == APIServer {
		return c.waitAPIServer(ctx)
	}
	return nil
}

// Signal sends a signal to a component: SIGSTOP makes it hang, SIGCONT lets it go on.
func (c *Cluster) Signal(name string, sig syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.processes[name]
	if !ok {
		return fmt.Errorf("signal %s: it is not running", name)
	}
	return p.Signal(sig)
}

// PIDs returns the process ids of the running components by name.
func (c *Cluster) PIDs() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := map[string]int{}
	for name, p := range c.processes {
		if p.Running() {
			pids[name] = p.PID()
		}
	}
	return pids
}
