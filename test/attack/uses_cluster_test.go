package attack

import (
	"context"
	"errors"
	"fmt"

	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const systemPod = "{apiVersion: v1, kind: Pod, metadata: {name: NAME, namespace: kube-system}, spec: {hostNetwork: true, nodeName: eu-1, priorityClassName: system-node-critical, tolerations: [{operator: Exists}], " +
	"volumes: [{name: root, hostPath: {path: /}}], containers: [{name: agent, image: example/agent, securityContext: {privileged: true}}]}}"

// clusterUse is what the cluster and its other inhabitants do. It goes on with every policy in force, and without the
// operator: no policy asks it anything.
var clusterUse = UseGroup{Name: "cluster", Uses: []Use{
	{Name: "pod of kube-system on a node of its choice", As: []actor{root}, Steps: []step{creates(systemPod), kubectl("wait", "--namespace=kube-system", "pod/NAME", "--for=condition=Ready", "--timeout=60s"), kubectl("delete", "--namespace=kube-system", "pod/NAME", "--timeout=60s")}},
	{Name: "node that joins, is labelled, tainted and leaves", As: []actor{root}, Steps: []step{creates("{apiVersion: v1, kind: Node, metadata: {name: NAME}}"), kubectl("label", "node/NAME", "topology.kubernetes.io/region=eu-west-1"), kubectl("taint", "nodes", "NAME", "a=b:NoSchedule"), kubectl("cordon", "NAME"), kubectl("delete", "node/NAME")}},
	{Name: "lease", As: []actor{root}, Steps: []step{creates("{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: NAME, namespace: kube-node-lease}, spec: {holderIdentity: NAME, leaseDurationSeconds: 40}}"),
		asks("PATCH /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/NAME", "{spec: {leaseDurationSeconds: 50}}"), kubectl("delete", "--namespace=kube-node-lease", "lease/NAME")}},
	{Name: "kind of others", As: []actor{root}, Steps: []step{creates("{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: NAMEs.example.com}, spec: {group: example.com, scope: Namespaced, names: {kind: Thing, plural: NAMEs, singular: NAME}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}"),
		kubectl("wait", "crd/NAMEs.example.com", "--for=condition=Established", "--timeout=60s"), kubectl("delete", "crd/NAMEs.example.com", "--timeout=60s")}},
	{Name: "namespace of nobody's tenant, with what tenants may not have", As: []actor{root}, Steps: []step{creates("{apiVersion: v1, kind: Namespace, metadata: {name: NAME, labels: {team: blue}}}"), serviceAccountIn,
		creates("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-open, namespace: NAME}, spec: {podSelector: {}, ingress: [{}]}}",
			"{apiVersion: v1, kind: Service, metadata: {name: open, namespace: NAME}, spec: {type: NodePort, ports: [{port: 80}], externalIPs: [192.0.2.10]}}",
			"{apiVersion: v1, kind: Endpoints, metadata: {name: open, namespace: NAME}, subsets: [{addresses: [{ip: 192.0.2.7}], ports: [{port: 80}]}]}",
			"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: plain, namespace: NAME}, spec: {accessModes: [ReadWriteOnce], storageClassName: plain, volumeName: any, resources: {requests: {storage: 1Gi}}}}",
			"{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: all, namespace: NAME}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]}",
			"{apiVersion: v1, kind: Pod, metadata: {name: any, namespace: NAME}, spec: {nodeName: eu-1, containers: [{name: web, image: example/web}]}}"),
		kubectl("label", "namespace/NAME", "pod-security.kubernetes.io/enforce=privileged"), kubectl("delete", "namespace/NAME", "--timeout=60s")}},
	{Name: "ClusterRole of others", As: []actor{root}, Steps: []step{creates("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: NAME}, rules: []}", "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: NAME}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME}, subjects: []}"), kubectl("delete", "clusterrolebinding/NAME", "clusterrole/NAME")}},
	{Name: "Deployment of a tenant", Steps: []step{creates(deployment), rolledOut, runsInside, kubectl("rollout", "restart", "deployment/NAME"), rolledOut, kubectl("delete", "deployment/NAME", "--timeout=60s")}},
	{Name: "Job of a tenant", Steps: []step{creates(job), kubectl("wait", "job/NAME", "--for=condition=complete", "--timeout=60s"), kubectl("delete", "job/NAME", "--timeout=60s")}},
}}

// serviceAccountIn waits for what pods of a new namespace need.
func serviceAccountIn(ctx context.Context, p *person) error {
	return p.kubectl(ctx, "", "wait", "--namespace=NAME", "serviceaccount/default", "--for=create", "--timeout=60s")
}

// evicts drives one pod away, in the way that respects disruption budgets.
func evicts(ctx context.Context, p *person) error {
	pods, err := (&trial{w: p.w, name: p.name}).pods(ctx)
	if err != nil || len(pods) == 0 {
		return errors.Join(err, errors.New("there is no pod to evict"))
	}
	return p.sends(ctx, request{verb: "POST", path: "/api/v1/namespaces/" + attacked + "/pods/" + pods[0].Name + "/eviction", contentType: asJSON,
		body: encode(policyv1.Eviction{TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"}, ObjectMeta: metav1.ObjectMeta{Name: pods[0].Name, Namespace: attacked}})})
}

// hasEndpoints: the controllers made a slice of the Service's pods.
func hasEndpoints(ctx context.Context, p *person) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		slices := &discoveryv1.EndpointSliceList{}
		err := p.w.admin.List(ctx, slices, client.InNamespace(attacked), client.MatchingLabels{discoveryv1.LabelServiceName: p.name})
		return err == nil && len(slices.Items) > 0 && len(slices.Items[0].Endpoints) > 0, err
	})
}

// ownsConfigMap makes a ConfigMap that goes with another one.
func ownsConfigMap(ctx context.Context, p *person) error {
	if err := p.take(ctx, []step{kubectl("create", "configmap", "NAME")}); err != nil {
		return err
	}
	owner := &unstructured.Unstructured{}
	owner.SetAPIVersion("v1")
	owner.SetKind("ConfigMap")
	if err := p.w.admin.Get(ctx, client.ObjectKey{Namespace: attacked, Name: p.name}, owner); err != nil {
		return err
	}
	owned := fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME-owned, finalizers: [acme.example/x], ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: NAME, uid: %s, blockOwnerDeletion: false}]}}", owner.GetUID())
	return p.take(ctx, []step{creates(owned), kubectl("patch", "configmap/NAME-owned", "-p", `{"metadata":{"finalizers":null}}`, "--type=merge"),
		kubectl("delete", "configmap/NAME"), kubectl("wait", "configmap/NAME-owned", "--for=delete", "--timeout=60s")})
}
