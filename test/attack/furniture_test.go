package attack

// furniture is what a cluster has that tenants can name: storage, runtime classes, priorities.
const furniture = `
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: encrypted-gp3}, provisioner: ebs.csi.aws.com, volumeBindingMode: WaitForFirstConsumer}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: plain}, provisioner: ebs.csi.aws.com, volumeBindingMode: WaitForFirstConsumer}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: plain-default, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}, provisioner: ebs.csi.aws.com}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: in-region}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3,
  persistentVolumeReclaimPolicy: Retain, csi: {driver: ebs.csi.aws.com, volumeHandle: vol-us},
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [us-east-1]}]}]}}}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: abroad}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3,
  persistentVolumeReclaimPolicy: Retain, csi: {driver: ebs.csi.aws.com, volumeHandle: vol-eu},
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/region, operator: In, values: [eu-west-1]}]}]}}}}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: abroad}, handler: runc, scheduling: {nodeSelector: {topology.kubernetes.io/region: eu-west-1}}}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: tolerant}, handler: runc, scheduling: {tolerations: [{operator: Exists}]}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: urgent}, value: 1000}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: everything-in-a-namespace}, rules: [
  {apiGroups: ["", apps, autoscaling, batch, cilium.io, coordination.k8s.io, discovery.k8s.io, events.k8s.io, gateway.networking.k8s.io, k8s.cni.cncf.io, networking.k8s.io, policy,
    rbac.authorization.k8s.io, resource.k8s.io, storage.k8s.io], resources: ["*"], verbs: ["*"]},
  {apiGroups: [hipaatenant.dev], resources: ["*"], verbs: [get, list, watch, create, update, patch, delete, deletecollection]}]}`

// tenantFurniture is what stands in the tenants' namespaces besides what the operator made. The pod is scheduled by nobody:
// the API server resizes a pod only before it runs, or where a kubelet says it can.
const tenantFurniture = `
{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: acme-health, name: deployer}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: acme-health, name: administrators},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: everything-in-a-namespace},
  subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: acme-admins}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: cedar-lab, name: administrators},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: everything-in-a-namespace},
  subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: acme-admins}]}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: acme-health, name: standing, labels: {app: standing}}, spec: {schedulerName: nobody, securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}},
  containers: [{name: web, image: example/web, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: acme-health, name: records}, spec: {accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3, resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: acme-health, name: standing}, spec: {selector: {app: standing}, ports: [{port: 443}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: birch-clinic, name: records}, spec: {selector: {app: records}, ports: [{port: 443}]}}
---
{apiVersion: v1, kind: Secret, metadata: {namespace: acme-health, name: others}, stringData: {password: of-another-application}}`
