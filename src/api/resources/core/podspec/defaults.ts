/** Defaults of pods and pod templates (upstream `pkg/apis/core/v1/defaults.go`). */
import type {
  Container,
  EnvVar,
  EphemeralContainer,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  Volume,
} from '#types';
import { dropUnset } from '../../unset.js';
import { visitContainers } from './containers.js';
import { defaultPullPolicy } from './image.js';
import { defaultPodLevelResources } from './pod-level-resources.js';

const READ_ONLY_MODE = 0o644;

/** A pod's own defaults, on top of those of its spec. */
export function defaultPod(pod: Pod): void {
  pod.spec ??= { containers: [] };
  const spec = pod.spec;
  defaultPodSpec(spec);
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    const limits = container.resources?.limits;
    if (limits && Object.keys(limits).length > 0)
      container.resources!.requests = { ...limits, ...container.resources!.requests };
  }
  defaultPodLevelResources(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork)
    for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])])
      for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
  defaultPodIps(pod);
}

/** `podIP` and `podIPs` are two forms of one list; the singular one wins where they differ. */
function defaultPodIps(pod: Pod): void {
  const status = pod.status;
  if (!status) return;
  dropUnset(status, POD_STATUS_VALUES);
  if (status.podIP && status.podIPs?.[0]?.ip !== status.podIP) status.podIPs = [{ ip: status.podIP }];
  else if (!status.podIP && status.podIPs?.[0]?.ip) status.podIP = status.podIPs[0].ip;
}

export function defaultPodTemplate(template: PodTemplateSpec): void {
  template.metadata ??= {} as PodTemplateSpec['metadata'];
  template.spec ??= { containers: [] };
  defaultPodSpec(template.spec);
}

function defaultPodSpec(spec: PodSpec): void {
  dropUnset(spec, POD_SPEC_VALUES);
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  syncServiceAccount(spec);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  visitContainers(spec, 'spec', (container) => defaultContainer(container));
}

/** Keeps the deprecated alias `serviceAccount` equal to `serviceAccountName`. */
function syncServiceAccount(spec: PodSpec): void {
  spec.serviceAccountName ||= spec.serviceAccount;
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else {
    delete spec.serviceAccountName;
    delete spec.serviceAccount;
  }
}

const POD_SPEC_VALUES = [
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'nodeName',
  'hostname',
  'subdomain',
  'priorityClassName',
] as const;

const POD_STATUS_VALUES = [
  'phase',
  'reason',
  'message',
  'hostIP',
  'podIP',
  'nominatedNodeName',
  'observedGeneration',
] as const;

const CONTAINER_VALUES = ['stdin', 'stdinOnce', 'tty', 'workingDir'] as const;

function defaultContainer(container: Container | EphemeralContainer): void {
  dropUnset(container, CONTAINER_VALUES);
  container.imagePullPolicy ||= defaultPullPolicy(container.image);
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  // A struct and no pointer in Go: always there on output.
  container.resources ??= {};
  for (const port of container.ports ?? []) {
    port.protocol ||= 'TCP';
    dropUnset(port, ['hostPort', 'hostIP', 'name']);
  }
  for (const mount of container.volumeMounts ?? []) dropUnset(mount, ['readOnly', 'subPath', 'subPathExpr']);
  for (const variable of container.env ?? []) defaultEnv(variable);
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const)
    if (container[name]) defaultProbe(container[name]);
  for (const hook of ['postStart', 'preStop'] as const)
    if (container.lifecycle?.[hook]?.httpGet) defaultHttpGet(container.lifecycle[hook].httpGet);
}

function defaultEnv(variable: EnvVar): void {
  dropUnset(variable, ['value']);
  const source = variable.valueFrom;
  if (source?.fieldRef) source.fieldRef.apiVersion ||= 'v1';
  if (source?.resourceFieldRef) source.resourceFieldRef.divisor ||= '0';
  if (source?.fileKeyRef) source.fileKeyRef.optional ??= false;
}

function defaultProbe(probe: Probe): void {
  dropUnset(probe, ['initialDelaySeconds']);
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet) defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function defaultHttpGet(action: { path?: string; scheme?: string }): void {
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

function defaultVolume(volume: Volume): void {
  const sources = Object.keys(volume).filter((k) => k !== 'name' && (volume as any)[k] != null);
  if (sources.length === 0) volume.emptyDir = {};
  if (volume.secret) volume.secret.defaultMode ??= READ_ONLY_MODE;
  if (volume.configMap) volume.configMap.defaultMode ??= READ_ONLY_MODE;
  if (volume.image) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference);
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= READ_ONLY_MODE;
    for (const item of volume.downwardAPI.items ?? []) defaultDownwardItem(item);
  }
  if (volume.projected) {
    volume.projected.defaultMode ??= READ_ONLY_MODE;
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600;
      for (const item of source.downwardAPI?.items ?? []) defaultDownwardItem(item);
    }
  }
  defaultVolumeSource(volume);
  const claim = volume.ephemeral?.volumeClaimTemplate?.spec;
  if (claim) claim.volumeMode ??= 'Filesystem';
}

type SharedSources = Pick<Volume, 'hostPath' | 'iscsi' | 'azureDisk'> & {
  rbd?: { pool?: string; user?: string; keyring?: string };
  scaleIO?: { storageMode?: string; fsType?: string };
};

/** Of the sources that PersistentVolumes have as well. */
export function defaultVolumeSource(source: SharedSources): void {
  if (source.hostPath) source.hostPath.type ??= '';
  if (source.iscsi) source.iscsi.iscsiInterface ||= 'default';
  if (source.rbd) {
    source.rbd.pool ||= 'rbd';
    source.rbd.user ||= 'admin';
    source.rbd.keyring ||= '/etc/ceph/keyring';
  }
  if (source.scaleIO) {
    source.scaleIO.storageMode ||= 'ThinProvisioned';
    source.scaleIO.fsType ||= 'xfs';
  }
  if (source.azureDisk) {
    source.azureDisk.cachingMode ??= 'ReadWrite';
    source.azureDisk.kind ??= 'Shared';
    source.azureDisk.fsType ??= 'ext4';
    source.azureDisk.readOnly ??= false;
  }
}

function defaultDownwardItem(item: {
  fieldRef?: { apiVersion?: string };
  resourceFieldRef?: { divisor?: string };
}) {
  if (item.fieldRef) item.fieldRef.apiVersion ||= 'v1';
  if (item.resourceFieldRef) item.resourceFieldRef.divisor ||= '0';
}

/** Tolerations that every pod gets, so that it survives a short outage of its node (admission adds them). */
export function addDefaultTolerations(pod: Pod, seconds = 300): void {
  const tolerations = pod.spec.tolerations ?? [];
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const tolerated = tolerations.some(
      (t) => (!t.key || t.key === key) && (!t.effect || t.effect === 'NoExecute'),
    );
    if (!tolerated)
      tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds });
  }
  pod.spec.tolerations = tolerations;
}
