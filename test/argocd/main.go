// Command argocd-engine does with manifests what Argo CD does, by its own packages: it applies them, compares them with what
// is live, and judges the health of that. Tests run it against their control plane; there is no Argo CD server, repository
// or cache around it.
//
//	argocd-engine -kubeconfig FILE -settings ARGOCD-CM [-server-side] apply|compare MANIFESTS
//
// It prints a JSON document per object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// application that the manifests belong to.
const application = "hipaa-tenants"

// Verdict is what Argo CD has to say of one object.
type Verdict struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Synced  bool   `json:"synced"`
	Diff    string `json:"diff,omitempty"`
	Health  string `json:"health,omitempty"`
	Message string `json:"message,omitempty"`
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "argocd-engine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("argocd-engine", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "of the cluster")
	settings := flags.String("settings", "", "manifest of ConfigMap argocd-cm")
	serverSide := flags.Bool("server-side", false, "apply and compare server-side")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return fmt.Errorf("want a command and a file, got %q", flags.Args())
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	overrides, err := resourceOverrides(ctx, *settings)
	if err != nil {
		return err
	}
	e := &engine{
		config: config, overrides: overrides, serverSide: *serverSide,
		kubectl: &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}},
	}
	targets, err := readManifests(flags.Arg(1))
	if err != nil {
		return err
	}
	switch flags.Arg(0) {
	case "apply":
		return e.apply(ctx, targets)
	case "compare":
		verdicts, err := e.compare(ctx, targets)
		for _, v := range verdicts {
			if err := json.NewEncoder(out).Encode(v); err != nil {
				return err
			}
		}
		return err
	}
	return fmt.Errorf("want apply or compare, got %q", flags.Arg(0))
}

// readManifests as the repository server hands them out: with the annotation that tracks whose they are.
func readManifests(path string) ([]*unstructured.Unstructured, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(f, 4096)
	for {
		o := &unstructured.Unstructured{}
		switch err := decoder.Decode(o); {
		case err == io.EOF: //nolint:errorlint // the decoder returns it as it is
			return all, nil
		case err != nil:
			return nil, err
		case len(o.Object) == 0:
			continue
		}
		err := argo.NewResourceTracking().SetAppInstance(o, common.LabelKeyAppInstance, application, "", v1alpha1.TrackingMethodAnnotation, "")
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
}

type engine struct {
	config     *rest.Config
	kubectl    *kube.KubectlCmd
	overrides  map[string]v1alpha1.ResourceOverride
	serverSide bool
}

func (e *engine) apply(ctx context.Context, targets []*unstructured.Unstructured) error {
	operations, cleanup, err := e.kubectl.ManageResources(e.config)
	if err != nil {
		return err
	}
	defer cleanup()
	for _, target := range targets {
		if _, err := operations.ApplyResource(ctx, target, cmdutil.DryRunNone, false, true, e.serverSide, common.ArgoCDSSAManager); err != nil {
			return fmt.Errorf("applying %s %s: %w", target.GetKind(), target.GetName(), err)
		}
	}
	return nil
}

func (e *engine) compare(ctx context.Context, targets []*unstructured.Unstructured) ([]Verdict, error) {
	_, parser, err := e.kubectl.LoadOpenAPISchema(e.config)
	if err != nil {
		return nil, err
	}
	dryRun, cleanup, err := e.kubectl.ManageServerSideDiffDryRuns(e.config)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	// As the application controller sets it up in CompareAppState.
	config, err := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(nil, e.overrides, true, normalizers.IgnoreNormalizerOpts{}).
		WithTracking(common.LabelKeyAppInstance, string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().WithGVKParser(parser).WithManager(common.ArgoCDSSAManager).
		WithServerSideDiff(e.serverSide).WithStructuredMergeDiff(e.serverSide).
		WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(dryRun)).Build()
	if err != nil {
		return nil, err
	}
	var verdicts []Verdict
	for _, target := range targets {
		live, err := e.kubectl.GetResource(ctx, e.config, target.GroupVersionKind(), target.GetName(), target.GetNamespace())
		if err != nil {
			return nil, err
		}
		v, err := e.judge(live, target, config)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", target.GetKind(), target.GetName(), err)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}

func (e *engine) judge(live, target *unstructured.Unstructured, config argodiff.DiffConfig) (Verdict, error) {
	v := Verdict{Kind: target.GetKind(), Name: target.GetName()}
	result, err := argodiff.StateDiff(live, target, config)
	if err != nil {
		return v, err
	}
	v.Synced = !result.Modified
	if result.Modified {
		v.Diff = fmt.Sprintf("live %s\nwanted %s", result.NormalizedLive, result.PredictedLive)
	}
	h, err := health.GetResourceHealth(live, lua.ResourceHealthOverrides(e.overrides))
	if err != nil {
		return v, err
	}
	if h != nil {
		v.Health, v.Message = string(h.Status), h.Message
	}
	return v, nil
}
