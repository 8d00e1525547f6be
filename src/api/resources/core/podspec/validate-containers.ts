/** Validation of the init, regular and ephemeral containers of a pod. */
import type { Container, ContainerPort, ContainerResizePolicy, EphemeralContainer, PodSpec } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notFound,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked, validateDns1123Label } from '../../../machinery/validation.js';
import { isRestartableInit } from './containers.js';
import { validateEnv, validateEnvFrom } from './validate-env.js';
import { validateLifecycle, validateProbe } from './validate-handlers.js';
import { type Volumes, validateDevices, validateMounts } from './validate-mounts.js';
import { validateContainerResources } from './validate-resources.js';
import { validateSecurityContext } from './validate-security.js';

export const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** What the checks of a container need to know of its pod. */
export interface PodContext {
  spec: PodSpec;
  volumes: Volumes;
  /** Names of `spec.resourceClaims`. */
  claims: Set<string>;
  /** A pod itself, not a template. */
  isPod: boolean;
}

const oneOf = (value: string | undefined, supported: string[], path: string): FieldError[] =>
  supported.includes(value ?? '') ? [] : [notSupported(path, value ?? '', supported)];

const requiredOneOf = (value: string | undefined, supported: string[], path: string): FieldError[] => {
  if (!value) return [required(path)];
  return supported.includes(value) ? [] : [notSupported(path, value, supported)];
};

export function validateContainers(context: PodContext, path: string): FieldError[] {
  const containers = context.spec.containers ?? [];
  if (containers.length === 0) return [required(path)];
  const seen = new Set<string>();
  const errors = containers.flatMap((container, i) => {
    const at = index(path, i);
    const own = validateCommon(container, context, at);
    if (seen.has(container.name)) own.push(duplicate(child(at, 'name'), container.name));
    seen.add(container.name);
    own.push(...validateHooks(container, context, at));
    own.push(...validateRestartRules(container, at));
    return own;
  });
  return [...errors, ...validateHostPorts(containers, path)];
}

export function validateInitContainers(context: PodContext, path: string): FieldError[] {
  const seen = new Set((context.spec.containers ?? []).map((c) => c.name));
  return (context.spec.initContainers ?? []).flatMap((container, i) => {
    const at = index(path, i);
    const errors = validateCommon(container, context, at);
    errors.push(...validateRestartRules(container, at));
    if (seen.has(container.name)) errors.push(duplicate(child(at, 'name'), container.name));
    else if (container.name) seen.add(container.name);
    errors.push(...validateHostPorts([container], path));
    if (isRestartableInit(container)) return [...errors, ...validateHooks(container, context, at)];
    for (const field of ['lifecycle', ...PROBES] as const)
      if (container[field])
        errors.push(
          forbidden(child(at, field), 'may not be set for init containers without restartPolicy=Always'),
        );
    return errors;
  });
}

function validateHooks(container: Container, context: PodContext, path: string): FieldError[] {
  const grace = context.spec.terminationGracePeriodSeconds;
  return [
    ...validateLifecycle(container.lifecycle, grace, child(path, 'lifecycle')),
    ...PROBES.flatMap((probe) => validateProbe(probe, container[probe], child(path, probe))),
  ];
}

/** A restart policy of a container's own and its rules by exit code (KEP-5307). */
function validateRestartRules(container: Container, path: string): FieldError[] {
  const policy = container.restartPolicy;
  const at = child(path, 'restartPolicy');
  const rules = container.restartPolicyRules ?? [];
  const rulesPath = child(path, 'restartPolicyRules');
  const errors: FieldError[] = [];
  if (policy !== undefined && !['Always', 'Never', 'OnFailure'].includes(policy))
    errors.push(notSupported(at, policy, ['Always', 'Never', 'OnFailure']));
  if (rules.length === 0) return errors;
  if (policy === undefined)
    errors.push(required(at, 'must specify restartPolicy when restart rules are used'));
  if (rules.length > 20)
    errors.push({
      type: 'FieldValueTooMany',
      field: rulesPath,
      message: `Too many: ${rules.length}: must have at most 20 items`,
    });
  rules.forEach((rule, i) => {
    const rulePath = index(rulesPath, i);
    errors.push(...oneOf(rule.action, ['Restart', 'RestartAllContainers'], child(rulePath, 'action')));
    if (!rule.exitCodes) errors.push(required(child(rulePath, 'exitCodes'), 'must be specified'));
    else {
      errors.push(
        ...oneOf(rule.exitCodes.operator, ['In', 'NotIn'], child(rulePath, 'exitCodes', 'operator')),
      );
      if (!rule.exitCodes.values?.length)
        errors.push(invalid(child(rulePath, 'exitCodes', 'values'), [], 'must specify at least one value'));
    }
  });
  return errors;
}

