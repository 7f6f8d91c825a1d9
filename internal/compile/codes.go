package compile

// Codes of findings. They are stable: documentation, alerts and pipelines search for them.
const (
	// CodeRegionNotEligible: a region is not in the profile.
	CodeRegionNotEligible = "RegionNotEligible"
	// CodeRegionProviderLapsed: the agreement with a region's provider is not in force; the region takes no new pods.
	CodeRegionProviderLapsed = "RegionProviderLapsed"
	// CodeRegionWithoutNodes: a region has no ready node; pods for it stay pending.
	CodeRegionWithoutNodes = "RegionWithoutNodes"
	// CodeSessionTimeoutAboveMaximum: sessionTimeout exceeds the profile's maximum.
	CodeSessionTimeoutAboveMaximum = "SessionTimeoutAboveMaximum"
	// CodeUnknownChannel: a disabled channel is not in the profile's catalogue.
	CodeUnknownChannel = "UnknownChannel"
	// CodeKeyURINotAllowed: keyURI matches none of the profile's patterns.
	CodeKeyURINotAllowed = "KeyURINotAllowed"
	// CodeSoftwareKeyNotAllowed: a local:// key where the profile does not allow software keys.
	CodeSoftwareKeyNotAllowed = "SoftwareKeyNotAllowed"
	// CodeKeyRegionForeign: the KMS key lives outside the tenant's regions; nothing new is wrapped with it.
	CodeKeyRegionForeign = "KeyRegionForeign"
	// CodeRotationPeriodCapped: rotationPeriod exceeds the profile's maximum; the maximum is used.
	CodeRotationPeriodCapped = "RotationPeriodCapped"
	// CodeStorageClassNotAllowed: a storage class is not in the profile's list.
	CodeStorageClassNotAllowed = "StorageClassNotAllowed"
	// CodeStorageClassMissing: a storage class does not exist, and the profile requires a customer's key of it.
	CodeStorageClassMissing = "StorageClassMissing"
	// CodeStorageClassNotCustomerKey: a storage class is not known to encrypt with a customer's key, as the profile requires.
	CodeStorageClassNotCustomerKey = "StorageClassNotCustomerKey"
	// CodeStorageClassNotEncrypted: a storage class that claims may name does not ask for encryption.
	CodeStorageClassNotEncrypted = "StorageClassNotEncrypted"
	// CodeAllowlistTooWide: an allowlist entry is wider than the profile permits.
	CodeAllowlistTooWide = "AllowlistTooWide"
	// CodeAllowlistSubtracted: link-local and metadata addresses were taken out of an allowlist entry.
	CodeAllowlistSubtracted = "AllowlistSubtracted"
	// CodeBAAIncomplete: a party has not signed.
	CodeBAAIncomplete = "BAAIncomplete"
	// CodeBAAOutOfScope: the profile is for services that the agreement does not cover.
	CodeBAAOutOfScope = "BAAOutOfScope"
	// CodeBAALapsed: the agreement is not in force.
	CodeBAALapsed = "BAALapsed"
	// CodeBAAExpiring: the agreement ends within the profile's warning window.
	CodeBAAExpiring = "BAAExpiring"
	// CodeAssociateExpiring: the agreement of an associate, or of a subcontractor, ends within the profile's warning window.
	CodeAssociateExpiring = "AssociateExpiring"
	// CodeAssociateNotInForce: a business associate's agreement is not in force; egress to it stays closed.
	CodeAssociateNotInForce = "AssociateNotInForce"
	// CodeAssociateChannelDisabled: an associate carries a disabled channel; egress to it stays closed.
	CodeAssociateChannelDisabled = "AssociateChannelDisabled"
	// CodeHostsNotExpressible: an endpoint names only hosts, and no API is served that can express them; it stays closed.
	CodeHostsNotExpressible = "HostsNotExpressible"
	// CodeExtensionUnusable: the definition of an optional kind is there, and its objects cannot be written.
	CodeExtensionUnusable = "ExtensionUnusable"
	// CodeExtensionRefused: the API server did not take an object of an optional kind that closes something.
	CodeExtensionRefused = "ExtensionRefused"
	// CodeHostsRefused: the API server did not take an object of an optional kind that opens host names; they stay closed.
	CodeHostsRefused = "HostsRefused"
	// CodeGatewaysUnguarded: no API is served through which the profile's gateways could be told the allowlist.
	CodeGatewaysUnguarded = "GatewaysUnguarded"
	// CodeEndpointSubtracted: nothing of an endpoint is left after what must never be reached was taken away.
	CodeEndpointSubtracted = "EndpointSubtracted"
	// CodeMailboxTooWide: a network of the mailbox is wider than a mail server needs; it stays closed.
	CodeMailboxTooWide = "MailboxTooWide"
	// CodeKeptMeanwhile: the spec cannot be honoured; what of the former one still stands.
	CodeKeptMeanwhile = "KeptMeanwhile"
	// CodeSubjectOutsideTenant: a role names a service account of a namespace that is not the tenant's.
	CodeSubjectOutsideTenant = "SubjectOutsideTenant"
	// CodeGrantExpired: a role grant has expired and is not bound.
	CodeGrantExpired = "GrantExpired"
	// CodeGrantedTwice: a subject holds one role by two grants; it keeps the role until the later one ends.
	CodeGrantedTwice = "GrantedTwice"
	// CodeAuditorActs: a subject holds the role that looks on and one that acts.
	CodeAuditorActs = "AuditorActs"
	// CodeNamespaceConflict: a namespace exists and may not be taken over.
	CodeNamespaceConflict = "NamespaceConflict"
	// CodeNamespaceReserved: a namespace belongs to the operator or to the profile's shared services.
	CodeNamespaceReserved = "NamespaceReserved"
	// CodeNamespaceRetained: a namespace left the spec; it is quarantined and keeps its data.
	CodeNamespaceRetained = "NamespaceRetained"
	// CodeKeyShared: a tenant claims its key for itself alone, and another one names it too.
	CodeKeyShared = "KeyShared"
	// CodeShredLeavesKey: deletionPolicy is Shred, and the key is not claimed for the tenant alone: it would not be destroyed.
	CodeShredLeavesKey = "ShredLeavesKey"
	// CodeNetworkPolicyTooWide: a network policy of somebody else opens more than the tenant may.
	CodeNetworkPolicyTooWide = "NetworkPolicyTooWide"
	// CodeAccessTooWide: a role binding of somebody else names everybody, or a service account of another namespace.
	CodeAccessTooWide = "AccessTooWide"
	// CodePodsMisplaced: pods run on nodes that are not known to be in the tenant's regions.
	CodePodsMisplaced = "PodsMisplaced"
	// CodeChannelPodsRunning: pods serve a channel that is disabled.
	CodeChannelPodsRunning = "ChannelPodsRunning"
	// CodeConfigStale: pods run with another config than the one delivered.
	CodeConfigStale = "ConfigStale"
	// CodeConfigUnknown: pods asked not to be given the config; whether they read it is not known.
	CodeConfigUnknown = "ConfigUnknown"
	// CodeEvictionHeld: a pod that is misplaced, or serves a disabled channel, is not evicted although the profile says so.
	CodeEvictionHeld = "EvictionHeld"
	// CodeNodeRegionDisputed: the region label of a node contradicts its spec.providerID.
	CodeNodeRegionDisputed = "NodeRegionDisputed"
	// CodeRegionByLabelAlone: nothing but their label vouches for the region of some nodes.
	CodeRegionByLabelAlone = "RegionByLabelAlone"
	// CodeVolumesOutsideRegions: volumes of the tenant lie outside its regions.
	CodeVolumesOutsideRegions = "VolumesOutsideRegions"
	// CodeVolumeRegionUnknown: it is not known where volumes of the tenant lie.
	CodeVolumeRegionUnknown = "VolumeRegionUnknown"
	// CodeEncryptedAtRest: every API server was seen to write Secrets to etcd through KMS v2.
	CodeEncryptedAtRest = "EncryptedAtRest"
	// CodeAtRestWithoutKMS: Secrets are encrypted in etcd, and not, or not everywhere, through KMS v2.
	CodeAtRestWithoutKMS = "AtRestWithoutKMS"
	// CodePlaintextAtRest: Secrets are written encrypted, and older ones lie in etcd in plaintext.
	CodePlaintextAtRest = "PlaintextAtRest"
	// CodeNotEncryptedAtRest: an API server writes Secrets to etcd in plaintext.
	CodeNotEncryptedAtRest = "NotEncryptedAtRest"
	// CodeAtRestUnknown: how API servers store Secrets could not be observed.
	CodeAtRestUnknown = "AtRestUnknown"
	// CodeAtRestAttested: it could not be observed, and somebody vouches for it.
	CodeAtRestAttested = "AtRestAttested"
	// CodeAttestationMissing: nobody vouches yet for a safeguard the profile requires an attestation of.
	CodeAttestationMissing = "AttestationMissing"
	// CodeAttestationExpired: an attestation the profile requires has expired.
	CodeAttestationExpired = "AttestationExpired"
	// CodeAttestationExpiring: an attestation expires within the profile's warning window.
	CodeAttestationExpiring = "AttestationExpiring"
	// CodeAttestationNotCounted: an attestation nobody requires has expired, or has not begun, and counts for nothing.
	CodeAttestationNotCounted = "AttestationNotCounted"
	// CodeCallRecordingDisabled: workloads are told not to record, because the channel of recordings is disabled.
	CodeCallRecordingDisabled = "CallRecordingDisabled"
	// CodeKeysetMissing: no keyset could be made yet; the gate stays as it is.
	CodeKeysetMissing = "KeysetMissing"
)
