/** Validation of a whole pod spec, in pods and in templates (upstream `ValidatePodSpec`). */
import type { ObjectMeta, PodDNSConfig, PodResourceClaim, PodSpec, PodTemplateSpec } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../../machinery/field.js';
import { validateIp } from '../../../machinery/ip.js';
import * as names from '../../../machinery/names.js';
import {
  checked,
  validateAnnotations,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateLabels,
  validateQualifiedName,
} from '../../../machinery/validation.js';
import { validateAffinity } from './validate-affinity.js';
import { validatePodAnnotations } from './validate-annotations.js';
import {
  type PodContext,
  validateContainers,
  validateEphemeralContainers,
  validateInitContainers,
} from './validate-containers.js';
import { validateOverhead, validatePodResources } from './validate-resources.js';
import {
  validateSchedulingGates,
  validateTolerations,
  validateTopologySpread,
} from './validate-scheduling.js';
import { validatePodSecurityContext } from './validate-security.js';
import { validateVolumes } from './validate-volumes.js';
import { validateHostProcess, validateOs } from './validate-windows.js';

const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const MAX_INT32 = 2 ** 31 - 1;

/** All errors of a spec; `meta` is that of the pod, and absent for a template. */
export function validatePodSpec(spec: PodSpec, path: string, meta?: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  const at = (...fields: string[]) => child(path, ...fields);
  if (spec.terminationGracePeriodSeconds === undefined)
    errors.push(required(at('terminationGracePeriodSeconds')));
  const { volumes, errors: volumeErrors } = validateVolumes(spec.volumes, meta, at('volumes'));
  const claims = new Set((spec.resourceClaims ?? []).map((c) => c.name).filter(Boolean));
  const context: PodContext = { spec, volumes, claims, isPod: meta !== undefined };
  errors.push(
    ...volumeErrors,
    ...validateResourceClaims(spec.resourceClaims, at('resourceClaims')),
    ...validateContainers(context, at('containers')),
    ...validateInitContainers(context, at('initContainers')),
    ...validateEphemeralContainers(context, at('ephemeralContainers')),
    ...validatePodResources(spec, claims, at('resources')),
    ...validateHostNetworkPorts(spec, at('containers'), meta !== undefined),
    ...oneOf(spec.restartPolicy, ['Always', 'OnFailure', 'Never'], at('restartPolicy')),
    ...oneOf(spec.dnsPolicy, DNS_POLICIES, at('dnsPolicy')),
    ...validateLabels(spec.nodeSelector, at('nodeSelector')),
    ...validatePodSecurityContext(spec, at('securityContext')),
    ...validateAffinity(spec.affinity, at('affinity')),
    ...validateDnsConfig(spec.dnsConfig, spec.dnsPolicy, at('dnsConfig')),
    ...(spec.readinessGates ?? []).flatMap((gate, i) =>
      validateQualifiedName(gate.conditionType ?? '', child(index(at('readinessGates'), i), 'conditionType')),
    ),
    ...validateSchedulingGates(spec.schedulingGates, at('schedulingGates')),
    ...validateTopologySpread(spec.topologySpreadConstraints, at('topologySpreadConstraints')),
    ...validateHostProcess(spec, path),
    ...validateHostUsers(spec, path),
    ...validateScalars(spec, path),
    ...validateTolerations(spec.tolerations, at('tolerations')),
    ...validateHostAliases(spec, at('hostAliases')),
  );
  if (spec.overhead) errors.push(...validateOverhead(spec.overhead, at('overhead')));
  return [...errors, ...validateOs(spec, path)];
}

/** A pod template: labels, annotations and spec. */
export function validatePodTemplate(template: PodTemplateSpec, path: string): FieldError[] {
  const spec = template.spec ?? { containers: [] };
  const annotations = child(path, 'annotations');
  const errors = [
    ...validateLabels(template.metadata?.labels, child(path, 'labels')),
    ...validateAnnotations(template.metadata?.annotations, annotations),
    ...validatePodAnnotations(template.metadata, spec, annotations),
    ...validatePodSpec(spec, child(path, 'spec')),
  ];
  if (spec.ephemeralContainers?.length)
    errors.push(
      forbidden(
        child(path, 'spec', 'ephemeralContainers'),
        'ephemeral containers not allowed in pod template',
      ),
    );
  return errors;
}

/** The field must be set (defaults see to it), and to one of these. */
function oneOf(value: string | undefined, supported: string[], path: string): FieldError[] {
  if (!value) return [required(path)];
  return supported.includes(value) ? [] : [notSupported(path, value, supported)];
}

