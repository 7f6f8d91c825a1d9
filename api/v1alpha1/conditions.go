package v1alpha1

// Conditions of a HIPAATenant, after the kstatus convention: Reconciling and Stalled exist only while they
// are True, the others always exist.
//
//	Ready = True only while each of these is True
//	├── NamespacesReady     every namespace exists, is ours, and its gate is open
//	├── BAAInForce          both parties signed, today lies inside the agreement, and the mandatory settings are in place
//	├── AdmissionEnforced   the API server holds every admission policy exactly as shipped
//	├── PlacementEnforced   the region facts are written, the placement policies stand, and neither pods nor volumes are
//	│                       found outside the tenant's regions
//	├── NetworkIsolated     the network policies stand, and the network plug-in was seen to enforce them (Unknown, reason
//	│                       PolicyWritten, where that was not probed or could not be told: the one Unknown that does not
//	│                       hold Ready back, because the operator did all it can)
//	├── EncryptionReady     every data key is wrapped and bound to its namespace, and every API server was seen to encrypt
//	│                       Secrets in etcd (what is not so there, or not known, does not hold Ready back: the data keys
//	│                       are wrapped all the same, and no operator configures API servers)
//	├── AccessBound         the role bindings stand
//	└── ConfigDelivered     hipaa-config stands in every namespace, and no pod serves a channel it says is disabled (that pods
//	                        run with an older config, reason ConfigStale, or were not given one, reason ConfigUnknown,
//	                        does not hold Ready back: they take it when they are made anew)
//
//	Reconciling = True while work is left; Stalled = True when only a change of the spec can help.
const (
	ConditionReady             = "Ready"
	ConditionReconciling       = "Reconciling"
	ConditionStalled           = "Stalled"
	ConditionNamespacesReady   = "NamespacesReady"
	ConditionBAAInForce        = "BAAInForce"
	ConditionAdmissionEnforced = "AdmissionEnforced"
	ConditionPlacementEnforced = "PlacementEnforced"
	ConditionNetworkIsolated   = "NetworkIsolated"
	ConditionEncryptionReady   = "EncryptionReady"
	ConditionAccessBound       = "AccessBound"
	ConditionConfigDelivered   = "ConfigDelivered"
)

// ConditionInForce is the condition of a BusinessAssociate.
const ConditionInForce = "inForce"

// ConditionActive is the condition of an EmergencyAccess: True while its RoleBindings stand.
const ConditionActive = "Active"

// Reasons of ConditionActive.
const (
	// ReasonAwaitingApproval: nobody has approved it yet.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonGranted: the requester is let in until status.expiresAt.
	ReasonGranted = "Granted"
	// ReasonNotPossible: the tenant or its profile does not allow it as things are; it may become possible.
	ReasonNotPossible = "NotPossible"
	// ReasonDenied: it was approved by somebody who may not, or asks for what is never granted.
	ReasonDenied = "Denied"
	// ReasonNotApprovedInTime: nobody approved it within a day.
	ReasonNotApprovedInTime = "NotApprovedInTime"
	// ReasonTenantGone: the tenant was deleted.
	ReasonTenantGone = "TenantGone"
)

