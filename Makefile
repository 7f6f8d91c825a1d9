# Run `make help` for what there is. Everything is built from source with Go alone; nothing is downloaded but Go modules
# (and, for a test, Debian's SoftHSM2), and nothing outside bin/ and .local/ is written, but by `make generate`.

SHELL := /bin/bash -o pipefail
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Added to `go test`, such as TESTFLAGS='-run Placement -v'.
TESTFLAGS ?=
# What the binary says it is.
VERSION ?= 0.2.0
# grpcnotrace leaves gRPC's request tracing out: nobody reads it, and it links templates that keep the linker from
# dropping unused code, which costs 18 MB of binary and 9 MB of memory.
BUILDTAGS := grpcnotrace
# Added to the benchmark's command line.
BENCHFLAGS ?=
# Added to the command line of the end-to-end stories, such as E2EFLAGS='-only probe'.
E2EFLAGS ?=
# Added to the command line of the upgrade, such as UPGRADEFLAGS='-tenants 5'.
UPGRADEFLAGS ?=

# Added to the command line that makes the image, such as IMAGEFLAGS='-arch amd64,arm64 -name registry.example/operator:1'.
IMAGEFLAGS ?=

# What `make generate` writes, and nobody edits.
GENERATED := api/v1alpha1/zz_generated.deepcopy.go api/v1alpha1/applyconfiguration config/crd docs/api-reference.md \
	charts/hipaa-tenant-operator/templates/crds.yaml charts/hipaa-tenant-operator/templates/rbac.yaml \
	charts/hipaa-tenant-operator/templates/shred.yaml charts/hipaa-tenant-operator/templates/network-probe.yaml charts/hipaa-tenant/values.schema.json \
	charts/hipaa-tenant-operator/templates/monitoring.yaml charts/hipaa-tenant-operator/files \
	charts/hipaa-tenant/presets charts/hipaa-tenant/README.md charts/hipaa-tenant-operator/README.md

##@ Use

.PHONY: demo
demo: cluster-bin ## Show the main job from nothing on a real control plane; ends by itself.
	go run ./hack/demo

.PHONY: up
up: cluster-bin ## Start a local cluster that stays, with the operator in it; kubeconfig .local/kubeconfig, log .local/operator.log.
	go run ./hack/cluster up

.PHONY: down
down: ## Stop the local cluster and the operator, and remove their data.
	go run ./hack/cluster down

##@ Check

# The result lines that the packages wrote, with what failed at the end, where it is seen.
RESULTS = grep -v '^failed: ' "$$lines" | sort; grep '^failed: ' "$$lines" | sort

.PHONY: test
test: cluster-bin bin/helm softhsm ## Run all tests with the race detector; TESTFLAGS are added. Ends with the result lines.
	@lines="$$(mktemp)"; trap 'rm -f "$$lines"' EXIT; \
		export HIPAA_TEST_LINES="$$lines"; \
		go test -race -timeout 30m $(TESTFLAGS) ./...; status=$$?; \
		for module in test/oracle test/kmsplugin; do (cd $$module && go test -race -timeout 30m $(TESTFLAGS) ./...) || status=1; done; \
		$(RESULTS); exit $$status

.PHONY: gitops
gitops: cluster-bin bin/helm bin/kustomize-controller bin/argocd-engine ## Run Flux and Argo CD's engine against tenants on a real control plane; builds both the first time. Ends with the result lines.
	@lines="$$(mktemp)"; trap 'rm -f "$$lines"' EXIT; \
		export HIPAA_TEST_LINES="$$lines"; status=0; \
		(cd test/argocd && CGO_ENABLED=0 go test -trimpath -count=1 $(TESTFLAGS) ./...) || status=1; \
		(cd test/gitops && go test -count=1 -timeout 40m $(TESTFLAGS) ./...) || status=1; \
		$(RESULTS); exit $$status

.PHONY: e2e
e2e: ## Run the operator's image and tenants' workloads on two real nodes, story by story; needs root.
	@hack/node-packages
	@CGO_ENABLED=0 go build -trimpath -o bin/e2e ./test/e2e
	@bin/e2e -possible
	@$(MAKE) --no-print-directory cluster-bin bin/helm bin/kube-proxy vault-bin
	@go run ./hack/cluster build -kubelet
	@WALLS_KERNEL=1 go test -count=1 ./test/walls # what enforces policies on these nodes, tried on this kernel
	@bin/e2e $(E2EFLAGS)

.PHONY: bench
bench: cluster-bin ## Measure speed and memory against the floors; BENCHFLAGS are added.
	go run ./test/bench $(BENCHFLAGS)

.PHONY: upgrade
upgrade: cluster-bin bin/helm ## Take 100 tenants from the previous version to this one, back, away and in again with helm, in minutes; UPGRADEFLAGS are added.
	go run ./test/upgrade $(UPGRADEFLAGS)

.PHONY: verify
verify: generate-check lint ## Check that generated files are up to date, and lint.

