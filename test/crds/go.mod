// Pins the CustomResourceDefinitions that optional objects are checked against, and those of Flux: as the projects themselves
// publish them, in their modules. Nothing is built of them. Kept apart so that none of these requirements reach the operator.
module github.com/hipaatenant/hipaa-tenant-operator/test/crds

go 1.26.0

require (
	github.com/cilium/cilium v1.20.2
	github.com/envoyproxy/gateway v1.9.1
	github.com/fluxcd/kustomize-controller v1.7.3
	github.com/fluxcd/source-controller v1.8.5
	istio.io/api v1.31.1
	sigs.k8s.io/network-policy-api v0.1.8-0.20260217173220-6bb86defe1a7
)
