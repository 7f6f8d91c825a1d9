package admission_test

import (
	"context"
	"fmt"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const ours = "{key: topology.kubernetes.io/region, operator: In, values: [us-east-1, us-west-2]}"

// placed creates a pod with this affinity and compares the required terms it ends up with.
func placed(affinity, want string) pt.Request {
	if affinity == "" {
		return steered(pod(""), want)
	}
	return steered(pod("affinity: "+affinity), want)
}

// steered creates a pod and compares the required terms it ends up with.
func steered(text, want string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		if err := pt.Create(text)(ctx, s); err != nil {
			return err
		}
		var created corev1.Pod
		created.Name = "web"
		if err := s.Get(ctx, &created); err != nil {
			return err
		}
		var wanted, got []corev1.NodeSelectorTerm
		if err := yaml.UnmarshalStrict([]byte(want), &wanted); err != nil {
			return err
		}
		if a := created.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
			got = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			return fmt.Errorf("required terms (-want +got):\n%s", diff)
		}
		return nil
	}
}

func required(terms string) string {
	return "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: " + terms + "}}}"
}

var placementTable = pt.Table{Policy: "placement", Rows: []pt.Row{
	{Name: "pod without affinity gets the regions", Do: placed("", "[{matchExpressions: ["+ours+"]}]"), Want: pt.Allowed()},
	{Name: "empty affinity", Do: placed("{}", "[{matchExpressions: ["+ours+"]}]"), Want: pt.Allowed()},
	{Name: "empty node affinity", Do: placed("{nodeAffinity: {}}", "[{matchExpressions: ["+ours+"]}]"), Want: pt.Allowed()},
	{
		Name: "only pod affinity",
		Do:   placed("{podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}", "[{matchExpressions: ["+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "only preferred node affinity",
		Do: placed("{nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: disk, operator: Exists}]}}]}}",
			"[{matchExpressions: ["+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "every term of several, because they are ORed",
		Do: placed(required("[{matchExpressions: [{key: disk, operator: Exists}]}, {matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}]}]"),
			"[{matchExpressions: [{key: disk, operator: Exists}, "+ours+"]}, {matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}, "+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "a term that narrows to an allowed region is fine as it is",
		Do: placed(required("[{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-west-2]}]}]"),
			"[{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-west-2]}]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "a term that names one allowed region and one that is not",
		Do: placed(required("[{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-west-2, eu-west-1]}]}]"),
			"[{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-west-2, eu-west-1]}, "+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "a term that only excludes a region",
		Do: placed(required("[{matchExpressions: [{key: topology.kubernetes.io/region, operator: NotIn, values: [us-west-2]}]}]"),
			"[{matchExpressions: [{key: topology.kubernetes.io/region, operator: NotIn, values: [us-west-2]}, "+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "a term by node name, as the DaemonSet controller writes it",
		Do: placed(required("[{matchFields: [{key: metadata.name, operator: In, values: [us-1]}]}]"),
			"[{matchFields: [{key: metadata.name, operator: In, values: [us-1]}], matchExpressions: ["+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "a term by node name, with an empty list of expressions",
		Do: placed(required("[{matchFields: [{key: metadata.name, operator: In, values: [us-1]}], matchExpressions: []}]"),
			"[{matchFields: [{key: metadata.name, operator: In, values: [us-1]}], matchExpressions: ["+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "an empty term selects no node, and still does",
		Do:   placed(required("[{}, {matchExpressions: [{key: disk, operator: Exists}]}]"), "[{}, {matchExpressions: [{key: disk, operator: Exists}, "+ours+"]}]"),
		Want: pt.Allowed(),
	},
	{
		Name: "one region", Facts: map[string]string{"hipaatenant.dev/regions": "us-east-1"},
		Do:   placed("", "[{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-east-1]}]}]"),
		Want: pt.Allowed(),
	},
}}

var _ = placementTable.Specs(environment)
