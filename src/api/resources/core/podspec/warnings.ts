/** What is accepted in a pod or template but is hardly what was meant (upstream `pkg/api/pod/warnings.go`). */
import type {
  Container,
  ContainerPort,
  EphemeralContainer,
  LabelSelector,
  NodeSelectorTerm,
  ObjectMeta,
  PodSpec,
} from '#types';
import { child, index, key } from '../../../machinery/field.js';
import { canonicalQuantity, quantityMilli } from '../../../machinery/quantity.js';
import { visitContainers } from './containers.js';

const ANNOTATIONS: Record<string, string> = {
  'scheduler.alpha.kubernetes.io/critical-pod':
    'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};

const NODE_LABELS: Record<string, string> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region':
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone':
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type':
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const VOLUMES: Record<string, string> = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

/** Of the source of a pod's volume or a PersistentVolume. */
export const volumeWarnings = (volume: object, path: string): string[] =>
  Object.entries(VOLUMES)
    .filter(([kind]) => (volume as Record<string, unknown>)[kind])
    .map(([kind, text]) => `${child(path, kind)}: ${text}`);

/** Of a node selector's term. */
export const termWarnings = (term: NodeSelectorTerm | undefined, path: string): string[] =>
  (term?.matchExpressions ?? []).flatMap((r, i) =>
    NODE_LABELS[r.key]
      ? [`${child(index(child(path, 'matchExpressions'), i), 'key')}: ${r.key} is ${NODE_LABELS[r.key]}`]
      : [],
  );

/** `path` is '' for a pod, and the template's path otherwise. */
export function podSpecWarnings(
  spec: PodSpec,
  meta: Pick<ObjectMeta, 'annotations'> | undefined,
  path: string,
): string[] {
  const at = child(path, 'spec');
  const warnings = [...placementWarnings(spec, at)];
  for (const [name, text] of Object.entries(ANNOTATIONS))
    if (meta?.annotations?.[name] !== undefined)
      warnings.push(`${key(child(path, 'metadata', 'annotations'), name)}: ${text}`);
  spec.volumes?.forEach((volume, i) => {
    warnings.push(...volumeWarnings(volume, index(child(at, 'volumes'), i)));
  });
  warnings.push(...duplicates(spec, at), ...fractionWarnings(spec.overhead, BYTES, child(at, 'overhead')));
  visitContainers(spec, at, (container, where) => {
    for (const list of ['limits', 'requests'] as const)
      warnings.push(...fractionWarnings(container.resources?.[list], BYTES, child(where, 'resources', list)));
    warnings.push(...hiddenVariables(container, child(where, 'env')));
  });
  warnings.push(...portWarnings(spec, at));
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    warnings.push(
      `${child(at, 'terminationGracePeriodSeconds')}: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  return [...warnings, ...affinityWarnings(spec, at)];
}

function placementWarnings(spec: PodSpec, path: string): string[] {
  const warnings: string[] = [];
  for (const name in spec.nodeSelector)
    if (NODE_LABELS[name]) warnings.push(`${key(child(path, 'nodeSelector'), name)}: ${NODE_LABELS[name]}`);
  const node = spec.affinity?.nodeAffinity;
  const at = child(path, 'affinity', 'nodeAffinity');
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  node?.[required]?.nodeSelectorTerms?.forEach((term, i) => {
    warnings.push(...termWarnings(term, index(child(at, required, 'nodeSelectorTerms'), i)));
  });
  node?.[preferred]?.forEach((term, i) => {
    warnings.push(...termWarnings(term.preference, child(index(child(at, preferred), i), 'preference')));
  });
  spec.topologySpreadConstraints?.forEach((constraint, i) => {
    const where = index(child(path, 'topologySpreadConstraints'), i);
    const text = NODE_LABELS[constraint.topologyKey];
    if (text) warnings.push(`${child(where, 'topologyKey')}: ${constraint.topologyKey} is ${text}`);
    warnings.push(...nullSelector(constraint.labelSelector, child(where, 'labelSelector')));
  });
  return warnings;
}

const nullSelector = (selector: LabelSelector | undefined, path: string): string[] =>
  selector ? [] : [`${path}: a null labelSelector results in matching no pod`];

function affinityWarnings(spec: PodSpec, path: string): string[] {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  return (['podAffinity', 'podAntiAffinity'] as const).flatMap((kind) => {
    const at = child(path, 'affinity', kind);
    const terms = spec.affinity?.[kind];
    return [
      ...(terms?.[required] ?? []).flatMap((term, i) =>
        nullSelector(term.labelSelector, child(index(child(at, required), i), 'labelSelector')),
      ),
      ...(terms?.[preferred] ?? []).flatMap((term, i) =>
        nullSelector(
          term.podAffinityTerm?.labelSelector,
          child(index(child(at, preferred), i), 'podAffinityTerm', 'labelSelector'),
        ),
      ),
    ];
  });
}

/** Entries of lists that patches merge by a key which they repeat. */
function duplicates(spec: PodSpec, path: string): string[] {
  const warnings: string[] = [];
  const ips = new Set<string>();
  spec.hostAliases?.forEach((alias, i) => {
    const at = child(index(child(path, 'hostAliases'), i), 'ip');
    if (ips.has(alias.ip)) warnings.push(`${at}: duplicate ip ${JSON.stringify(alias.ip)}`);
    ips.add(alias.ip);
  });
  const secrets = new Set<string>();
  spec.imagePullSecrets?.forEach((secret, i) => {
    const name = secret.name ?? '';
    const at = child(index(child(path, 'imagePullSecrets'), i), 'name');
    if (secrets.has(name)) warnings.push(`${at}: duplicate name ${JSON.stringify(name)}`);
    secrets.add(name);
    if (name === '') warnings.push(`${at}: invalid empty name ""`);
  });
  return warnings;
}

const BYTES = ['memory', 'ephemeral-storage'];

/** Bytes come whole: of the resources `names`, which are counted in bytes. */
export function fractionWarnings(
  list: Record<string, string> | undefined,
  names: string[],
  path: string,
): string[] {
  return names.flatMap((name) => {
    const quantity = list?.[name];
    if (quantity === undefined || quantityMilli(quantity) % 1000 === 0) return [];
    const text = JSON.stringify(canonicalQuantity(quantity));
    return [`${key(path, name)}: fractional byte value ${text} is invalid, must be an integer`];
  });
}

function hiddenVariables(container: Container | EphemeralContainer, path: string): string[] {
  const seen = new Set<string>();
  return (container.env ?? []).flatMap((variable, i) => {
    if (!seen.has(variable.name)) {
      seen.add(variable.name);
      return [];
    }
    const reference = `$(${variable.name})`;
    const value = variable.value ?? '';
    const extends_ = !variable.valueFrom && value !== reference && value.includes(reference);
    return extends_
      ? []
      : [
          `${index(path, i)}: hides previous definition of ${JSON.stringify(variable.name)}, which may be dropped when using apply`,
        ];
  });
}

function portWarnings(spec: PodSpec, path: string): string[] {
  const warnings: string[] = [];
  const seen = new Map<string, { path: string; port: ContainerPort }[]>();
  visitContainers(spec, path, (container, where) => {
    container.ports?.forEach((port, i) => {
      const at = index(child(where, 'ports'), i);
      const id = `${port.containerPort}/${port.protocol}`;
      const others = seen.get(id) ?? [];
      for (const other of others) {
        const clash = portClash(port, other.port);
        if (clash) warnings.push(`${at}: ${clash} port definition with ${other.path}`);
      }
      seen.set(id, [...others, { path: at, port }]);
    });
  });
  return warnings;
}

function portClash(a: ContainerPort, b: ContainerPort): string | undefined {
  const [hostA, hostB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  const [ipA, ipB] = [a.hostIP ?? '', b.hostIP ?? ''];
  if (ipA === ipB && hostA === hostB) return 'duplicate';
  if (hostA === 0 || hostB === 0) return 'overlapping';
  return hostA === hostB && (ipA === '') !== (ipB === '') ? 'dangerously ambiguous' : undefined;
}
