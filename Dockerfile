# syntax=docker/dockerfile:1
# The operator as an image: one static binary, no shell, no package manager, not root.
#
#   docker build --build-arg VERSION=0.2.0 --build-arg REVISION="$(git rev-parse HEAD)" -t hipaa-tenant-operator:0.2.0 .
#   docker build --build-arg BASE=gcr.io/distroless/static-debian12:nonroot -t hipaa-tenant-operator:0.2.0-distroless .
#   docker build --build-arg GOFIPS140=certified -t hipaa-tenant-operator:0.2.0-fips .
#
# `make image` makes the same without a container engine: the program is the same to the byte when commit, version and
# version of Go are, GO_VERSION=1.26.8 say.

# What the binary is laid on. Nothing is needed but a kernel; scanners like distroless for its package list.
ARG BASE=scratch
ARG GO_VERSION=1.26

FROM --platform=${BUILDPLATFORM} golang:${GO_VERSION} AS build
WORKDIR /src
# Modules first: a change of code then leaves them in the layer cache.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
# Shown by --version and in the log.
ARG VERSION
# The commit: .git is not in the context, so that nothing else of a clone gets into a layer.
ARG REVISION
# certified builds with Go's validated cryptographic module and turns FIPS 140-3 mode on; off uses the latest one.
ARG GOFIPS140=off
# grpcnotrace leaves gRPC's request tracing out: see the Makefile.
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} GOFIPS140=${GOFIPS140} \
    go build -trimpath -tags grpcnotrace -ldflags "-s -w -X github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo.release=${VERSION} -X github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo.revision=${REVISION}" -o /out/manager ./cmd/manager

FROM ${BASE}
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="hipaa-tenant-operator" \
      org.opencontainers.image.description="Isolated, region-bound, encrypted namespaces for healthcare customers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/manager /manager
# A number, so that runAsNonRoot can be checked without a password file.
USER 65532:65532
ENTRYPOINT ["/manager"]
