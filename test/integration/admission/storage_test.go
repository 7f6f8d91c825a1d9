package admission_test

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// claimSpec is the spec of a claim; more is appended, in flow style.
func claimSpec(parts ...string) string {
	return "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}" + more(parts...) + "}"
}

func claim(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data%s}, spec: %s}", more(metadata...), spec)
}

func volumes(list string) string { return "volumes: [" + list + "]" }

func ephemeralVolume(spec string) string {
	return volumes("{name: data, ephemeral: {volumeClaimTemplate: {spec: " + spec + "}}}")
}

// stateful has this template of claims.
func stateful(claims string) string {
	return "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web}, spec: {replicas: 1, serviceName: web, selector: {matchLabels: {app: web}}, template: " +
		template("", "") + ", volumeClaimTemplates: [" + claims + "]}}"
}

const (
	encrypted = "storageClassName: encrypted-gp3"
	cheap     = "storageClassName: cheap"
	nfs       = "volumes: [{name: share, nfs: {server: 192.0.2.9, path: /}}]"

	volumeController    pt.User = "system:serviceaccount:kube-system:persistent-volume-binder"
	ephemeralController pt.User = "system:serviceaccount:kube-system:ephemeral-volume-controller"
	statefulController  pt.User = "system:serviceaccount:kube-system:statefulset-controller"
	expandController    pt.User = "system:serviceaccount:kube-system:expand-controller"
	claimProtection     pt.User = "system:serviceaccount:kube-system:pvc-protection-controller"

	ledTo       = `{"spec":{"volumeName":"pv-eu-1"}}`
	pinned      = `{"metadata":{"annotations":{"volume.kubernetes.io/selected-node":"eu-1"}}}`
	notAllowed  = "storage class cheap is not allowed to tenant acme-health; use one of encrypted-gp3, or change spec.encryption.storageClasses of HIPAATenant acme-health"
	ledByHand   = "spec.volumeName and the annotations that lead a claim to a volume are written by who may write PersistentVolumes"
	reachesPast = "reaches past the storage classes of tenant acme-health; use a persistentVolumeClaim"
)

var (
	aClaim  = &corev1.PersistentVolumeClaim{ObjectMeta: named("data")}
	claimed = []pt.Request{pt.Create(claim(claimSpec(encrypted)))}
)

