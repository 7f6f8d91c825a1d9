// Builds a KMS v2 plugin of the kind clusters run, for tests: Kubernetes' own plugin service in front of a PKCS#11
// token. Kept apart because PKCS#11 needs cgo, which the operator is built without.
module github.com/hipaatenant/hipaa-tenant-operator/test/kmsplugin

go 1.26.0

require (
	github.com/miekg/pkcs11 v1.1.2
	google.golang.org/grpc v1.82.1
	k8s.io/kms v0.37.2
)

require (
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.40.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/protobuf v1.36.12-0.20260120151049-f2248ac996af // indirect
)
