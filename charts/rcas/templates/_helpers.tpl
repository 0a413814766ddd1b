{{- define "rcas.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rcas.selector" -}}
app.kubernetes.io/name: rcas
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "rcas.labels" -}}
{{ include "rcas.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "rcas.account" -}}
{{- default (ternary (include "rcas.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "rcas.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- define "rcas.storeUrl" -}}
{{- required "store.url is required: s3://bucket or s3://bucket/prefix" .Values.store.url -}}
{{- end -}}

{{/* How a container reaches the store: env, envFrom, volumes and volumeMounts, the same for controller and trainings. */}}
{{- define "rcas.store" -}}
{{- $store := .Values.store -}}
{{- $ca := or $store.caBundle.configMap $store.caBundle.secret -}}
env:
  {{- range $name, $value := dict "AWS_ENDPOINT_URL_S3" $store.endpoint "AWS_REGION" $store.region "RCAS_S3_SSE" $store.sse "RCAS_S3_SSE_KMS_KEY_ID" $store.sseKmsKeyId }}
  {{- if $value }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- end }}
  {{- if ne $store.addressingStyle "auto" }}
  - name: RCAS_S3_ADDRESSING_STYLE
    value: {{ $store.addressingStyle }}
  {{- end }}
  {{- if $ca }}
  - name: AWS_CA_BUNDLE
    value: /etc/rcas/ca/{{ $store.caBundle.key }}
  {{- end }}
envFrom:
  {{- with $store.existingSecret }}
  - secretRef:
      name: {{ . }}
  {{- end }}
volumes:
  {{- if $ca }}
  - name: rcas-ca
    {{- if $store.caBundle.configMap }}
    configMap:
      name: {{ $store.caBundle.configMap }}
    {{- else }}
    secret:
      secretName: {{ $store.caBundle.secret }}
    {{- end }}
  {{- end }}
volumeMounts:
  {{- if $ca }}
  - name: rcas-ca
    mountPath: /etc/rcas/ca
    readOnly: true
  {{- end }}
{{- end -}}

{{/* The controller's file. */}}
{{- define "rcas.config" -}}
{{- $store := include "rcas.store" . | fromYaml -}}
{{- with .Values.store.trainerSecret }}{{ $_ := set $store "envFrom" (list (dict "secretRef" (dict "name" .))) }}{{ end -}}
{{- $pod := deepCopy .Values.trainer -}}
{{- if not $pod.image }}{{ $_ := set $pod "image" (printf "rcas-trainer:%s" .Chart.AppVersion) }}{{ end -}}
{{- range $field := list "env" "envFrom" "volumes" "volumeMounts" -}}
{{- $joined := concat (default (list) (get $store $field)) (default (list) (get $pod $field)) -}}
{{- if $joined }}{{ $_ := set $pod $field $joined }}{{ else }}{{ $_ := unset $pod $field }}{{ end -}}
{{- end -}}
{{- if and .Values.imagePullSecrets (not $pod.imagePullSecrets) }}{{ $_ := set $pod "imagePullSecrets" .Values.imagePullSecrets }}{{ end -}}
{{- if and .Values.serviceAccount.create (not $pod.serviceAccountName) -}}
{{- $_ := set $pod "serviceAccountName" (printf "%s-trainer" (include "rcas.account" .)) -}}
{{- end -}}
{{- if not $pod.resources }}{{ $_ := unset $pod "resources" }}{{ end -}}
store: {{ include "rcas.storeUrl" . }}
parallelism: {{ .Values.controller.parallelism }}
most_parallelism: {{ .Values.controller.mostParallelism }}
port: {{ .Values.service.port }}
{{- if .Values.page.enabled }}
{{- if eq (int .Values.page.port) (int .Values.service.port) }}{{ fail "page.port must differ from service.port" }}{{ end }}
page:
  port: {{ .Values.page.port }}
  hosts: {{ toJson (concat (list (printf "%s.%s.svc" (include "rcas.fullname" .) .Release.Namespace)) .Values.page.hosts) }}
{{- end }}
log_format: {{ .Values.controller.logFormat }}
allow:
  {{- toYaml .Values.allow | nindent 2 }}
pod:
  {{- toYaml $pod | nindent 2 }}
{{- end -}}

{{- define "rcas.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "rcas.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "rcas.egressToDns" -}}
- ports:
    {{- range .Values.networkPolicy.egress.dnsPorts }}
    - port: {{ . }}
      protocol: UDP
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{- define "rcas.egressToStore" -}}
- ports:
    - port: {{ .Values.networkPolicy.egress.storePort }}
  to:
    {{- range .Values.networkPolicy.egress.storeCidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
{{- end -}}
