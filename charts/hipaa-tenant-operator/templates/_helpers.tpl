{{/* Names are fixed: a cluster has one operator, and its admission policies and roles have fixed names too. */}}
{{- define "hipaa-tenant-operator.name" -}}
hipaa-tenant-operator
{{- end }}

{{- define "hipaa-tenant-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hipaa-tenant-operator.name" . }}
{{- end }}

{{- define "hipaa-tenant-operator.labels" -}}
{{ include "hipaa-tenant-operator.selectorLabels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "hipaa-tenant-operator.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Where the network probe runs: the operator's default for its own namespace. */}}
{{- define "hipaa-tenant-operator.probeNamespace" -}}
{{ printf "%s-probe" .Release.Namespace }}
{{- end }}

{{/* Command line of the operator, as a YAML list. */}}
{{- define "hipaa-tenant-operator.args" -}}
{{- if eq (int .Values.metrics.port) 8081 }}
{{- fail "metrics.port must not be 8081: the probes are served there" }}
{{- end -}}
- --admission-policies={{ .Values.admissionPolicies }}
- --concurrency={{ int .Values.concurrency }}
- --metrics-bind-address={{ if .Values.metrics.enabled }}:{{ int .Values.metrics.port }}{{ else }}0{{ end }}
- --health-probe-bind-address=:8081
{{- include "hipaa-tenant-operator.vaultArgs" . }}
{{- with .Values.networkProbe }}{{/* not there when an upgrade reuses the values of a version before it */}}
{{- if .enabled }}
- --network-probe-interval={{ include "hipaa-tenant-operator.probeInterval" . }}
- --network-probe-image={{ include "hipaa-tenant-operator.image" $ }}
{{- end }}
{{- end }}
{{- if .Values.kmsPlugins.volume }}
- --kms-plugin-dir=/run/kms
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* The operator takes 0s for a probe that is off, and does not start with less than ten seconds. */}}
{{- define "hipaa-tenant-operator.probeInterval" -}}
{{- $interval := .interval | default "1h" }}
{{- $hours := regexFind "[0-9]+h" $interval | trimSuffix "h" | atoi }}
{{- $minutes := regexFind "[0-9]+m" $interval | trimSuffix "m" | atoi }}
{{- $seconds := regexFind "[0-9]+s" $interval | trimSuffix "s" | atoi }}
{{- if lt (add (mul 3600 $hours) (mul 60 $minutes) $seconds) 10 }}
{{- fail (printf "networkProbe.interval must be at least 10s, found %s: to turn the probe off, set networkProbe.enabled=false" $interval) }}
{{- end }}
{{- $interval }}
{{- end }}

{{/* Says what is missing here, where it is read, rather than in the log of a pod that does not start. */}}
{{- define "hipaa-tenant-operator.vaultArgs" -}}
{{- with .Values.vault }}
{{- if .address }}
{{- if and .kubernetesRole .tokenSecret.name }}
{{- fail "vault.kubernetesRole and vault.tokenSecret.name exclude each other: set one, which is how the operator logs in to Vault" }}
{{- end }}
{{- if not (or .kubernetesRole .tokenSecret.name) }}
{{- fail "vault.address is set, and no way to log in: set vault.kubernetesRole, or vault.tokenSecret.name" }}
{{- end }}
- --vault-address={{ .address }}
{{- if .namespace }}
- --vault-namespace={{ .namespace }}
{{- end }}
{{- if .caSecret.name }}
- --vault-ca-file=/etc/hipaa-tenant-operator/vault-ca/{{ .caSecret.key }}
{{- end }}
{{- if .tokenSecret.name }}
- --vault-token-file=/etc/hipaa-tenant-operator/vault-token/{{ .tokenSecret.key }}
{{- else }}
- --vault-kubernetes-role={{ .kubernetesRole }}
- --vault-kubernetes-mount={{ .kubernetesMount }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Port of vault.address: the one it names, or that of https. */}}
{{- define "hipaa-tenant-operator.vaultPort" -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" (urlParse .Values.vault.address).host) | default "443" }}
{{- end }}