function validateScalars(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['serviceAccountName', 'nodeName'] as const)
    if (spec[field]) errors.push(...validateDns1123Subdomain(spec[field], child(path, field)));
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > MAX_INT32))
    errors.push(invalid(child(path, 'activeDeadlineSeconds'), deadline, names.inclusiveRange(1, MAX_INT32)));
  for (const field of ['hostname', 'subdomain'] as const)
    if (spec[field]) errors.push(...validateDns1123Label(spec[field], child(path, field)));
  if (spec.hostnameOverride) errors.push(...validateHostnameOverride(spec, child(path, 'hostnameOverride')));
  for (const field of ['priorityClassName', 'runtimeClassName'] as const)
    if (spec[field] !== undefined && spec[field] !== '')
      errors.push(...validateDns1123Subdomain(spec[field], child(path, field)));
  if (spec.runtimeClassName === '')
    errors.push(...validateDns1123Subdomain('', child(path, 'runtimeClassName')));
  if (spec.preemptionPolicy !== undefined)
    errors.push(
      ...oneOf(spec.preemptionPolicy, ['PreemptLowerPriority', 'Never'], child(path, 'preemptionPolicy')),
    );
  return errors;
}

function validateHostnameOverride(spec: PodSpec, path: string): FieldError[] {
  const errors = validateDns1123Subdomain(spec.hostnameOverride!, path);
  if (spec.hostnameOverride!.length > 64)
    errors.push({
      type: 'FieldValueTooLong',
      field: path,
      message: 'Too long: may not be more than 64 bytes',
    });
  if (spec.setHostnameAsFQDN) errors.push(forbidden(path, 'when `setHostnameAsFQDN` is set to true'));
  if (spec.hostNetwork) errors.push(forbidden(path, 'when `hostNetwork` is set to true'));
  return errors;
}

function validateHostNetworkPorts(spec: PodSpec, path: string, isPod: boolean): FieldError[] {
  if (!spec.hostNetwork) return [];
  return (spec.containers ?? []).flatMap((container, i) =>
    (container.ports ?? []).flatMap((port, j) => {
      const host = port.hostPort ?? 0;
      if ((!isPod && host === 0) || host === port.containerPort) return [];
      const at = child(index(child(index(path, i), 'ports'), j), 'hostPort');
      return [invalid(at, host, 'must match `containerPort` when `hostNetwork` is true')];
    }),
  );
}

/** A user namespace of its own (KEP-127) excludes the host's other namespaces. */
function validateHostUsers(spec: PodSpec, path: string): FieldError[] {
  if (spec.hostUsers !== false) return [];
  return (['hostNetwork', 'hostPID', 'hostIPC'] as const)
    .filter((field) => spec[field])
    .map((field) => {
      const name = field === 'hostNetwork' ? field : field.replace('host', 'Host');
      return forbidden(child(path, name), 'when `pod.Spec.HostUsers` is false');
    });
}

function validateHostAliases(spec: PodSpec, path: string): FieldError[] {
  return (spec.hostAliases ?? []).flatMap((alias, i) => [
    ...validateIp(alias.ip ?? '', child(index(path, i), 'ip')),
    ...(alias.hostnames ?? []).flatMap((name, j) =>
      validateDns1123Subdomain(name, index(child(index(path, i), 'hostnames'), j)),
    ),
  ]);
}

function validateDnsConfig(
  config: PodDNSConfig | undefined,
  policy: string | undefined,
  path: string,
): FieldError[] {
  const nameservers = child(path, 'nameservers');
  const searches = child(path, 'searches');
  if (policy === 'None') {
    if (!config) return [required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (!config.nameservers?.length)
      return [required(nameservers, 'must provide at least one DNS nameserver when `dnsPolicy` is None')];
  }
  if (!config) return [];
  const errors: FieldError[] = [];
  const servers = config.nameservers ?? [];
  const search = config.searches ?? [];
  if (servers.length > 3) errors.push(invalid(nameservers, servers, 'must not have more than 3 nameservers'));
  servers.forEach((server, i) => {
    errors.push(...validateIp(server, index(nameservers, i)));
  });
  if (search.length > 32) errors.push(invalid(searches, search, 'must not have more than 32 search paths'));
  if (search.join(' ').length > 2048)
    errors.push(
      invalid(
        searches,
        search,
        'must not have more than 2048 characters (including spaces) in the search list',
      ),
    );
  search.forEach((domain, i) => {
    if (domain !== '.')
      errors.push(
        ...checked(index(searches, i), domain.replace(/\.$/, ''), names.dns1123SubdomainWithUnderscore),
      );
  });
  config.options?.forEach((option, i) => {
    if (!option.name) errors.push(required(index(child(path, 'options'), i), 'must not be empty'));
  });
  return errors;
}

function validateResourceClaims(claims: PodResourceClaim[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>();
  return (claims ?? []).flatMap((claim, i) => {
    const at = index(path, i);
    const name = child(at, 'name');
    const errors: FieldError[] = [];
    if (!claim.name) errors.push(required(name));
    else if (seen.has(claim.name)) errors.push(duplicate(name, claim.name));
    else errors.push(...validateDns1123Label(claim.name, name));
    seen.add(claim.name);
    const sources = (['resourceClaimName', 'resourceClaimTemplateName'] as const).filter(
      (field) => claim[field] !== undefined,
    );
    if (sources.length === 2)
      errors.push(
        invalid(
          at,
          claim,
          'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified',
        ),
      );
    if (sources.length === 0)
      errors.push(
        invalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'),
      );
    for (const field of sources) errors.push(...validateDns1123Subdomain(claim[field]!, child(at, field)));
    return errors;
  });
}
