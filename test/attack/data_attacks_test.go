package attack

// reads is an attack by somebody with a shipped role. Admission never sees a read: what the roles do not give is the guard,
// and whoever is given everything in the namespace may read it.
func reads(name, send string) Attack {
	return Attack{Name: name, Send: send, As: []actor{developer, operations, account}, By: []refusal{accessControl()}}
}

// readsOthers is tried by everybody: no right of the namespace leads into another.
func readsOthers(name, send string) Attack {
	return Attack{Name: name, Send: send, By: []refusal{accessControl()}}
}

const secrets = "/api/v1/namespaces/NAMESPACE/secrets"

var data = Group{Name: "data", Least: 10, Attacks: []Attack{
	reads("keyset", "GET "+secrets+"/hipaa-keyset"),
	reads("another application's Secret", "GET "+secrets+"/others"),
	reads("all Secrets", "GET "+secrets),
	reads("all Secrets, one by one as they change", "GET "+secrets+"?watch=true&timeoutSeconds=1"),
	reads("Secret by a list of one", "GET "+secrets+"?fieldSelector=metadata.name%3Dhipaa-keyset"),
	readsOthers("Secrets of another tenant", "GET /api/v1/namespaces/VICTIM/secrets"),
	readsOthers("keyset of another tenant", "GET /api/v1/namespaces/VICTIM/secrets/hipaa-keyset"),
	readsOthers("config of another tenant", "GET /api/v1/namespaces/VICTIM/configmaps/hipaa-config"),
	readsOthers("logs of another tenant", "GET /api/v1/namespaces/VICTIM/pods/records/log"),
	readsOthers("events of another tenant", "GET /api/v1/namespaces/VICTIM/events"),
	readsOthers("all Secrets of the cluster", "GET /api/v1/secrets"),
	readsOthers("keys of the operator", "GET /api/v1/namespaces/hipaa-system/secrets"),
	readsOthers("audit records of the operator", "GET /api/v1/namespaces/hipaa-system/configmaps"),
	readsOthers("metrics of the API server", "GET /metrics"),
	// A patch answers with the whole object, so an empty one reads it.
	{Name: "keyset by an empty patch", On: "{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}", Send: "PATCH " + secrets + "/hipaa-keyset", Body: "{}", By: []refusal{byItAlone}},
	{Name: "keyset by an empty patch, dry run", On: "{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}", Send: "PATCH " + secrets + "/hipaa-keyset?dryRun=All", Body: "{}", By: []refusal{byItAlone}},
	{Name: "keyset replaced", On: "{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}", Patch: "{data: {keyset.json: e30=}}", By: []refusal{byItAlone}},
	{Name: "keyset deleted", On: "{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}", By: []refusal{byItAlone}},
	{Name: "config changed", On: "{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-config}}", Patch: "{data: {HIPAA_SESSION_IDLE_TIMEOUT_SECONDS: '86400'}}", By: []refusal{byItAlone}},
	{Name: "config deleted", On: "{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-config}}", By: []refusal{byItAlone}},
}}
