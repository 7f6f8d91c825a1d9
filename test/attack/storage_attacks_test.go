package attack

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// claim is a PersistentVolumeClaim with this spec, YAML in flow style.
func claim(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: NAME%s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}%s}}", more(metadata...), more(spec))
}

const ofPods = "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: "

func stores(name, object string, parts ...string) Attack {
	return Attack{Name: name, Object: object, By: []refusal{policy("storage", parts...)}}
}

var storage = Group{Name: "storage", Least: 5, Attacks: []Attack{
	stores("storage class that is not allowed", claim("storageClassName: plain"), "storage class plain is not allowed to tenant acme-health", "use one of encrypted-gp3"),
	stores("default storage class that is not allowed", claim(""), "storage class plain-default is not allowed"),
	stores("no storage class at all", claim("storageClassName: ''"), "no storage class is named"),
	stores("storage class by the older annotation", claim("storageClassName: encrypted-gp3", "annotations: {volume.beta.kubernetes.io/storage-class: plain}"), "storage class plain is not allowed"),
	stores("volume in another region", claim("storageClassName: encrypted-gp3, volumeName: abroad"), "are written by who may write PersistentVolumes"),
	stores("volume that another tenant left", claim("storageClassName: encrypted-gp3, volumeName: in-region"), "are written by who may write PersistentVolumes"),
	{Name: "volume chosen later", From: claim("storageClassName: encrypted-gp3"), Object: claim("storageClassName: encrypted-gp3, volumeName: abroad"), Without: []string{"create", "server-side apply,", "update into"},
		By: []refusal{policy("storage"), validation("spec")}},
	{Name: "node chosen by annotation", From: claim("storageClassName: encrypted-gp3"), Object: claim("storageClassName: encrypted-gp3", "annotations: {volume.kubernetes.io/selected-node: eu-1}"), By: []refusal{policy("storage", "lead a claim to a volume")}},
	stores("bound by hand", claim("storageClassName: encrypted-gp3", "annotations: {pv.kubernetes.io/bind-completed: 'yes'}"), "lead a claim to a volume"),
	// While the API server cannot copy across namespaces (an alpha feature), it drops the name of the other one.
	{Name: "copy of another tenant's data", Object: claim("storageClassName: encrypted-gp3, dataSourceRef: {apiGroup: example.com, kind: Backup, name: records, namespace: VICTIM}"),
		By: []refusal{policy("storage", "dataSourceRef leads to namespace birch-clinic"), harmless(copiesFromHome)}},
	stores("generic ephemeral volume of a class that is not allowed", pod("volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {"+ofPods+"plain}}}}]"), "storage class plain is not allowed"),
	// The claim is made by a controller of kube-system, for which there is no exception.
	{Name: "generic ephemeral volume of the default class", Object: pod("volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]"), By: []refusal{harmless(neverRuns)}},
	stores("StatefulSet with claims of a class that is not allowed", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: NAME}, spec: {serviceName: none, replicas: 1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: web, image: example/web}]}}, "+
		"volumeClaimTemplates: [{metadata: {name: data}, spec: {"+ofPods+"plain}}]}}", "storage class plain is not allowed"),
	// Level restricted refuses these volumes as well, where it is in force.
	{Name: "share of a server by its address", Object: pod("volumes: [{name: share, nfs: {server: 192.0.2.7, path: /}}]"), By: []refusal{policy("storage", "volume share (nfs) reaches past the storage classes"), podSecurity("nfs")}},
	{Name: "volume a driver writes past the classes", Object: pod("volumes: [{name: data, csi: {driver: nfs.csi.k8s.io}}]"), By: []refusal{policy("storage", "set csi.readOnly: true")}},
	{Name: "storage class of one's own", Object: "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: NAME}, provisioner: ebs.csi.aws.com, allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/region, values: [eu-west-1]}]}]}", By: []refusal{accessControl("storageclasses")}},
	// Quota counts what is allocated, and a claim shrinks to what it has.
	{Name: "more than the quota by a smaller status", On: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: records}}",
		Send: "PATCH /api/v1/namespaces/NAMESPACE/persistentvolumeclaims/records/status", Body: "{status: {capacity: {storage: 1Mi}, allocatedResources: {storage: 1Mi}}}",
		By: []refusal{policy("storage", "is written by who may write PersistentVolumes, and by kubelets, not by")}},
	{Name: "volume of one's own", Object: "{apiVersion: v1, kind: PersistentVolume, metadata: {name: NAME}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3, hostPath: {path: /}}}", By: []refusal{accessControl("persistentvolumes")}},
}}

// neverRuns: the scheduler finds no place for any pod of the attempt.
func neverRuns(ctx context.Context, t *trial) error {
	return t.settle(ctx, func(pod *corev1.Pod) (bool, error) {
		if pod.Spec.NodeName != "" {
			return false, fmt.Errorf("pod %s runs on %s", pod.Name, pod.Spec.NodeName)
		}
		return nowhere(pod), nil
	})
}

// copiesFromHome: what the claim is filled with, if anything, is of its own namespace.
func copiesFromHome(_ context.Context, t *trial) error {
	if t.after == nil {
		return errors.New("the claim is not there")
	}
	if namespace, found, _ := unstructured.NestedString(t.after.Object, "spec", "dataSourceRef", "namespace"); found {
		return fmt.Errorf("it is filled from namespace %s", namespace)
	}
	return nil
}