// claimRows: a claim names a class of the tenant's, and the cluster finds the volume.
var claimRows = []pt.Row{
	{Name: "claim of an allowed class", Do: pt.Create(claim(claimSpec(encrypted))), Want: pt.Allowed()},
	{Name: "claim of an allowed class, by annotation", Do: pt.Create(claim(claimSpec(), "annotations: {volume.beta.kubernetes.io/storage-class: encrypted-gp3}")), Want: pt.Allowed()},
	{Name: "claim of the second allowed class", Facts: map[string]string{"hipaatenant.dev/storage-classes": "encrypted-gp3,cheap"}, Do: pt.Create(claim(claimSpec(cheap))), Want: pt.Allowed()},
	{Name: "claim of another class", Do: pt.Create(claim(claimSpec(cheap))), Want: pt.Refused("storage", notAllowed, "within storageClasses of its profile")},
	{Name: "claim of another class", As: pt.Admin, Do: pt.Create(claim(claimSpec(cheap))), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of another class", As: pt.Operator, Do: pt.Apply(claim(claimSpec(cheap))), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of another class", As: pt.Application, Do: pt.DryRun(claim(claimSpec(cheap))), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of another class, for an ephemeral volume", As: ephemeralController, Do: pt.Create(claim(claimSpec(cheap))), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of another class, for a StatefulSet", As: statefulController, Do: pt.Create(claim(claimSpec(cheap))), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of another class, by annotation", Do: pt.Create(claim(claimSpec(encrypted), "annotations: {volume.beta.kubernetes.io/storage-class: cheap}")), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of a class that begins alike", Do: pt.Create(claim(claimSpec("storageClassName: encrypted-gp3-eu"))), Want: pt.Refused("storage", "storage class encrypted-gp3-eu is not allowed")},
	{Name: "claim of no class", Do: pt.Create(claim(claimSpec())), Want: pt.Refused("storage", "no storage class is named, and there is no default one; use one of encrypted-gp3")},
	{Name: "claim of the empty class", Do: pt.Create(claim(claimSpec("storageClassName: ''"))), Want: pt.Refused("storage", "no storage class is named")},
	{Name: "claim of no class, none is allowed", Facts: map[string]string{"hipaatenant.dev/storage-classes": ""}, Do: pt.Create(claim(claimSpec("storageClassName: ''"))), Want: pt.Refused("storage", "no storage class is named", "none is: see storageClasses of its HIPAAProfile")},
	{Name: "claim, fact missing", Facts: map[string]string{"hipaatenant.dev/storage-classes": pt.Without}, Do: pt.Create(claim(claimSpec(encrypted))), Want: pt.Refused("storage", "storage class encrypted-gp3 is not allowed", "none is")},
	{Name: "claim of another class, through its status", Given: claimed, Do: pt.Patch(aClaim, types.MergePatchType, `{"metadata":{"annotations":{"volume.beta.kubernetes.io/storage-class":"cheap"}}}`, "status"), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of no class gets the default one", As: volumeController, Given: []pt.Request{formerly(claim(claimSpec()))}, Do: pt.Patch(aClaim, types.MergePatchType, `{"spec":{"storageClassName":"encrypted-gp3"}}`), Want: pt.Unhindered()},
	{Name: "claim of no class gets a default one that is not allowed", As: pt.Admin, Inside: true, Given: []pt.Request{formerly(claim(claimSpec()))}, Do: pt.Patch(aClaim, types.MergePatchType, `{"spec":{"storageClassName":"cheap"}}`), Want: pt.Refused("storage", notAllowed)},
	{Name: "claim of former times grows", Given: []pt.Request{formerly(claim(claimSpec(cheap)))}, Do: pt.Patch(aClaim, types.MergePatchType, `{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`), Want: pt.Unhindered()},
	{Name: "annotation of a claim of former times", Given: []pt.Request{formerly(claim(claimSpec(cheap)))}, Do: pt.Patch(aClaim, types.MergePatchType, `{"metadata":{"annotations":{"team":"blue"}}}`), Want: pt.Allowed()},

	{Name: "claim of a volume by name", Do: pt.Create(claim(claimSpec(encrypted, "volumeName: pv-eu-1"))), Want: pt.Refused("storage", ledByHand, "not by dev@acme.example; leave them out: a volume of the storage class is made in the regions of tenant acme-health")},
	{Name: "claim of a volume by name", As: pt.Application, Do: pt.Apply(claim(claimSpec(encrypted, "volumeName: pv-eu-1"))), Want: pt.Refused("storage", ledByHand)},
	{Name: "claim of a volume by name, for an ephemeral volume", As: ephemeralController, Do: pt.Create(claim(claimSpec(encrypted, "volumeName: pv-eu-1"))), Want: pt.Refused("storage", ledByHand)},
	{Name: "claim led to a volume later", Given: claimed, Do: pt.Patch(aClaim, types.MergePatchType, ledTo), Want: pt.Refused("storage", ledByHand)},
	{Name: "claim led to a volume", As: volumeController, Given: claimed, Do: pt.Update(aClaim, func(c *corev1.PersistentVolumeClaim) {
		c.Spec.VolumeName, c.Annotations = "pv-us-1", map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
	}), Want: pt.Allowed()},
	{Name: "label of a claim that has its volume", Given: append(claimed, pt.As(volumeController, pt.Update(aClaim, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv-us-1" }))),
		Do: pt.Patch(aClaim, types.MergePatchType, `{"metadata":{"labels":{"a":"b"},"annotations":{"c":"d"}}}`), Want: pt.Allowed()},
	{Name: "claim pinned to a node", Do: pt.Create(claim(claimSpec(encrypted), "annotations: {volume.kubernetes.io/selected-node: eu-1}")), Want: pt.Refused("storage", ledByHand)},
	{Name: "claim pinned to a node later", Given: claimed, Do: pt.Patch(aClaim, types.MergePatchType, pinned), Want: pt.Refused("storage", ledByHand)},
	{Name: "claim pinned to a node through its status", Given: claimed, Do: pt.Patch(aClaim, types.MergePatchType, pinned, "status"), Want: pt.Refused("storage", ledByHand)},
	{Name: "claim pinned to a node", As: pt.Scheduler, Given: claimed, Do: pt.Patch(aClaim, types.MergePatchType, pinned), Want: pt.Allowed()},
	{Name: "claim marked as bound", Given: claimed, Do: pt.Patch(aClaim, types.MergePatchType, `{"metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes"}}}`), Want: pt.Refused("storage", ledByHand)},

	{Name: "claim copied from a snapshot", Do: pt.Create(claim(claimSpec(encrypted, "dataSourceRef: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: s}"))), Want: pt.Allowed()},
	// The API server forgets the namespace of a claim's source, unless feature CrossNamespaceVolumeDataSource is on.
	{Name: "claim copied from another namespace is not", Do: pt.InOrder(pt.Create(claim(claimSpec(encrypted, copyOf))), copiedFromHere), Want: pt.Allowed()},
	{Name: "ephemeral volume copied from another namespace", Do: pt.Create(pod(ephemeralVolume(claimSpec(encrypted, copyOf)))), Want: pt.Refused("storage", "dataSourceRef leads to namespace other-clinic; tenant acme-health copies from namespace", "leave dataSourceRef.namespace out")},
	{Name: "ephemeral volume copied from the same namespace", Do: pt.Create(pod(ephemeralVolume(claimSpec(encrypted, "dataSourceRef: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: s}")))), Want: pt.Allowed()},
	{Name: "StatefulSet copied from another namespace", Do: pt.Create(stateful("{metadata: {name: a}, spec: " + claimSpec(encrypted, copyOf) + "}")), Want: pt.Refused("storage", "dataSourceRef leads to namespace other-clinic")},
}

// hasCapacity is what volume controllers report of a claim that has its volume.
const (
	hasCapacity = `{"status":{"phase":"Bound","accessModes":["ReadWriteOnce"],"capacity":{"storage":"2Gi"}}}`
	allocated   = `{"status":{"allocatedResources":{"storage":"1Mi"},"allocatedResourceStatuses":{"storage":"NodeResizePending"}}}`
	reportedBy  = "is written by who may write PersistentVolumes, and by kubelets, not by "
)

var bound = append(claimed, pt.As(pt.Admin, pt.Patch(aClaim, types.MergePatchType, hasCapacity, "status")))

// reportRows: quota goes by the status of claims.
var reportRows = []pt.Row{
	{Name: "capacity of a claim understated", Given: bound, Do: pt.Patch(aClaim, types.MergePatchType, `{"status":{"capacity":{"storage":"1Mi"}}}`, "status"),
		Want: pt.Refused("storage", "status.capacity of PersistentVolumeClaim data "+reportedBy+"dev@acme.example: the quota of tenant acme-health is counted by it; ask for another size in spec.resources.requests.storage")},
	{Name: "capacity of a claim taken away", As: pt.Application, Given: bound, Do: pt.Patch(aClaim, types.JSONPatchType, `[{"op":"remove","path":"/status/capacity"}]`, "status"), Want: pt.Refused("storage", "status.capacity of PersistentVolumeClaim data "+reportedBy)},
	{Name: "allocation of a claim understated", Given: bound, Do: pt.Patch(aClaim, types.MergePatchType, allocated, "status"), Want: pt.Refused("storage", "status.allocatedResource", reportedBy)},
	{Name: "claim lost by hand", Given: claimed, Do: pt.Update(aClaim, func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }, "status"), Want: pt.Refused("storage", "status.phase of PersistentVolumeClaim data "+reportedBy)},
	{Name: "capacity reported by the volume controller", As: volumeController, Given: claimed, Do: pt.Update(aClaim, func(c *corev1.PersistentVolumeClaim) {
		c.Status.Phase, c.Status.Capacity = corev1.ClaimBound, c.Spec.Resources.Requests
	}, "status"), Want: pt.Allowed()},
	{Name: "allocation reported by the controller that expands", As: expandController, Given: bound, Do: pt.Patch(aClaim, types.MergePatchType, allocated, "status"), Want: pt.Allowed()},
	{Name: "capacity reported by a kubelet", As: pt.Kubelet, Given: append(bound, pt.Create(pod("volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]")), pt.As(pt.Scheduler, bind("us-1"))),
		Do: pt.Eventually("the node to know the claim", pt.Patch(aClaim, types.MergePatchType, `{"status":{"capacity":{"storage":"3Gi"}}}`, "status")), Want: pt.Allowed()},
	{Name: "condition of a claim reported by its protection", As: claimProtection, Given: bound, Do: pt.Update(aClaim, func(c *corev1.PersistentVolumeClaim) {
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimUnused, Status: corev1.ConditionTrue}}
	}, "status"), Want: pt.Allowed()},
	{Name: "label of a claim that has its capacity", Given: bound, Do: pt.Patch(aClaim, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`, "status"), Want: pt.Allowed()},
}

const copyOf = "dataSourceRef: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: s, namespace: other-clinic}"

func copiedFromHere(ctx context.Context, s *pt.Session) error {
	live := aClaim.DeepCopy()
	if err := s.Get(ctx, live); err != nil {
		return err
	}
	if ref := live.Spec.DataSourceRef; ref != nil && ref.Namespace != nil {
		return fmt.Errorf("want no namespace, got %s", *ref.Namespace)
	}
	return nil
}

// templateRows: claims to be are judged where they are written down.
var templateRows = []pt.Row{
	{Name: "ephemeral volume of an allowed class", Do: pt.Create(pod(ephemeralVolume(claimSpec(encrypted)))), Want: pt.Allowed()},
	{Name: "ephemeral volume of the default class", Do: pt.Create(pod(ephemeralVolume(claimSpec()))), Want: pt.Allowed()},
	{Name: "ephemeral volume of another class", Do: pt.Create(pod(ephemeralVolume(claimSpec(cheap)))), Want: pt.Refused("storage", notAllowed)},
	{Name: "ephemeral volume of the empty class", Do: pt.Create(pod(ephemeralVolume(claimSpec("storageClassName: ''")))), Want: pt.Refused("storage", "no storage class is named")},
	{Name: "ephemeral volume by name", As: pt.Admin, Do: pt.Create(pod(ephemeralVolume(claimSpec(encrypted, "volumeName: pv-eu-1")))), Want: pt.Refused("storage", ledByHand)},
	{Name: "ephemeral volume of another class, Deployment", As: pt.Application, Do: pt.Create(apps("Deployment", template("", ephemeralVolume(claimSpec(cheap))))), Want: pt.Refused("storage", notAllowed)},
	{Name: "ephemeral volume of another class, CronJob", Do: pt.Create(cronJob(template("", onFailure+", "+ephemeralVolume(claimSpec(cheap))))), Want: pt.Refused("storage", notAllowed)},
	{Name: "StatefulSet of an allowed class", Do: pt.InOrder(pt.Create(stateful("{metadata: {name: data}, spec: "+claimSpec(encrypted)+"}")),
		look(&corev1.PersistentVolumeClaim{ObjectMeta: named("data-web-0")}, func(*corev1.PersistentVolumeClaim) error { return nil })), Want: pt.Allowed()},
	{Name: "StatefulSet of another class", Do: pt.Create(stateful("{metadata: {name: a}, spec: " + claimSpec(encrypted) + "}, {metadata: {name: b}, spec: " + claimSpec(cheap) + "}")), Want: pt.Refused("storage", notAllowed)},
	{Name: "StatefulSet of another class, by annotation", Do: pt.Create(stateful("{metadata: {name: a, annotations: {volume.beta.kubernetes.io/storage-class: cheap}}, spec: " + claimSpec(encrypted) + "}")), Want: pt.Refused("storage", notAllowed)},
	{Name: "StatefulSet of a volume by name", As: pt.Admin, Do: pt.Create(stateful("{metadata: {name: a}, spec: " + claimSpec(encrypted, "volumeName: pv-eu-1") + "}")), Want: pt.Refused("storage", ledByHand)},
	{Name: "StatefulSet of former times scaled", Given: []pt.Request{formerly(stateful("{metadata: {name: a}, spec: " + claimSpec(cheap) + "}"))}, Do: pt.Patch(aStatefulSet, types.MergePatchType, `{"spec":{"replicas":0}}`), Want: pt.Allowed()},
}

func inline(kind string) string { return volumes("{name: share, " + kind + "}") }

// volumeRows: pods take no volume that reaches past the classes.
var volumeRows = []pt.Row{
	{Name: "pod with every ordinary volume", Want: pt.Allowed(), Do: pt.Create(pod(volumes("{name: a, configMap: {name: a}}, {name: b, secret: {secretName: b}}, {name: c, emptyDir: {medium: Memory}}, " +
		"{name: d, downwardAPI: {items: []}}, {name: e, projected: {sources: []}}, {name: f, persistentVolumeClaim: {claimName: f}}")))},
	{Name: "pod with a read-only volume of a driver", Do: pt.Create(pod(inline("csi: {driver: secrets-store.csi.k8s.io, readOnly: true}"))), Want: pt.Allowed()},
	{Name: "pod with an image as a volume", Do: pt.Create(pod(inline("image: {reference: example/model}"))), Want: pt.Allowed()},
	{Name: "pod with a writable volume of a driver", Do: pt.Create(pod(inline("csi: {driver: nfs.csi.k8s.io, volumeAttributes: {server: 192.0.2.9}}"))),
		Want: pt.Refused("storage", "volume share (nfs.csi.k8s.io) would be written past the storage classes of tenant acme-health; set csi.readOnly: true")},
	{Name: "pod with an NFS share", Do: pt.Create(pod(nfs)), Want: pt.Refused("storage", "volume share (nfs) "+reachesPast)},
	{Name: "pod with an NFS share", As: pt.Admin, Do: pt.Create(pod(nfs)), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "pod with a read-only NFS share", As: pt.Application, Do: pt.DryRun(pod(inline("nfs: {server: 192.0.2.9, path: /, readOnly: true}"))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "pod with two shares", Do: pt.Create(pod(volumes("{name: a, emptyDir: {}}, {name: b, nfs: {server: 192.0.2.9, path: /}}, {name: c, iscsi: {targetPortal: 192.0.2.9, iqn: 'iqn.2001-04.com.example:storage', lun: 0}}"))),
		Want: pt.Refused("storage", "volume b (nfs), c (iscsi) "+reachesPast)},
	{Name: "pod with a repository", Do: pt.Create(pod(inline("gitRepo: {repository: 'https://example.com/x.git'}"))), Want: pt.Refused("storage", "volume share (gitRepo)")},
	{Name: "pod with a disk of the cloud's", Do: pt.Create(pod(inline("awsElasticBlockStore: {volumeID: vol-1}"))), Want: pt.Refused("storage", "volume share (awsElasticBlockStore)")},
	{Name: "pod with an object store", Do: pt.Create(pod(inline("rbd: {monitors: [192.0.2.9], image: x}"))), Want: pt.Refused("storage", "volume share (rbd)")},
	{Name: "pod with a plug-in's volume", Do: pt.Create(pod(inline("flexVolume: {driver: example.com/x}"))), Want: pt.Refused("storage", "volume share (flexVolume)")},
	{Name: "NFS share, Deployment", Do: pt.Create(apps("Deployment", template("", nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, ReplicaSet", Do: pt.Create(apps("ReplicaSet", template("", nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, StatefulSet", Do: pt.Create(apps("StatefulSet", template("", nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, DaemonSet", Do: pt.Create(apps("DaemonSet", template("", nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, Job", Do: pt.Create(job(template("", onFailure+", "+nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, CronJob", Do: pt.Create(cronJob(template("", onFailure+", "+nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, PodTemplate", Do: pt.Create("{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: " + template("", nfs) + "}"), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share, ReplicationController", Want: pt.Refused("storage", "volume share (nfs)"),
		Do: pt.Create("{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {selector: {app: web}, template: " + template("", nfs) + "}}")},
	{Name: "path on the node, Deployment", As: pt.Admin, Do: pt.Create(apps("Deployment", template("", inline("hostPath: {path: /}")))), Want: pt.Refused("storage", "volume share (hostPath)")},
	{Name: "NFS share added to a Deployment", Given: []pt.Request{pt.Create(apps("Deployment", template("", "")))}, Do: pt.Apply(apps("Deployment", template("", nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share added to a CronJob", Given: []pt.Request{pt.Create(cronJob(template("", onFailure)))}, Do: pt.Apply(cronJob(template("", onFailure+", "+nfs))), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "NFS share added to a PodTemplate", Given: []pt.Request{pt.Create("{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: " + template("", "") + "}")},
		Do: pt.Apply("{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: " + template("", nfs) + "}"), Want: pt.Refused("storage", "volume share (nfs)")},
	{Name: "Deployment of former times scaled to nothing", Given: []pt.Request{formerly(apps("Deployment", template("", nfs)))}, Do: pt.Patch(&appsv1.Deployment{ObjectMeta: named("web")}, types.MergePatchType, `{"spec":{"replicas":0}}`), Want: pt.Allowed()},
}

var storageTable = pt.Table{Policy: "storage", Rows: concat(claimRows, reportRows, templateRows, volumeRows)}

var _ = storageTable.Specs(environment)
