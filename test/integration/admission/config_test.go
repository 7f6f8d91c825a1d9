package admission_test

import (
	"context"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const (
	injected = "[{configMapRef: {name: hipaa-config, optional: false}}]"
	hash     = "0123abcd"
)

// environments are the envFrom lists of a pod's containers.
type environments struct {
	Init  [][]corev1.EnvFromSource `json:"init,omitempty"`
	Main  [][]corev1.EnvFromSource `json:"main,omitempty"`
	Stamp string                   `json:"stamp,omitempty"`
}

// configured creates a pod and compares where its containers take their environment from, and its stamp.
func configured(text, want string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		if err := pt.Create(text)(ctx, s); err != nil {
			return err
		}
		var created corev1.Pod
		created.Name = "web"
		if err := s.Get(ctx, &created); err != nil {
			return err
		}
		got := environments{Stamp: created.Annotations[v1alpha1.AnnotationConfigHash]}
		for _, c := range created.Spec.InitContainers {
			got.Init = append(got.Init, c.EnvFrom)
		}
		for _, c := range created.Spec.Containers {
			got.Main = append(got.Main, c.EnvFrom)
		}
		var wanted environments
		if err := yaml.UnmarshalStrict([]byte(want), &wanted); err != nil {
			return err
		}
		if diff := cmp.Diff(wanted, got, cmpopts.EquateEmpty()); diff != "" {
			return fmt.Errorf("environment (-want +got):\n%s", diff)
		}
		return nil
	}
}

func containers(main, init string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {schedulerName: nobody, containers: %s, initContainers: %s}}", main, init)
}

// configTable is the other half of policy placement: the tenant's settings.
var configTable = pt.Table{Policy: "placement", Rows: []pt.Row{
	{Name: "every container and init container", Want: pt.Allowed(), Do: configured(
		containers("[{name: a, image: x}, {name: b, image: x}]", "[{name: c, image: x}, {name: d, image: x, restartPolicy: Always}]"),
		"{main: ["+injected+", "+injected+"], init: ["+injected+", "+injected+"], stamp: "+hash+"}")},
	{Name: "other sources stay, and come first", Want: pt.Allowed(), Do: configured(
		containers("[{name: a, image: x, envFrom: [{secretRef: {name: s}}]}]", "[{name: b, image: x, envFrom: [{secretRef: {name: t}}]}]"),
		"{main: [[{secretRef: {name: s}}, {configMapRef: {name: hipaa-config, optional: false}}]], init: [[{secretRef: {name: t}}, {configMapRef: {name: hipaa-config, optional: false}}]], stamp: "+hash+"}")},
	{Name: "a container that has it already is left alone", Want: pt.Allowed(), Do: configured(
		containers("[{name: a, image: x, envFrom: [{configMapRef: {name: hipaa-config}}]}, {name: b, image: x}]", "[{name: c, image: x, envFrom: [{configMapRef: {name: hipaa-config}}]}]"),
		"{main: [[{configMapRef: {name: hipaa-config}}], "+injected+"], init: [[{configMapRef: {name: hipaa-config}}]], stamp: "+hash+"}")},
	{Name: "an empty list of sources, and no annotations", Want: pt.Allowed(), Do: configured(
		"{apiVersion: v1, kind: Pod, metadata: {name: web, annotations: {}}, spec: {schedulerName: nobody, containers: [{name: a, image: x, envFrom: []}], initContainers: []}}",
		"{main: ["+injected+"], stamp: "+hash+"}")},
	{Name: "a source with a prefix delivers other names and does not count", Want: pt.Allowed(), Do: configured(
		containers("[{name: a, image: x, envFrom: [{prefix: X_, configMapRef: {name: hipaa-config}}]}]", "[]"),
		"{main: [[{prefix: X_, configMapRef: {name: hipaa-config}}, {configMapRef: {name: hipaa-config, optional: false}}]], stamp: "+hash+"}")},
	{Name: "a source that may be absent does not count", Want: pt.Allowed(), Do: configured(
		containers("[{name: a, image: x, envFrom: [{configMapRef: {name: hipaa-config, optional: true}}]}]", "[]"),
		"{main: [[{configMapRef: {name: hipaa-config, optional: true}}, {configMapRef: {name: hipaa-config, optional: false}}]], stamp: "+hash+"}")},
	{Name: "other annotations stay, a forged stamp does not", Want: pt.Allowed(), Do: configured(
		pod("", "annotations: {team: blue, hipaatenant.dev/config-hash: forged}"), "{main: ["+injected+"], stamp: "+hash+"}")},
	{Name: "a pod that opts out", Want: pt.Allowed(), Do: configured(
		pod("", `annotations: {hipaatenant.dev/inject-config: "false"}`), "{main: [[]]}")},
	{Name: "a pod that opts out loses a forged stamp", Want: pt.Allowed(), Do: configured(
		pod("", `annotations: {hipaatenant.dev/inject-config: "false", hipaatenant.dev/config-hash: "0123abcd"}`), "{main: [[]]}")},
	{Name: "anything but false is no opting out", Want: pt.Allowed(), Do: configured(
		pod("", `annotations: {hipaatenant.dev/inject-config: "no"}`), "{main: ["+injected+"], stamp: "+hash+"}")},
	{Name: "without the fact there is no stamp", Facts: map[string]string{"hipaatenant.dev/config-hash": pt.Without}, Want: pt.Allowed(), Do: configured(
		pod("", "annotations: {hipaatenant.dev/config-hash: forged}"), "{main: ["+injected+"]}")},
}}

var _ = configTable.Specs(environment)
