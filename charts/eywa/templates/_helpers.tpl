{{- define "eywa.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything in the chart. Takes (dict "root" $ "component" "operator"). */}}
{{- define "eywa.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: eywa
{{ include "eywa.selector" . }}
{{- end -}}

{{/* The labels that select pods, and so never change. */}}
{{- define "eywa.selector" -}}
app.kubernetes.io/name: eywa-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* What Pod Security's restricted level asks of a container, and a read-only root file system. */}}
{{- define "eywa.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* "true" when Spirits without stores have a Redis to use. */}}
{{- define "eywa.hasRedis" -}}
{{- if and .Values.redis.enabled .Values.redis.urlSecretRef.name -}}
{{- fail "redis: set either redis.enabled or redis.urlSecretRef.name, not both" -}}
{{- end -}}
{{- if or .Values.redis.enabled .Values.redis.urlSecretRef.name -}}true{{- end -}}
{{- end -}}

{{/* The Secret, in the release's namespace, that holds that Redis' URL. */}}
{{- define "eywa.redisSecret" -}}
{{- if .Values.redis.enabled -}}{{ include "eywa.name" . }}-redis{{- else -}}{{ .Values.redis.urlSecretRef.name }}{{- end -}}
{{- end -}}

{{- define "eywa.redisKey" -}}
{{- if .Values.redis.enabled -}}url{{- else -}}{{ .Values.redis.urlSecretRef.key }}{{- end -}}
{{- end -}}

{{/*
What the operator may do in a namespace that it watches. It may hand a runtime only what it may do itself, so the
rights of the runtime's Role are among these.
*/}}
{{- define "eywa.operatorRules" -}}
- apiGroups: [eywa.dev]
  resources: [spirits, conduits, vigils, rites]
  verbs: [get, list, watch]
- apiGroups: [eywa.dev]
  resources: [spirits/status, conduits/status, vigils/status]
  verbs: [patch]
# Handed to the runtime of a Spirit.
- apiGroups: [eywa.dev]
  resources: [vigils]
  verbs: [create, patch, delete]
- apiGroups: [eywa.dev]
  resources: [rites]
  verbs: [create, delete]
- apiGroups: [eywa.dev]
  resources: [rites/status]
  verbs: [patch]
# What Spirits refer to: watched for changes, read for compiling.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{- if include "eywa.hasRedis" . }}
# The copy of the Redis URL for Spirits without stores.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, patch, delete]
{{- end }}
# The children of Spirits and Conduits.
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# What a Job's pods reported when they ended.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/*
What whoever may read conversations has in a namespace: the kinds, and the way to the desk that `kubectl eywa` takes.
*/}}
{{- define "eywa.viewerRules" -}}
- apiGroups: [eywa.dev]
  resources: [spirits, conduits, vigils, rites]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
- apiGroups: [""]
  resources: [pods/portforward]
  verbs: [get, create]
{{- end -}}
