/** Validation of security contexts of pods and containers. */
import type { AppArmorProfile, PodSpec, SeccompProfile, SecurityContext } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
  tooLong,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { validateDescending } from './paths.js';
import { validateWindowsOptions } from './validate-windows.js';

const PROFILE_TYPES = ['Localhost', 'RuntimeDefault', 'Unconfined'];
const SYSCTL = '([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const sysctlRegexp = new RegExp(`^${SYSCTL}$`);

const validateId = (id: number | undefined, path: string): FieldError[] =>
  id === undefined ? [] : names.unixId(id).map((message) => invalid(path, id, message));

const oneOf = (value: string | undefined, supported: string[], path: string): FieldError[] =>
  value === undefined || supported.includes(value) ? [] : [notSupported(path, value, supported)];

export function validateSecurityContext(
  context: SecurityContext | undefined,
  hostUsers: boolean,
  path: string,
): FieldError[] {
  if (!context) return [];
  const errors = [
    ...validateId(context.runAsUser, child(path, 'runAsUser')),
    ...validateId(context.runAsGroup, child(path, 'runAsGroup')),
    ...oneOf(context.procMount, ['Default', 'Unmasked'], child(path, 'procMount')),
  ];
  if (hostUsers && context.procMount === 'Unmasked')
    errors.push(
      invalid(child(path, 'procMount'), context.procMount, '`hostUsers` must be false to use `Unmasked`'),
    );
  errors.push(...validateSeccomp(context.seccompProfile, child(path, 'seccompProfile')));
  if (context.allowPrivilegeEscalation === false) {
    const clash = 'cannot set `allowPrivilegeEscalation` to false and';
    if (context.privileged) errors.push(invalid(path, context, `${clash} \`privileged\` to true`));
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN'))
      errors.push(invalid(path, context, `${clash} \`capabilities.Add\` CAP_SYS_ADMIN`));
  }
  return [
    ...errors,
    ...validateWindowsOptions(context.windowsOptions, child(path, 'windowsOptions')),
    ...validateAppArmor(context.appArmorProfile, child(path, 'appArmorProfile')),
  ];
}

export function validatePodSecurityContext(spec: PodSpec, path: string): FieldError[] {
  const context = spec.securityContext;
  if (!context) return [];
  const errors = [
    ...validateId(context.fsGroup, child(path, 'fsGroup')),
    ...validateId(context.runAsUser, child(path, 'runAsUser')),
    ...validateId(context.runAsGroup, child(path, 'runAsGroup')),
    ...(context.supplementalGroups ?? []).flatMap((gid, i) =>
      validateId(gid, index(child(path, 'supplementalGroups'), i)),
    ),
  ];
  if (spec.shareProcessNamespace && spec.hostPID)
    errors.push(
      invalid(
        child(path, 'shareProcessNamespace'),
        true,
        'ShareProcessNamespace and HostPID cannot both be enabled',
      ),
    );
  return [
    ...errors,
    ...validateSysctls(spec, child(path, 'sysctls')),
    ...oneOf(context.fsGroupChangePolicy, ['Always', 'OnRootMismatch'], child(path, 'fsGroupChangePolicy')),
    ...validateSeccomp(context.seccompProfile, child(path, 'seccompProfile')),
    ...validateWindowsOptions(context.windowsOptions, child(path, 'windowsOptions')),
    ...validateAppArmor(context.appArmorProfile, child(path, 'appArmorProfile')),
    ...oneOf(context.supplementalGroupsPolicy, ['Merge', 'Strict'], child(path, 'supplementalGroupsPolicy')),
    ...oneOf(context.seLinuxChangePolicy, ['MountOption', 'Recursive'], child(path, 'seLinuxChangePolicy')),
  ];
}

/** The namespace that a sysctl belongs to, if it has one. */
function sysctlNamespace(name: string): 'net' | 'ipc' | undefined {
  const dotted = name.includes('/') && !/^[^/]*\./.test(name) ? name.replaceAll('/', '.') : name;
  if (dotted.startsWith('net.')) return 'net';
  return /^(kernel\.(shm|msg)|kernel\.sem$|fs\.mqueue\.)/.test(dotted) ? 'ipc' : undefined;
}

function validateSysctls(spec: PodSpec, path: string): FieldError[] {
  const seen = new Set<string>();
  return (spec.securityContext?.sysctls ?? []).flatMap((sysctl, i) => {
    const at = child(index(path, i), 'name');
    const errors: FieldError[] = [];
    const name = sysctl.name ?? '';
    if (name === '') errors.push(required(at));
    else if (name.length > 253 || !sysctlRegexp.test(name))
      errors.push(invalid(at, name, `must have at most 253 characters and match regex ^${SYSCTL}$`));
    else if (seen.has(name)) errors.push(duplicate(at, name));
    seen.add(name);
    const namespace = sysctlNamespace(name);
    if (spec.hostNetwork && namespace === 'net')
      errors.push(invalid(at, name, "may not be specified when 'hostNetwork' is true"));
    if (spec.hostIPC && namespace === 'ipc')
      errors.push(invalid(at, name, "may not be specified when 'hostIPC' is true"));
    return errors;
  });
}

function validateSeccomp(profile: SeccompProfile | undefined, path: string): FieldError[] {
  if (!profile) return [];
  const at = child(path, 'localhostProfile');
  const errors: FieldError[] = [];
  if (!profile.type)
    errors.push(required(child(path, 'type'), 'type is required when seccompProfile is set'));
  else errors.push(...oneOf(profile.type, PROFILE_TYPES, child(path, 'type')));
  if (profile.type !== 'Localhost') {
    if (profile.localhostProfile !== undefined)
      errors.push(invalid(at, profile, 'can only be set when seccomp type is Localhost'));
  } else if (profile.localhostProfile === undefined)
    errors.push(required(at, 'must be set when seccomp type is Localhost'));
  else errors.push(...validateDescending(profile.localhostProfile, at));
  return errors;
}

function validateAppArmor(profile: AppArmorProfile | undefined, path: string): FieldError[] {
  if (!profile) return [];
  const at = child(path, 'localhostProfile');
  const local = profile.localhostProfile;
  if (!profile.type) return [required(child(path, 'type'), 'type is required when appArmorProfile is set')];
  if (profile.type !== 'Localhost') {
    const errors = oneOf(profile.type, PROFILE_TYPES, child(path, 'type'));
    if (errors.length === 0 && local !== undefined)
      errors.push(invalid(at, local, 'can only be set when AppArmor type is Localhost'));
    return errors;
  }
  if (local === undefined) return [required(at, 'must be set when AppArmor type is Localhost')];
  const errors: FieldError[] = [];
  if (local.trim() !== local) errors.push(invalid(at, local, 'must not be padded with whitespace'));
  else if (local === '') errors.push(required(at, 'must be set when AppArmor type is Localhost'));
  if (Buffer.byteLength(local) > 4095) errors.push(tooLong(at, 4095));
  return errors;
}
