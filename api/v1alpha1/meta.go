package v1alpha1

// Names the operator is known by. Field managers, RBAC and admission policies all compare with these.
const (
	// OperatorName is the field owner of every server-side apply and the value of LabelManagedBy.
	OperatorName = "hipaa-tenant-operator"
	// OperatorNamespace is where the operator is installed unless told otherwise.
	OperatorNamespace = "hipaa-system"
	// ProbeNamespaceSuffix and the operator's namespace are the namespace of the network probe's pods unless told otherwise.
	ProbeNamespaceSuffix = "-probe"
	// DefaultProfile is the HIPAAProfile a tenant uses when spec.profile is empty.
	DefaultProfile = "default"
	// DefaultDataKey is the data key a tenant has when spec.encryption.dataKeys is empty.
	DefaultDataKey = "default"
)

// Labels.
const (
	// LabelTenant names the owning tenant, on its namespaces and on everything the operator puts into them.
	LabelTenant = Group + "/tenant"
	// LabelChannel is how a workload says which communication channel it serves.
	LabelChannel = Group + "/channel"
	// LabelManagedBy has the value OperatorName on every managed object.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// LabelTombstone names, on a ConfigMap in the operator's namespace, the deleted tenant it remembers.
	LabelTombstone = Group + "/tombstone"
)

// Facts: annotations on tenant namespaces, written by the operator alone and read by the admission policies
// through namespaceObject. Lists are joined by commas without spaces; every key is always present.
const (
	// AnnotationAdmission is the gate, one of the Gate values.
	AnnotationAdmission = Group + "/admission"
	// AnnotationRegions lists the regions pods may be bound to.
	AnnotationRegions = Group + "/regions"
	// AnnotationIPAllowlist lists the CIDRs that may reach the tenant.
	AnnotationIPAllowlist = Group + "/ip-allowlist"
	// AnnotationEgress lists the CIDRs a tenant's own egress rules may name.
	AnnotationEgress = Group + "/egress"
	// AnnotationDisabledChannels lists channel names.
	AnnotationDisabledChannels = Group + "/disabled-channels"
	// AnnotationDisabledPorts lists ports of disabled channels as PROTOCOL/PORT.
	AnnotationDisabledPorts = Group + "/disabled-ports"
	// AnnotationStorageClasses lists the storage classes claims may name.
	AnnotationStorageClasses = Group + "/storage-classes"
	// AnnotationSessionTimeout is the idle timeout in whole seconds.
	AnnotationSessionTimeout = Group + "/session-timeout-seconds"
	// AnnotationConfigHash is the hash of ConfigMap hipaa-config, on the namespace and on pods that took it.
	AnnotationConfigHash = Group + "/config-hash"
	// AnnotationTenantUID is the UID of the owning HIPAATenant.
	AnnotationTenantUID = Group + "/tenant-uid"
)

// Annotations users write.
const (
	// AnnotationInjectConfig set to "false" on a pod keeps the config policy from adding envFrom to it.
	AnnotationInjectConfig = Group + "/inject-config"
	// AnnotationConfirmShred confirms deletionPolicy Shred; its value is the tenant's UID.
	AnnotationConfirmShred = Group + "/confirm-shred"
	// AnnotationAbandon lets a deletion that cannot finish go without destroying anything; its value is the tenant's UID.
	AnnotationAbandon = Group + "/abandon"
)

// Annotations of an EmergencyAccess. All but the first are stamped by admission policy hipaatenant-emergency.
const (
	// AnnotationApprove set to "true" by an approver lets the requester in.
	AnnotationApprove = Group + "/approve"
	// AnnotationRequestedBy is the user who created the object.
	AnnotationRequestedBy = Group + "/requested-by"
	// AnnotationApprovedBy is the user who approved it.
	AnnotationApprovedBy = Group + "/approved-by"
	// AnnotationApprovedByGroups lists the groups that user was in, one per line.
	AnnotationApprovedByGroups = Group + "/approved-by-groups"
)

// LabelEmergency names, on a RoleBinding, the EmergencyAccess it belongs to.
const LabelEmergency = Group + "/emergency"

// Finalizer holds a HIPAATenant until its namespaces are locked and a tombstone is written.
const Finalizer = Group + "/finalizer"

// Gate says what the admission policies let into a tenant namespace.
type Gate string

const (
	// GateLocked: born this way; nothing is admitted until network policies, quota, keys and config stand.
	GateLocked Gate = "locked"
	// GateOpen: workloads are admitted, within the rules.
	GateOpen Gate = "open"
	// GateFrozen: what runs keeps running, nothing new is admitted (business associate agreement lapsed, onLapse Freeze).
	GateFrozen Gate = "frozen"
	// GateQuarantined: nothing new is admitted and no traffic flows but DNS (onLapse Isolate, tenant deleted,
	// namespace removed from the spec).
	GateQuarantined Gate = "quarantined"
)

// Fixed names of the objects in every tenant namespace. RBAC and watches name them, so they never change.
const (
	PolicyDefaultDeny     = "hipaa-default-deny"
	PolicyAllowTenant     = "hipaa-allow-tenant"
	PolicyAllowDNS        = "hipaa-allow-dns"
	PolicyAllowIngress    = "hipaa-allow-ingress"
	PolicyAllowGateways   = "hipaa-allow-gateways"
	PolicyAllowAssociates = "hipaa-allow-associates"
	PolicyAllowMailbox    = "hipaa-allow-mailbox"
	PolicyAllowAPI        = "hipaa-allow-kubernetes-api"
	PolicyAllowPrefix     = "hipaa-allow-" // of every policy that opens something
	// Objects of optional kinds; see docs/gateways.md.
	ExtensionAllowlist  = "hipaa-allowlist"
	ExtensionStrictMTLS = "hipaa-strict-mtls"
	ExtensionClientIP   = "hipaa-client-ip"
	ExtensionAllowHosts = "hipaa-allow-hosts"
	// ExtensionClusterPrefix and the name of a tenant are the name of its ClusterNetworkPolicy.
	ExtensionClusterPrefix = "hipaa-"
	SecretKeyset           = "hipaa-keyset"
	ConfigMapConfig        = "hipaa-config"
	QuotaName              = "hipaa-quota"
	LimitsName             = "hipaa-limits"
	RoleBindingPrefix      = "hipaa-"
	ClusterRolePrefix      = "hipaatenant-"
	// EmergencyBindingPrefix and the name of an EmergencyAccess are the name of its RoleBinding.
	EmergencyBindingPrefix = "hipaa-emergency-"
	// ClusterRoleEmergency lets its holder reach into running pods.
	ClusterRoleEmergency = "hipaatenant-emergency"
)

// SecretCanary is the Secret of the operator's namespace that is written to see how API servers store Secrets. Its content
// is random and guards nothing.
const SecretCanary = "hipaa-encryption-canary"

// Names in the namespace of the network probe, where no tenant is.
const (
	// ConfigMapNetworkProbe remembers what the probe found, from one leader to the next.
	ConfigMapNetworkProbe = "hipaa-network-probe"
	// AccountNetworkProbe is whom the probe's pods run as: nobody gives it any right.
	AccountNetworkProbe = "hipaa-network-probe"
	// LabelNetworkProbe says which end of the probe a pod is, and marks what belongs to it.
	LabelNetworkProbe = Group + "/network-probe"
)

// KeysetKey is the key inside Secret hipaa-keyset that holds the document described in docs/keyset.md.
const KeysetKey = "keyset.json"

// ConfigKey is the key inside ConfigMap hipaa-config that holds the JSON document; the other keys are flat variables.
const ConfigKey = "hipaa.json"
