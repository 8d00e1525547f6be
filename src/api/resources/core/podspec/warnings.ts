/** What is accepted in a pod or template but is hardly what was meant (upstream `pkg/api/pod/warnings.go`). */
import type {
  Container,
  ContainerPort,
  EphemeralContainer,
  LabelSelector,
  ObjectMeta,
  PersistentVolumeClaimSpec,
  PodSpec,
} from '#types';
import { child, index, key } from '../../../machinery/field.js';
import { ipWarnings } from '../../../machinery/ip.js';
import { canonicalQuantity, quantityMilli } from '../../../machinery/quantity.js';
import { visitContainers } from './containers.js';
import { overlapWarnings, volumeWarnings } from './volume-warnings.js';

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

/** Of requirements that nodes have labels which have other names now. */
export const termWarnings = (expressions: { key: string }[] | undefined, path: string): string[] =>
  (expressions ?? []).flatMap(({ key: name }, i) =>
    NODE_LABELS[name] ? [`${child(index(path, i), 'key')}: ${name} is ${NODE_LABELS[name]}`] : [],
  );

export const nodeLabelWarnings = (labels: Record<string, string> | undefined, path: string): string[] =>
  Object.keys(labels ?? {})
    .filter((name) => NODE_LABELS[name])
    .map((name) => `${key(path, name)}: ${NODE_LABELS[name]}`);

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
    const where = index(child(at, 'volumes'), i);
    warnings.push(...volumeWarnings(volume, where));
    const claim = volume.ephemeral?.volumeClaimTemplate;
    if (claim)
      warnings.push(...claimWarnings(claim.spec, child(where, 'ephemeral', 'volumeClaimTemplate', 'spec')));
  });
  warnings.push(...overlapWarnings(spec.volumes));
  warnings.push(...entryWarnings(spec, at), ...fractionWarnings(spec.overhead, BYTES, child(at, 'overhead')));
  warnings.push(...profileWarnings(spec, meta?.annotations ?? {}, path));
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

const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
const APPARMOR_CONTAINER = 'container.apparmor.security.beta.kubernetes.io/';

/** Annotations that were there before there were fields, where the field is not set. */
function profileWarnings(spec: PodSpec, annotations: Record<string, string>, path: string): string[] {
  const warnings: string[] = [];
  const warn = (name: string, since: string, field: string) => {
    if (annotations[name] !== undefined)
      warnings.push(
        `${key(child(path, 'metadata', 'annotations'), name)}: ${since}; use the \\"${field}\\" field instead`,
      );
  };
  const context = spec.securityContext;
  if (!context?.seccompProfile) warn(SECCOMP_POD, 'non-functional in v1.27+', 'seccompProfile');
  visitContainers(spec, '', ({ name, securityContext }) => {
    if (!securityContext?.seccompProfile)
      warn(`${SECCOMP_CONTAINER}${name}`, 'non-functional in v1.27+', 'seccompProfile');
    // A pod's own annotation sets its field.
    if (path !== '' && !context?.appArmorProfile && !securityContext?.appArmorProfile)
      warn(`${APPARMOR_CONTAINER}${name}`, 'deprecated since v1.30', 'appArmorProfile');
  });
  return warnings;
}

function placementWarnings(spec: PodSpec, path: string): string[] {
  const warnings = nodeLabelWarnings(spec.nodeSelector, child(path, 'nodeSelector'));
  const node = spec.affinity?.nodeAffinity;
  const at = child(path, 'affinity', 'nodeAffinity');
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  node?.[required]?.nodeSelectorTerms?.forEach((term, i) => {
    const where = index(child(at, required, 'nodeSelectorTerms'), i);
    warnings.push(...termWarnings(term.matchExpressions, child(where, 'matchExpressions')));
  });
  node?.[preferred]?.forEach((term, i) => {
    const where = child(index(child(at, preferred), i), 'preference', 'matchExpressions');
    warnings.push(...termWarnings(term.preference?.matchExpressions, where));
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

/** Entries of lists that patches merge by a key which they repeat, and addresses in uncommon forms. */
function entryWarnings(spec: PodSpec, path: string): string[] {
  const warnings: string[] = [];
  const ips = new Set<string>();
  spec.hostAliases?.forEach((alias, i) => {
    const at = child(index(child(path, 'hostAliases'), i), 'ip');
    warnings.push(...ipWarnings(alias.ip, at));
    if (ips.has(alias.ip)) warnings.push(`${at}: duplicate ip ${JSON.stringify(alias.ip)}`);
    ips.add(alias.ip);
  });
  spec.dnsConfig?.nameservers?.forEach((server, i) => {
    warnings.push(...ipWarnings(server, index(child(path, 'dnsConfig', 'nameservers'), i)));
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

/** Of the spec of a claim or of a template of one. */
export const claimWarnings = ({ resources }: PersistentVolumeClaimSpec, path: string): string[] =>
  (['requests', 'limits'] as const).flatMap((list) =>
    fractionWarnings(resources?.[list], ['storage'], child(path, 'resources', list)),
  );

/** Bytes come whole: of the resources `names`, which are counted in bytes. */
function fractionWarnings(list: Record<string, string> | undefined, names: string[], path: string): string[] {
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
      if (port.hostIP && !port.hostPort)
        warnings.push(
          `${at}: hostIP set without hostPort: {Name:${port.name ?? ''} HostPort:0 ContainerPort:${port.containerPort} Protocol:${port.protocol} HostIP:${port.hostIP}}`,
        );
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
