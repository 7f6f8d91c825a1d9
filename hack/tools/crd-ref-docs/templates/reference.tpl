{{- /* The whole of docs/api-reference.md. crd-ref-docs starts at gvList. */ -}}

{{- define "gvList" -}}
# API reference

<!-- Generated from the doc comments and markers in api/v1alpha1. Edit those. -->
{{ range $version := . }}
Group and version: `{{ $version.GroupVersionString }}`. All kinds are cluster-scoped.

{{ $version.Doc | trim }}

Kinds:
{{- range $version.SortedKinds }}
- {{ $version.TypeForKind . | markdownRenderTypeLink }}
{{- end }}

{{ range $version.SortedKinds }}{{ template "type" ($version.TypeForKind .) }}{{ end -}}
## Types

The parts of these kinds, in alphabetical order.

{{ range $version.SortedTypes }}{{ if not .GVK }}{{ template "type" . }}{{ end }}{{ end -}}
{{ end -}}
{{- end -}}

{{- define "type" -}}
{{- if markdownShouldRenderType . -}}
{{ if .GVK }}##{{ else }}###{{ end }} {{ .Name }}

{{ .Doc | replace "<" "&lt;" }}
{{ if .IsAlias }}
A {{ markdownRenderTypeLink .UnderlyingType }}.
{{- end }}
{{- if .References }}
Used by {{ range $i, $user := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $user }}{{ end }}.
{{ end -}}
{{- $cel := index .Markers "kubebuilder:validation:XValidation" -}}
{{- if or .Validation $cel }}
Rules:
{{- range .Validation }}
- {{ . }}
{{- end }}
{{- range $cel }}
- {{ .Message | default (printf "`%s`" .Rule) }}
{{- end }}
{{ end -}}
{{- if .Members }}
| Field | Type | Meaning | Rules |
| --- | --- | --- | --- |
{{- if .GVK }}
| `apiVersion` | string | `{{ .GVK.Group }}/{{ .GVK.Version }}` | |
| `kind` | string | `{{ .GVK.Kind }}` | |
{{- end }}
{{- range .Members }}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ if eq .Name "metadata" }}Standard object metadata.{{ else }}{{ template "cell" .Doc }}{{ end }} | {{ template "limits" . }} |
{{- end }}
{{ end -}}
{{- if .EnumValues }}
| Value | Meaning |
| --- | --- |
{{- range .EnumValues }}
| `{{ .Name }}` | {{ template "cell" .Doc }} |
{{- end }}
{{ end }}
{{ end -}}
{{- end -}}

{{- /* The rules of a field, in one table cell. Those of a type with fields of its own stand at that type. */ -}}
{{- define "limits" -}}
{{- $lines := list -}}
{{- range .Validation -}}
{{- if hasPrefix "Required" . }}{{ $lines = prepend $lines "required" }}
{{- else if not (hasPrefix "Optional" .) }}{{ $lines = append $lines . }}{{ end -}}
{{- end -}}
{{- if not .Type.Members -}}
{{- range index .Markers "kubebuilder:validation:XValidation" -}}
{{- $lines = append $lines (.Message | default (printf "`%s`" .Rule)) -}}
{{- end -}}
{{- end -}}
{{- $lines | join "<br>" | replace "|" "\\|" -}}
{{- end -}}

{{- define "cell" -}}
{{ . | replace "\n" " " | replace "|" "\\|" | replace "<" "&lt;" }}
{{- end -}}