// Reasons.
const (
	// ReasonReady: everything Ready depends on holds.
	ReasonReady = "Ready"
	// ReasonEnforced: what the condition names stands in the cluster.
	ReasonEnforced = "Enforced"
	// ReasonProgressing: the first reconcile, or the one after a change, has not finished.
	ReasonProgressing = "Progressing"
	// ReasonWaiting: an object or service the tenant needs is missing; the operator resumes by itself.
	ReasonWaiting = "Waiting"
	// ReasonInvalid: the spec cannot be honoured; findings say why; what was enforced before stays, as far as it is still permitted.
	ReasonInvalid = "Invalid"
	// ReasonFailed: the last attempt ended with an error; it is retried.
	ReasonFailed = "Failed"
	// ReasonSuspended: spec.suspend is true; enforcement stays, nothing is reconciled.
	ReasonSuspended = "Suspended"
	// ReasonDeleting: the finalizer is at work.
	ReasonDeleting = "Deleting"
	// ReasonNamespaceConflict: a namespace exists and may not be taken over.
	ReasonNamespaceConflict = "NamespaceConflict"
	// ReasonLocked: a namespace is not open yet.
	ReasonLocked = "Locked"
	// ReasonFrozen: the agreement lapsed and the profile says Freeze.
	ReasonFrozen = "Frozen"
	// ReasonQuarantined: the agreement lapsed and the profile says Isolate.
	ReasonQuarantined = "Quarantined"
	// ReasonInForce: the agreement holds today.
	ReasonInForce = "InForce"
	// ReasonExpired: the agreement ended, or has not begun.
	ReasonExpired = "Expired"
	// ReasonIncomplete: a signature is missing.
	ReasonIncomplete = "Incomplete"
	// ReasonOutOfScope: a service is used or rendered that the agreement does not cover.
	ReasonOutOfScope = "OutOfScope"
	// ReasonSubcontractorLapsed: a subcontractor of the associate is not in force.
	ReasonSubcontractorLapsed = "SubcontractorLapsed"
	// ReasonMandatorySettingMissing: the agreement holds, and a setting it is given for is not in place; the message names it.
	ReasonMandatorySettingMissing = "MandatorySettingMissing"
	// ReasonReverificationDue: lastVerifiedOn is older than the profile's baa.reverifyEvery.
	ReasonReverificationDue = "ReverificationDue"
	// ReasonNoPHI: the associate handles no PHI, so no agreement is needed.
	ReasonNoPHI = "NoPHI"
	// ReasonPoliciesMissing: an admission policy or binding is absent, altered or not accepted.
	ReasonPoliciesMissing = "PoliciesMissing"
	// ReasonPolicyWritten: the network policies stand; whether the network plug-in enforces them was not probed, or could not be told.
	ReasonPolicyWritten = "PolicyWritten"
	// ReasonVerified: the network policies stand, and the network plug-in was seen to enforce policies.
	ReasonVerified = "Verified"
	// ReasonPluginDoesNotEnforce: the network policies stand, and the network plug-in was seen to ignore policies.
	ReasonPluginDoesNotEnforce = "PluginDoesNotEnforce"
	// ReasonNetworkPolicyTooWide: a network policy of somebody else opens more than the tenant may.
	ReasonNetworkPolicyTooWide = "NetworkPolicyTooWide"
	// ReasonExtensionRefused: an object that closes gateways or the mesh was refused by the API server.
	ReasonExtensionRefused = "ExtensionRefused"
	// ReasonAccessTooWide: a role binding of somebody else lets in others than the tenant's people.
	ReasonAccessTooWide = "AccessTooWide"
	// ReasonRegionWithoutNodes: placement is enforced, and one of the regions has no ready node.
	ReasonRegionWithoutNodes = "RegionWithoutNodes"
	// ReasonPodsMisplaced: pods run on nodes that are not known to be in the tenant's regions.
	ReasonPodsMisplaced = "PodsMisplaced"
	// ReasonChannelPodsRunning: pods serve a channel that is disabled.
	ReasonChannelPodsRunning = "ChannelPodsRunning"
	// ReasonConfigStale: the config stands, and pods run with an older one.
	ReasonConfigStale = "ConfigStale"
	// ReasonConfigUnknown: the config stands, and pods asked not to be given it.
	ReasonConfigUnknown = "ConfigUnknown"
	// ReasonVolumesOutsideRegions: volumes of the tenant lie outside its regions.
	ReasonVolumesOutsideRegions = "VolumesOutsideRegions"
	// ReasonKMSWrapped: data keys are wrapped by an external KMS.
	ReasonKMSWrapped = "KMSWrapped"
	// ReasonSoftwareKey: data keys are wrapped by a key that is itself a Secret of this cluster.
	ReasonSoftwareKey = "SoftwareKey"
	// ReasonKMSUnreachable: the KMS did not answer; existing keys are untouched.
	ReasonKMSUnreachable = "KMSUnreachable"
	// ReasonKMSRefused: the KMS answered and said no (unknown key, no permission, key disabled).
	ReasonKMSRefused = "KMSRefused"
	// ReasonKeyUnsupported: the operator was started without what the key URI needs.
	ReasonKeyUnsupported = "KeyUnsupported"
	// ReasonForeignKeyMaterial: a keyset is bound to another tenant, namespace or cluster; it is not overwritten.
	ReasonForeignKeyMaterial = "ForeignKeyMaterial"
	// ReasonKeyBeingShredded: the key is being destroyed with the tenant it belongs to; no other may use it any more.
	ReasonKeyBeingShredded = "KeyBeingShredded"
	// ReasonShredding: the keys of a deleted tenant are being destroyed.
	ReasonShredding = "Shredding"
	// ReasonShredNotConfirmed: the tenant is deleted, deletionPolicy is Shred, and annotation confirm-shred is missing.
	ReasonShredNotConfirmed = "ShredNotConfirmed"
	// ReasonShredNotPermitted: the operator was installed without the right to delete keys.
	ReasonShredNotPermitted = "ShredNotPermitted"
	// ReasonKeyShared: the key is not the tenant's alone, or nobody can tell, so it is not destroyed.
	ReasonKeyShared = "KeyShared"
	// ReasonNotEncryptedAtRest: an API server writes Secrets to etcd in plaintext.
	ReasonNotEncryptedAtRest = "NotEncryptedAtRest"
	// ReasonPlaintextAtRest: Secrets are written encrypted, and older ones lie in etcd in plaintext.
	ReasonPlaintextAtRest = "PlaintextAtRest"
	// ReasonAtRestUnknown: how API servers store Secrets could not be observed.
	ReasonAtRestUnknown = "AtRestUnknown"
	// ReasonAtRestAttested: it could not be observed, and an attestation in force vouches for it.
	ReasonAtRestAttested = "AtRestAttested"
	// ReasonNotProvisioned: nothing has been created yet.
	ReasonNotProvisioned = "NotProvisioned"
)
