// Command manager is the operator.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/controllers"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/audit"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe/wire"
)

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// gcPercent trades a little CPU for memory: most of the heap is the cache, which hardly changes.
const gcPercent = 50

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "probe" {
		return wire.Run(ctx, args[1:], os.Stderr)
	}
	o, err := parse(args)
	if err != nil || o.done {
		return err
	}
	o.logTo(os.Stderr)
	controllers.ShowBuild(fips())
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	config.UserAgent = v1alpha1.OperatorName + "/" + buildinfo.Read().Version
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	if err := setUp(ctx, mgr, o); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", buildinfo.Read().Version, "namespace", o.namespace, "admissionPolicies", o.admission, "fips", fips())
	return mgr.Start(ctx)
}

func newManager(config *rest.Config, o options) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	mgr, err := ctrl.NewManager(config, manager.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(),
		Metrics:                       metricsserver.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:        o.probes,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              v1alpha1.OperatorName,
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, err
	}
	ready := &readiness{}
	return mgr, errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("tenants", ready.check), mgr.Add(ready))
}

func setUp(ctx context.Context, mgr manager.Manager, o options) error {
	start, err := prepare(ctx, mgr, o)
	if err != nil {
		return err
	}
	state := controllers.NewClusterState()
	placement, err := controllers.NewPlacement(start.watches, mgr.GetClient(), state)
	if err != nil {
		return err
	}
	extensions, err := controllers.NewExtensions(start.objects, state)
	if err != nil {
		return err
	}
	applier, recorder := apply.New(extensions.Reader(mgr.GetClient()), mgr.GetAPIReader(), v1alpha1.OperatorName), controllers.Recorder(mgr)
	tenants := &controllers.TenantReconciler{
		Client:            mgr.GetClient(),
		Live:              mgr.GetAPIReader(),
		Applier:           applier,
		Keys:              start.keys,
		State:             state,
		Placement:         placement,
		Extensions:        extensions,
		Recorder:          recorder,
		Clock:             clock.RealClock{},
		ClusterUID:        start.clusterUID,
		OperatorNamespace: o.namespace,
		ProbeNamespace:    o.probe.namespace,
		Concurrency:       o.concurrency,
	}
	policies := &controllers.AdmissionReconciler{
		Client: mgr.GetClient(), State: state, Identity: start.identity, Namespace: o.namespace, Manage: o.admission == admissionManage,
		Recorder: recorder, Clock: clock.RealClock{},
	}
	emergencies := &controllers.EmergencyReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Applier: applier, State: state,
		Recorder: recorder, Clock: clock.RealClock{}, Audit: controllers.Counted(audit.Log(o.auditLog(os.Stderr))),
	}
	for _, c := range []interface{ SetupWithManager(manager.Manager) error }{
		tenants,
		policies,
		emergencies,
		&controllers.NodeReconciler{Client: mgr.GetClient(), State: state, Placement: placement},
		&controllers.StorageClassReconciler{Client: mgr.GetClient(), State: state},
		&controllers.AssociateReconciler{Client: mgr.GetClient(), Clock: clock.RealClock{}},
	} {
		if err := c.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	if err := mgr.Add(&controllers.AtRestWatch{
		Probe: &controllers.AtRestProbe{Config: mgr.GetConfig(), Namespace: o.namespace}, State: state, Interval: o.atRest,
		Recorder: recorder, Clock: clock.RealClock{},
	}); err != nil {
		return err
	}
	return mgr.Add(&controllers.NetworkWatch{
		Probe: &controllers.NetworkProbe{API: start.watches, Namespace: o.probe.namespace, Image: o.probe.image}, State: state, Interval: o.probe.interval,
		Namespace: o.namespace, ClusterUID: start.clusterUID, Recorder: recorder, Clock: clock.RealClock{},
	})
}
