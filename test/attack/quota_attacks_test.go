package attack

const (
	quotaObject  = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota}}"
	limitsObject = "{apiVersion: v1, kind: LimitRange, metadata: {name: hipaa-limits}}"
	tooMuch      = "resources: {requests: {cpu: '1000', memory: 1Gi}, limits: {cpu: '1000', memory: 1Gi}}"
)

var quota = Group{Name: "quota", Least: 4, Attacks: []Attack{
	{Name: "quota raised", On: quotaObject, Patch: "{spec: {hard: {pods: '100000', limits.cpu: '100000'}}}", By: []refusal{byItAlone}},
	{Name: "quota for pods of one kind alone", On: quotaObject, Patch: "{spec: {scopes: [Terminating]}}", By: []refusal{byItAlone, validation("immutable"), validation("unsupported scope")}},
	{Name: "quota for one priority alone", On: quotaObject, Patch: "{spec: {scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [urgent]}]}}}", By: []refusal{byItAlone, validation("unsupported scope")}},
	{Name: "quota counted down", On: quotaObject, Send: "PATCH /api/v1/namespaces/NAMESPACE/resourcequotas/hipaa-quota/status", Body: "{status: {used: {pods: '0'}}}", By: []refusal{byItAlone}},
	{Name: "quota counted down, dry run", On: quotaObject, Send: "PATCH /api/v1/namespaces/NAMESPACE/resourcequotas/hipaa-quota/status?dryRun=All", Body: "{status: {used: {pods: '0'}}}", By: []refusal{byItAlone}},
	// So there is no moment without a quota, in which pods could slip in.
	{Name: "quota deleted", On: quotaObject, By: []refusal{byItAlone}},
	{Name: "limits deleted", On: limitsObject, By: []refusal{byItAlone}},
	{Name: "limits raised", On: limitsObject, Patch: "{spec: {limits: []}}", By: []refusal{byItAlone}},
	{Name: "another quota under a reserved name", Object: "{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota-2, generateName: hipaa-}, spec: {hard: {pods: '100000'}}}", By: []refusal{byItAlone}},
	{Name: "more than the quota", Object: podWith(tooMuch, ""), By: []refusal{overQuota("hipaa-quota")}},
	{Name: "more than the quota, ending by itself", Object: podWith(tooMuch, "activeDeadlineSeconds: 60"), Without: []string{"create as"}, By: []refusal{overQuota("hipaa-quota")}},
	{Name: "more than the quota, with priority", Object: podWith(tooMuch, "priorityClassName: urgent"), By: []refusal{overQuota("hipaa-quota")}},
	{Name: "more than the quota in an init container", Object: pod("initContainers: [{name: first, image: example/init, " + tooMuch + ", " + restrictedContainer + "}]"), By: []refusal{overQuota("hipaa-quota")}},
	{Name: "more storage than the quota", Object: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: NAME}, spec: {accessModes: [ReadWriteOnce], storageClassName: encrypted-gp3, resources: {requests: {storage: 100Ti}}}}", By: []refusal{overQuota("hipaa-quota")}},
}}