function validateCommon(
  container: Container | EphemeralContainer,
  context: PodContext,
  path: string,
): FieldError[] {
  const hostUsers = context.spec.hostUsers ?? true;
  const errors = container.name
    ? validateDns1123Label(container.name, child(path, 'name'))
    : [required(child(path, 'name'))];
  if (!container.image) errors.push(required(child(path, 'image')));
  errors.push(
    ...requiredOneOf(
      container.terminationMessagePolicy,
      ['File', 'FallbackToLogsOnError'],
      child(path, 'terminationMessagePolicy'),
    ),
    ...validatePorts(container.ports, child(path, 'ports')),
    ...validateEnv(container.env, child(path, 'env')),
    ...validateEnvFrom(container.envFrom, child(path, 'envFrom')),
    ...validateMounts(container, context.volumes, child(path, 'volumeMounts')),
    ...validateDevices(container, context.volumes, child(path, 'volumeDevices')),
    ...requiredOneOf(container.imagePullPolicy, PULL_POLICIES, child(path, 'imagePullPolicy')),
    ...validateContainerResources(container.resources, context.claims, child(path, 'resources')),
    ...validateResizePolicy(container.resizePolicy, context.spec.restartPolicy, child(path, 'resizePolicy')),
    ...validateSecurityContext(container.securityContext, hostUsers, child(path, 'securityContext')),
  );
  if (context.isPod && container.image && container.image.trim() !== container.image)
    errors.push(
      invalid(child(path, 'image'), container.image, 'must not have leading or trailing whitespace'),
    );
  return errors;
}

function validatePorts(ports: ContainerPort[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>();
  return (ports ?? []).flatMap((port, i) => {
    const at = index(path, i);
    const errors: FieldError[] = [];
    if (port.name) {
      const wrong = checked(child(at, 'name'), port.name, names.portName);
      errors.push(...wrong);
      if (wrong.length === 0 && seen.has(port.name)) errors.push(duplicate(child(at, 'name'), port.name));
      if (wrong.length === 0) seen.add(port.name);
    }
    if (!port.containerPort) errors.push(required(child(at, 'containerPort')));
    for (const field of ['containerPort', 'hostPort'] as const)
      if (port[field])
        for (const message of names.portNumber(port[field]))
          errors.push(invalid(child(at, field), port[field], message));
    return [...errors, ...requiredOneOf(port.protocol, PROTOCOLS, child(at, 'protocol'))];
  });
}

function validateHostPorts(containers: Container[], path: string): FieldError[] {
  const seen = new Set<string>();
  return containers.flatMap((container, i) =>
    (container.ports ?? []).flatMap((port, j) => {
      if (!port.hostPort) return [];
      const id = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (seen.has(id)) return [duplicate(child(index(child(index(path, i), 'ports'), j), 'hostPort'), id)];
      seen.add(id);
      return [];
    }),
  );
}

function validateResizePolicy(
  policies: ContainerResizePolicy[] | undefined,
  podRestartPolicy: string | undefined,
  path: string,
): FieldError[] {
  const seen = new Set<string>();
  return (policies ?? []).flatMap((policy, i) => {
    const errors: FieldError[] = [];
    if (seen.has(policy.resourceName)) errors.push(duplicate(index(path, i), policy.resourceName));
    seen.add(policy.resourceName);
    errors.push(...requiredOneOf(policy.resourceName, ['cpu', 'memory'], path));
    errors.push(...requiredOneOf(policy.restartPolicy, ['NotRequired', 'RestartContainer'], path));
    if (podRestartPolicy === 'Never' && policy.restartPolicy !== 'NotRequired')
      errors.push(
        invalid(path, policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"),
      );
    return errors;
  });
}

/** What an ephemeral container may not have, since it must not be part of what the pod does. */
const NOT_EPHEMERAL = [
  'ports',
  'resources',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
] as const;

const isSet = (value: unknown): boolean =>
  value !== undefined && (typeof value !== 'object' || value === null || Object.keys(value).length > 0);

export function validateEphemeralContainers(context: PodContext, path: string): FieldError[] {
  const { spec } = context;
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.name));
  const all = new Set(others);
  const why = 'cannot be set for an Ephemeral Container';
  return (spec.ephemeralContainers ?? []).flatMap((container, i) => {
    const at = index(path, i);
    const errors = validateCommon(container, { ...context, isPod: true }, at);
    if (all.has(container.name)) errors.push(duplicate(child(at, 'name'), container.name));
    all.add(container.name);
    const target = container.targetContainerName;
    if (target && !others.has(target)) errors.push(notFound(child(at, 'targetContainerName'), target));
    for (const field of NOT_EPHEMERAL)
      if (isSet(container[field])) errors.push(forbidden(child(at, field), why));
    container.volumeMounts?.forEach((mount, j) => {
      for (const field of ['subPath', 'subPathExpr'] as const)
        if (mount[field]) errors.push(forbidden(child(index(child(at, 'volumeMounts'), j), field), why));
    });
    return errors;
  });
}
