package stories

// What is still missing, in words for the line of a row and for the page of the documentation.
const (
	noTrail        = "the hash-chained audit trail"
	noReport       = "`kubectl hipaa report`"
	tenantSuite    = "test/integration/tenant"
	extensionSuite = "test/integration/extensions"
)

var pages = []source{
	{file: "000_f6bb5317ce3fd60f", vendor: "rezolve-like", count: 11, rows: []requirement{
		{
			"PHI hosted and processed only in a HIPAA-compliant region of the cloud provider",
			"`spec.region`, `failoverRegions` and the profile's `regions`: affinity is injected, binding to any other region is refused, pods found elsewhere are reported",
			[]evidence{
				enforced("rezolve-like keeps pods in its regions"),
				verified("rezolve-like finds a pod that is no longer in its regions"),
			},
		},
		{
			"subcontractors agree to the same restrictions before PHI reaches them",
			"`BusinessAssociate` with its own BAA, and `subcontractors`: no BAA in force, no packets",
			[]evidence{enforced("rezolve-like sends a vendor nothing while one of its subcontractors has not signed")},
		},
		{
			"use and disclosure only as the BAA permits",
			"`baa.scope` lists the services the agreement covers: those its profile is for, and those a vendor renders, have to be among them",
			[]evidence{enforced("rezolve-like uses and discloses only as its agreement permits")},
		},
		{
			"encryption when PHI crosses the Internet",
			"plaintext Ingress and Gateway listeners are refused; the mailbox has TLS; the policy that refuses is watched",
			[]evidence{
				enforced("rezolve-like serves nothing in clear text"),
				verified("rezolve-like puts back the policy that refuses clear text, and tells"),
			},
		},
		{
			"storage, backup, disposal and re-use procedures",
			"encrypted storage classes only, judged by their parameters; deletion in two phases; key shredding; attestations for backup",
			[]evidence{
				enforced("rezolve-like stores on encrypted classes only, and keeps data when the tenant is deleted"),
				verified("rezolve-like looks at how its storage classes encrypt"),
				attested("rezolve-like has a named person vouch for backup, disposal and re-use of media"),
			},
		},
		{
			"authentication and access controls",
			"roles bound from the tenant only; SSO, or a password policy with MFA, declared and delivered",
			[]evidence{
				enforced("rezolve-like lets in whom the tenant names, and nobody else"),
				attested("rezolve-like has a named person vouch for how users sign in"),
			},
		},
		{
			"workforce clearance, supervision, training",
			"attestations with expiry",
			[]evidence{attested("rezolve-like has a named person vouch for clearance, supervision and training")},
		},
		{
			"security incident procedures; report uses and disclosures and incidents",
			"violations as findings, events, metrics and audit lines; named contacts",
			[]evidence{
				verified("rezolve-like tells of an incident where people and machines look"),
				attested("rezolve-like has a named person vouch for incident procedures"),
			},
		},
		{
			"contingency plan and emergency access plan",
			"`EmergencyAccess`, for a time and by two people; `failoverRegions`; attestations",
			[]evidence{
				enforced("rezolve-like runs on when its region is lost, and lets people in when two agree"),
				attested("rezolve-like has a named person vouch for the contingency plan"),
			},
		},
		{
			"document disclosures so an accounting can be given",
			"audit trail of who was given which access, when, why",
			[]evidence{notYet("V", noTrail)},
		},
		{
			"make practices and records available to the covered entity or the Secretary of HHS on request",
			"`kubectl hipaa report TENANT`",
			[]evidence{notYet("V", noReport)},
		},
	}},
	{file: "001_8783ab8bd69ece42", vendor: "aptible-like", count: 5, rows: []requirement{
		{
			"every vendor that touches PHI needs a BAA (SMS, e-mail, analytics, database, logging, chat...)",
			"catalogue of `BusinessAssociate`s: egress opens only to vendors whose BAA is in force",
			[]evidence{enforced("aptible-like opens egress to the vendors whose agreement is in force, and to nobody else")},
		},
		{
			"some vendors sign, others do not",
			"a vendor with `handlesPHI: true` and no BAA is never reachable; one that handles no PHI must say so with a reason",
			[]evidence{enforced("aptible-like never reaches a vendor that has not signed, unless no PHI goes there and somebody says why")},
		},
		{
			"subcontractors accept restrictions identical to the original party's",
			"chain of `subcontractors`: every link must be in force, cycles never are",
			[]evidence{enforced("aptible-like follows the chain of subcontractors to its end")},
		},
		{
			"a missing, incomplete or ignored BAA leaves both parties liable",
			"a tenant is not provisioned without a complete BAA; a lapse does what `baa.onLapse` says",
			[]evidence{enforced("aptible-like provisions nothing without an agreement, and freezes what has lost it")},
		},
		{
			"a BAA template has to be adapted to the organisation",
			"reference to the signed document, with its SHA-256",
			[]evidence{attested("aptible-like takes no agreement without the text that was signed, and its hash")},
		},
	}},
	{file: "002_ce46f605ea04cef4", vendor: "salesmate-like", count: 10, rows: []requirement{
		{
			"IP restriction: only authorised sources (mandatory)",
			"`spec.ipAllowlist`: NetworkPolicy, source ranges of load balancers; tenants cannot widen it",
			[]evidence{enforced("salesmate-like lets in authorised sources alone")},
		},
		{
			"SAML SSO, or password policy and two-factor authentication (mandatory)",
			"`spec.authentication`: exactly one of `sso` and `password`, and with passwords MFA is required",
			[]evidence{
				enforced("salesmate-like declares single sign-on, or passwords with a second factor"),
				attested("salesmate-like has a named person vouch for how users sign in"),
			},
		},
		{
			"custom mailbox: own mail server, mail stays outside the vendor",
			"`spec.application.mailbox` is the only SMTP destination opened",
			[]evidence{enforced("salesmate-like sends mail to its own server alone")},
		},
		{
			"role-based access by job responsibility",
			"`spec.roles`: RoleBindings to narrow ClusterRoles",
			[]evidence{enforced("salesmate-like gives each role what its job needs")},
		},
		{
			"data sanitization: field visibility by profile",
			"`spec.application.hiddenFields` in the config; pods that have not taken it are counted",
			[]evidence{
				enforced("salesmate-like delivers which fields each role does not see"),
				verified("salesmate-like counts pods that have not taken which fields each role does not see"),
			},
		},
		{
			"global search: choose which fields may appear",
			"`spec.application.searchableFields` in the config",
			[]evidence{enforced("salesmate-like delivers which fields a search may show")},
		},
		{
			"call recordings: off, or started by hand; download and delete",
			"`spec.application.callRecording` and its retention in the config; channel `call-recording`",
			[]evidence{enforced("salesmate-like delivers how calls are recorded, and closes the channel where they are not")},
		},
		{
			"end-point security of agents' machines",
			"attestation",
			[]evidence{attested("salesmate-like has a named person vouch for agents' machines")},
		},
		{
			"the BAA stays valid only while the mandatory settings stay in place",
			"`BAAInForce` turns False when a mandatory setting is not met",
			[]evidence{verified("salesmate-like has no agreement in force while a mandatory setting is out of place")},
		},
		{
			"the BAA covers one product only",
			"`services` of the profile is the product; `baa.scope` of the tenant has to name it",
			[]evidence{enforced("salesmate-like runs the one product its agreement covers")},
		},
	}},
	{file: "003_39ab3a6a17b4c91a", vendor: "liveperson-like", count: 13, rows: []requirement{
		{
			"unique user identification",
			"bindings to anonymous, unauthenticated or everybody are refused",
			[]evidence{enforced("liveperson-like binds persons, never everybody")},
		},
		{
			"emergency access procedure",
			"`EmergencyAccess`",
			[]evidence{enforced("liveperson-like lets a person in when another agrees, for a while")},
		},
		{
			"automatic logoff after inactivity",
			"`spec.sessionTimeout`, capped by the profile and delivered; pods that have not taken it are counted",
			[]evidence{
				enforced("liveperson-like ends idle sessions, and lets tokens live no longer"),
				verified("liveperson-like counts pods that have not taken when a session ends"),
			},
		},
		{
			"encryption and decryption of ePHI",
			"`spec.encryption`: data keys of each tenant wrapped by a KMS, volumes with a customer's key; how Secrets lie in etcd is observed",
			[]evidence{
				enforced("liveperson-like has data keys of its own, wrapped by the KMS"),
				verified("liveperson-like says what was observed of its keys, its volumes and of etcd"),
			},
		},
		{
			"audit controls",
			"hash-chained audit trail, events, metrics",
			[]evidence{notYet("V", noTrail)},
		},
		{
			"integrity",
			"managed objects cannot be edited; drift is undone; the config is hashed",
			[]evidence{
				enforced("liveperson-like refuses to let anybody edit what guards it"),
				verified("what somebody else does is undone when the guarding policies are gone").elsewhere(tenantSuite),
			},
		},
		{
			"person or entity authentication",
			"`spec.authentication`, attestations",
			[]evidence{attested("liveperson-like has a named person vouch for how users prove who they are")},
		},
		{
			"transmission security",
			"exposure with TLS only; policies for gateways and meshes where their APIs are served",
			[]evidence{
				enforced("liveperson-like is exposed by TLS alone"),
				verified("gateways and the mesh is put back after somebody else changed, widened or deleted it").elsewhere(extensionSuite),
			},
		},
		{
			"facility access, workspace use, workstation security",
			"attestations; a fact of the cluster never stands in for them",
			[]evidence{attested("liveperson-like has named persons vouch for facilities, workspaces and workstations")},
		},
		{
			"device and media: disposal, re-use, movement record, backup",
			"data is kept until somebody confirms; keys are shredded; volumes are looked up, and those outside the regions found",
			[]evidence{
				enforced("a tenant that is to be shredded keeps its keys until that is confirmed with its own UID, and permitted").elsewhere(tenantSuite),
				verified("volumes are found outside the regions of the tenant that claims them").elsewhere(tenantSuite),
			},
		},
		{
			"risk analysis, security officer, workforce, training, incidents, contingency, evaluation, BAAs",
			"the security officer is a required field; the rest attestations with expiry; agreements are verified again periodically",
			[]evidence{
				attested("liveperson-like has a named person vouch for risk analysis, training, incidents, contingency and evaluation"),
				verified("liveperson-like asks for agreements to be verified again"),
			},
		},
		{
			"breach notification: patients, HHS, media above 500",
			"incident records and contacts, and attestations; the report lists them",
			[]evidence{attested("liveperson-like has a named person vouch for breach notification")},
		},
		{
			"account for all disclosures",
			"audit trail",
			[]evidence{notYet("V", noTrail)},
		},
	}},
	{file: "004_ba3a78d667f09e49", vendor: "genesys-like", count: 9, rows: []requirement{
		{
			"ACD e-mail and SMS are not covered and must not carry ePHI",
			"`disabledChannels`: workloads refused, egress closed, the config says so",
			[]evidence{enforced("genesys-like closes ACD e-mail and SMS: to workloads, at egress, in the config")},
		},
		{
			"voicemail e-mail notifications off in HIPAA organisations",
			"channel `voicemail-email`",
			[]evidence{enforced("genesys-like closes voicemail e-mail")},
		},
		{
			"HIPAA available in one cloud region (AWS US East)",
			"the profile's `regions`, with reason and review date",
			[]evidence{enforced("genesys-like runs in the one region, and nowhere else")},
		},
		{
			"a BAA signed by all parties, then the HIPAA toggle is set",
			"both signatures are required before anything is provisioned; condition `BAAInForce`",
			[]evidence{enforced("genesys-like is provisioned once both parties have signed, and not before")},
		},
		{
			"an administrator can see the toggle",
			"columns of `kubectl get hipaatenants`",
			[]evidence{verified("genesys-like shows an administrator whether it is on")},
		},
		{
			"inactivity timeout; 15 minutes recommended",
			"the profile's `maxSessionTimeout`, 15 minutes in the samples",
			[]evidence{enforced("genesys-like ends idle sessions after 15 minutes at most")},
		},
		{
			"requests made by the application in the background reset the API's idle timer (a weakness they admit)",
			"the config says that only user input counts as activity",
			[]evidence{enforced("genesys-like tells every container that only what a person does counts as activity")},
		},
		{
			"business associates need BAAs with their cloud provider",
			"a region is eligible only while its provider's `BusinessAssociate` is in force",
			[]evidence{enforced("genesys-like takes no new pods in a region whose provider has no agreement in force")},
		},
		{
			"full disk encryption on workstations",
			"attestation",
			[]evidence{attested("genesys-like has a named person vouch for the disks of workstations")},
		},
	}},
}