.PHONY: generate-check
generate-check: generate
	@git --no-pager diff --exit-code -- $(GENERATED)
	@new="$$(git status --porcelain -- $(GENERATED))"; if [ -n "$$new" ]; then \
		echo "generated files are not committed; commit them:"; echo "$$new"; exit 1; fi

.PHONY: lint
lint: bin/golangci-lint ## Lint: the walls between the floors, the size budgets, and the usual.
	bin/golangci-lint run ./...
	cd test/oracle && $(CURDIR)/bin/golangci-lint run ./...
	cd test/kmsplugin && $(CURDIR)/bin/golangci-lint run ./...
	cd test/gitops && $(CURDIR)/bin/golangci-lint run ./... # test/argocd has Argo CD to type-check, which takes ten minutes

.PHONY: rules
rules: ## Try the alert rules with promtool, and read all expressions with Prometheus' parser; builds promtool, minutes the first time.
	cd test/monitoring && go vet ./... && go test $(TESTFLAGS) ./... # not part of lint and test: Prometheus takes minutes to build

# What handles keys.
KEY_PACKAGES := ./internal/keyring/... ./pkg/...

.PHONY: fips
fips: ## Build with Go's certified cryptographic module, and run the tests of keys on it in FIPS 140-3 mode; minutes the first time.
	CGO_ENABLED=0 GOFIPS140=certified go build -trimpath -tags=$(BUILDTAGS) -o bin/fips/ ./cmd/...
	go version -m bin/fips/manager | grep -w GOFIPS140
	GOFIPS140=certified go test -exec 'env GODEBUG=fips140=on' $(TESTFLAGS) $(KEY_PACKAGES)
	GOFIPS140=certified go test -exec 'env GODEBUG=fips140=only' $(TESTFLAGS) ./pkg/... ./internal/keyring ./internal/keyring/local ./internal/keyring/vault
	@echo "keys: fips build=certified suite=ok"

##@ Build

.PHONY: build
build: ## Build the operator and its command line, static, into bin/.
	CGO_ENABLED=0 go build -trimpath -tags $(BUILDTAGS) -ldflags '-s -w -X github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo.release=$(VERSION)' -o bin/ ./cmd/...

.PHONY: image
image: ## Make the operator's image and its bill of materials into dist/, without a container engine; IMAGEFLAGS are added.
	go run ./hack/image -version $(VERSION) -tags $(BUILDTAGS) $(IMAGEFLAGS)

.PHONY: dockerfile
dockerfile: ## Build the Dockerfile with buildah, and compare it with the image; needs root, buildah, skopeo and busybox, and minutes.
	@hack/dockerfile $(VERSION)

.PHONY: release
release: cluster-bin bin/helm ## Make what a version is published as, into dist/: charts, install manifest, image, command lines, checksums.
	go run ./hack/release -version $(VERSION) -tags $(BUILDTAGS)

.PHONY: generate
generate: bin/controller-gen bin/crd-ref-docs bin/helm-docs ## Write deep copies, CRDs, apply configurations, the API reference and what charts have of them again.
	rm -rf api/v1alpha1/zz_generated.deepcopy.go api/v1alpha1/applyconfiguration config/crd/hipaatenant.dev_*.yaml
	bin/controller-gen object crd:maxDescLen=400 applyconfiguration output:crd:artifacts:config=config/crd paths=./api/...
	bin/crd-ref-docs --log-level=ERROR --config=hack/tools/crd-ref-docs/config.yaml \
		--templates-dir=hack/tools/crd-ref-docs/templates --renderer=markdown --source-path=api/v1alpha1 --output-path=docs/api-reference.md
	go run ./hack/chart
	bin/helm-docs --chart-search-root=charts --sort-values-order=file --log-level=warning

.PHONY: cluster-bin
cluster-bin: ## Build the test control plane into bin/k8s; quick when it is there. KUBEBUILDER_ASSETS is used instead, if set.
	@go run ./hack/cluster build

# A tool is pinned by a module of its own, so that its requirements never reach the operator's.
bin/%: hack/tools/%/go.mod hack/tools/%/go.sum
	cd hack/tools/$* && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ tool
	@touch $@

# Argo CD's own packages behind a command line, for the tests of test/gitops.
bin/argocd-engine: test/argocd/go.mod test/argocd/go.sum test/argocd/main.go test/argocd/settings.go
	cd test/argocd && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ .

.PHONY: vault-bin
vault-bin: ## Build Vault's transit engine for tests into bin/vault-transit; tests build it themselves when it is missing.
	cd test/vault && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o ../../bin/vault-transit .

.PHONY: kms-bin
kms-bin: softhsm ## Build the KMS v2 plugin for tests into bin/kms-plugin; tests build it themselves when it is missing.
	cd test/kmsplugin && CGO_ENABLED=1 go build -trimpath -ldflags='-s -w' -o ../../bin/kms-plugin .

.PHONY: softhsm
softhsm: ## Find SoftHSM2, the PKCS#11 token of the tests; unpack Debian's package into bin/softhsm where it is not installed.
	@hack/softhsm

.PHONY: help
help: ## Explain the targets.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
