/** The status of pods: what they begin with, and what an update of it may change. */
import type { ContainerStatus, Pod } from '#types';
import { child, duplicate, type FieldError, forbidden, index, invalid } from '../../machinery/field.js';
import { validateIp } from '../../machinery/ip.js';
import * as names from '../../machinery/names.js';
import { checked, validateImmutable, validateQualifiedName } from '../../machinery/validation.js';
import { validateContainerStatuses } from './pod-container-status.js';
import { validateAnnotationUpdate } from './pod-update.js';
import { computeQosClass } from './podspec/qos.js';
import { validatePodAnnotations } from './podspec/validate-annotations.js';

/** Pending, with its QoS class, and the reason why the scheduler leaves a gated pod alone. */
export function initialStatus(pod: Pod): void {
  pod.status = { phase: 'Pending', qosClass: computeQosClass(pod) };
  if (pod.spec.schedulingGates?.length)
    pod.status.conditions = [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      },
    ];
}

/** The spec and the owners are kept; labels and annotations may change with the status. */
export function prepareStatusUpdate(pod: Pod, old: Pod): void {
  pod.spec = old.spec;
  if (old.metadata.ownerReferences) pod.metadata.ownerReferences = old.metadata.ownerReferences;
  else delete pod.metadata.ownerReferences;
  pod.status ??= {};
  pod.status.qosClass ||= old.status?.qosClass;
  pod.status.observedGeneration ||= old.status?.observedGeneration;
  const generations = new Map<string, (number | undefined)[]>();
  for (const condition of old.status?.conditions ?? [])
    generations.set(condition.type, [
      ...(generations.get(condition.type) ?? []),
      condition.observedGeneration,
    ]);
  for (const condition of pod.status.conditions ?? []) {
    const generation = generations.get(condition.type)?.shift();
    if (!condition.observedGeneration && generation) condition.observedGeneration = generation;
  }
}

export function validateStatusUpdate(pod: Pod, old: Pod): FieldError[] {
  const status = pod.status ?? {};
  const before = old.status ?? {};
  const errors = [
    ...validateAnnotationUpdate(pod, old),
    ...validatePodAnnotations(pod.metadata, pod.spec, 'metadata.annotations'),
  ];
  status.conditions?.forEach((condition, i) => {
    if (!['PodScheduled', 'Ready', 'Initialized'].includes(condition.type))
      errors.push(
        ...validateQualifiedName(condition.type ?? '', child(index('metadata.conditions', i), 'Type')),
      );
  });
  if (pod.spec.nodeName !== old.spec.nodeName)
    errors.push(forbidden('status.nodeName', 'may not be changed directly'));
  if (status.nominatedNodeName && status.nominatedNodeName !== before.nominatedNodeName)
    errors.push(...checked('status.nominatedNodeName', status.nominatedNodeName, names.dns1123Subdomain));
  errors.push(...validateImmutable(status.qosClass, before.qosClass, 'status.qosClass'));
  const policy = old.spec.restartPolicy ?? 'Always';
  const all = [...(old.spec.initContainers ?? []), ...(old.spec.containers ?? [])];
  const ofName = new Map(all.map((c) => [c.name, c]));
  // One that ends as such a rule says takes all others with it, whatever their own policies are.
  const anyMay = all.some((c) =>
    c.restartPolicyRules?.some(({ action }) => action === 'RestartAllContainers'),
  );
  const restartable = (s: ContainerStatus) => {
    const container = ofName.get(s.name);
    if (anyMay || container?.restartPolicyRules?.length) return true;
    return mayRestart(container?.restartPolicy ?? policy, s);
  };
  errors.push(
    ...validateTransitions(
      ...([status.containerStatuses, before.containerStatuses, 'containerStatuses'] as const),
      restartable,
    ),
    ...validateTransitions(
      ...([status.initContainerStatuses, before.initContainerStatuses, 'initContainerStatuses'] as const),
      restartable,
    ),
    ...validateTransitions(
      status.ephemeralContainerStatuses,
      before.ephemeralContainerStatuses,
      'ephemeralContainerStatuses',
      () => false,
    ),
    ...validateClaimStatuses(pod),
    ...validateIps(status.podIPs ?? [], 'status.podIPs'),
  );
  const hostIps = status.hostIPs ?? [];
  if (hostIps.length > 0 && status.hostIP !== hostIps[0]!.ip)
    errors.push(invalid('status.hostIPs[0].ip', hostIps[0]!.ip, 'must be equal to `hostIP`'));
  return [...errors, ...validateIps(hostIps, 'status.hostIPs'), ...validateContainerStatuses(pod)];
}

/** Of claims that the pod has. */
function validateClaimStatuses({ spec, status }: Pod): FieldError[] {
  const claims = status?.resourceClaimStatuses ?? [];
  return claims.flatMap(({ name, resourceClaimName }, i) => {
    const at = child(index('status.resourceClaimStatuses', i), 'name');
    const errors = (spec.resourceClaims ?? []).some((claim) => claim.name === name)
      ? []
      : [invalid(at, name, 'must match the name of an entry in `spec.resourceClaims`')];
    if (claims.findIndex((other) => other.name === name) < i) errors.push(duplicate(at, name));
    if (resourceClaimName !== undefined)
      errors.push(...checked(at, resourceClaimName, names.dns1123Subdomain));
    return errors;
  });
}

const mayRestart = (policy: string, status: ContainerStatus): boolean =>
  policy === 'Always' || (policy === 'OnFailure' && status.state?.terminated?.exitCode !== 0);

/** A container that has ended for good must stay so. */
function validateTransitions(
  now: ContainerStatus[] | undefined,
  old: ContainerStatus[] | undefined,
  list: string,
  restartable: (status: ContainerStatus) => boolean,
): FieldError[] {
  return (old ?? []).flatMap((before, i) => {
    if (!before.state?.terminated || restartable(before)) return [];
    const revived = (now ?? []).some((s) => s.name === before.name && !s.state?.terminated);
    const path = child(index(child('status', list), i), 'state');
    return revived ? [forbidden(path, 'may not be transitioned to non-terminated state')] : [];
  });
}

/** At most one address of each family. */
function validateIps(ips: { ip: string }[], path: string): FieldError[] {
  const errors = ips.flatMap((entry, i) => validateIp(entry.ip ?? '', index(path, i)));
  if (ips.length < 2) return errors;
  const six = ips.filter((entry) => entry.ip?.includes(':')).length;
  if (ips.length > 2 || six !== 1)
    errors.push(invalid(path, ips, 'may specify no more than one IP for each IP family'));
  ips.forEach((entry, i) => {
    if (ips.findIndex((other) => other.ip === entry.ip) < i) errors.push(duplicate(index(path, i), entry));
  });
  return errors;
}
