package admission_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// look waits until an object is as wanted.
func look[T client.Object](object T, as func(T) error) pt.Request {
	return pt.Eventually("the object to be as wanted", func(ctx context.Context, s *pt.Session) error {
		fresh := object.DeepCopyObject().(T)
		if err := s.Get(ctx, fresh); err != nil {
			return err
		}
		return as(fresh)
	})
}

func wantCount(what string, want, got int32) error {
	if want == got {
		return nil
	}
	return fmt.Errorf("want %d %s, got %d", want, what, got)
}

func available(n int32) pt.Request {
	return look(aDeployment, func(d *appsv1.Deployment) error {
		if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != d.Status.Replicas {
			return errors.New("the rollout is under way")
		}
		return wantCount("available pods", n, d.Status.AvailableReplicas)
	})
}

// onlyIn checks that pods of the namespace run, in these regions alone.
func onlyIn(regions ...string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		var pods corev1.PodList
		if err := s.Env.Admin.List(ctx, &pods, client.InNamespace(s.Namespace)); err != nil {
			return err
		}
		bound := 0
		for _, p := range pods.Items {
			if p.Spec.NodeName == "" {
				continue
			}
			bound++
			if region := p.Labels[corev1.LabelTopologyRegion]; !slices.Contains(regions, region) {
				return fmt.Errorf("pod %s runs on %s in region %q", p.Name, p.Spec.NodeName, region)
			}
		}
		if bound == 0 {
			return errors.New("no pod is bound")
		}
		return nil
	}
}

const three = `{"spec":{"replicas":3}}`

var (
	aStatefulSet = &appsv1.StatefulSet{ObjectMeta: named("web")}
	aDaemonSet   = &appsv1.DaemonSet{ObjectMeta: named("web")}
	aJob         = &batchv1.Job{ObjectMeta: named("web")}
	deployment   = pt.Create(apps("Deployment", template("", "")))
)

// lawfulTable is everyday work, with the controllers that do their part of it. No policy stands in its way.
var lawfulTable = pt.Table{Policy: "everyday work", Rows: []pt.Row{
	{Name: "Deployment comes up, in the tenant's regions", Do: pt.InOrder(deployment, available(1), pt.Patch(aDeployment, types.MergePatchType, three), available(3), onlyIn("us-east-1", "us-west-2")), Want: pt.Allowed()},
	{Name: "Deployment comes up in the only region", Facts: map[string]string{"hipaatenant.dev/regions": "us-west-2"},
		Do: pt.InOrder(deployment, pt.Patch(aDeployment, types.MergePatchType, three), available(3), onlyIn("us-west-2")), Want: pt.Allowed()},
	{Name: "Deployment, as the application itself", As: pt.Application, Do: pt.InOrder(deployment, available(1)), Want: pt.Allowed()},
	{Name: "kubectl rollout restart", Do: pt.InOrder(deployment, available(1),
		pt.Patch(aDeployment, types.StrategicMergePatchType, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}}}}}`), available(1)), Want: pt.Allowed()},
	{Name: "kubectl scale", Do: pt.InOrder(deployment, available(1), pt.Patch(aDeployment, types.MergePatchType, three, "scale"), available(3)), Want: pt.Allowed()},
	{Name: "a pod is evicted and replaced", Do: pt.InOrder(deployment, available(1), evictOne, available(1)), Want: pt.Allowed()},
	{Name: "Deployment made while locked comes up once the gate opens", Facts: gate("locked"),
		Do: pt.InOrder(deployment, setFacts(gate("open")), available(1)), Want: pt.Allowed()},
	{Name: "StatefulSet comes up", Want: pt.Allowed(), Do: pt.InOrder(pt.Create(apps("StatefulSet", template("", ""))),
		look(aStatefulSet, func(s *appsv1.StatefulSet) error { return wantCount("ready pods", 1, s.Status.ReadyReplicas) }), onlyIn("us-east-1", "us-west-2"))},
	{Name: "DaemonSet comes up on the nodes of the tenant's regions", Want: pt.Allowed(), Do: pt.InOrder(pt.Create(apps("DaemonSet", template("", ""))),
		look(aDaemonSet, func(d *appsv1.DaemonSet) error { return wantCount("ready pods", 2, d.Status.NumberReady) }), onlyIn("us-east-1", "us-west-2"))},
	{Name: "Job completes", Do: pt.InOrder(pt.Create(job(template("", onFailure))), look(aJob, func(j *batchv1.Job) error { return wantCount("completions", 1, j.Status.Succeeded) })), Want: pt.Allowed()},
	{Name: "CronJob", Do: pt.Create(cronJob(template(chat, onFailure))), Want: pt.Allowed()},
	{Name: "pod with the settings of a careful author", Do: pt.Create(pod("affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}, tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute}]")), Want: pt.Allowed()},
	{Name: "pod resized in place", Given: running, Do: pt.Patch(aPod, types.StrategicMergePatchType, `{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"20m"}}}]}}`, "resize"), Want: pt.Unhindered()},
	{Name: "the quota is counted by the controllers", Given: given, Do: pt.InOrder(deployment, available(1),
		look(quota, func(q *corev1.ResourceQuota) error {
			return wantCount("pods used", 1, int32(q.Status.Used.Pods().Value()))
		})), Want: pt.Allowed()},
	{Name: "the root certificate is published", Do: look(&corev1.ConfigMap{ObjectMeta: named("kube-root-ca.crt")}, func(*corev1.ConfigMap) error { return nil }), Want: pt.Allowed()},
	{Name: "service accounts, services, roles", Want: pt.Allowed(), Do: pt.InOrder(
		pt.Create("{apiVersion: v1, kind: ServiceAccount, metadata: {name: batch}}"),
		pt.Create("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}"),
		pt.Create("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]}"))},
	{Name: "everything of one's own deleted at once", Do: pt.InOrder(deployment, available(1), pt.DeleteAll(aDeployment), pt.DeleteAll(&corev1.Secret{}), pt.DeleteAll(aPod)), Want: pt.Allowed()},
}}

func evictOne(ctx context.Context, s *pt.Session) error {
	var pods corev1.PodList
	if err := s.Env.Admin.List(ctx, &pods, client.InNamespace(s.Namespace)); err != nil {
		return err
	}
	name := pods.Items[0].Name
	return pt.Post("pods/"+name+"/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"`+name+`"}}`)(ctx, s)
}

var _ = lawfulTable.Specs(environment)
