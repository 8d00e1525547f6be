/** Validation of security contexts of pods and containers. */
import type {
  AppArmorProfile,
  ObjectMeta,
  PodSpec,
  SeccompProfile,
  SecurityContext,
  WindowsSecurityContextOptions,
} from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
  tooLong,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked } from '../../../machinery/validation.js';
import { visitContainers } from './containers.js';
import { validateDescending } from './paths.js';

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
export function sysctlNamespace(name: string): 'net' | 'ipc' | undefined {
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

function validateWindowsOptions(
  options: WindowsSecurityContextOptions | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (options?.gmsaCredentialSpecName !== undefined)
    errors.push(
      ...checked(
        child(path, 'gmsaCredentialSpecName'),
        options.gmsaCredentialSpecName,
        names.dns1123Subdomain,
      ),
    );
  const spec = options?.gmsaCredentialSpec;
  if (spec === '')
    errors.push(
      invalid(child(path, 'gmsaCredentialSpec'), spec, 'gmsaCredentialSpec cannot be an empty string'),
    );
  else if (spec && Buffer.byteLength(spec) > 64 * 1024)
    errors.push(
      invalid(child(path, 'gmsaCredentialSpec'), spec, 'gmsaCredentialSpec size must be under 64 KiB'),
    );
  if (options?.runAsUserName !== undefined)
    errors.push(...validateWindowsUser(options.runAsUserName, child(path, 'runAsUserName')));
  return errors;
}

function validateWindowsUser(name: string, path: string): FieldError[] {
  const wrong = (detail: string) => invalid(path, name, `runAsUserName${detail}`);
  if (name === '') return [wrong(' cannot be an empty string')];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in it
  if (/[\x00-\x1f\x7f]/.test(name)) return [wrong(' cannot contain control characters')];
  const parts = name.split('\\');
  if (parts.length > 2) return [wrong(' cannot contain more than one backslash')];
  const user = parts.at(-1)!;
  const domain = parts.length === 2 ? parts[0]! : undefined;
  const errors: FieldError[] = [];
  if (domain !== undefined) {
    if (domain.length >= 256) errors.push(wrong("'s Domain length must be under 256 characters"));
    const netBios = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/.test(domain);
    const dns = domain
      .split('.')
      .every((label) => /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/.test(label));
    if (!netBios && !dns) errors.push(wrong("'s Domain doesn't match the NetBios nor the DNS format"));
  }
  if (user === '') errors.push(wrong("'s User cannot be empty"));
  else if (user.length > 104) errors.push(wrong("'s User length must not be longer than 104 characters"));
  if (/^[. ]+$/.test(user)) errors.push(wrong("'s User cannot contain only periods or spaces"));
  if (/["/\\:;|=,+*?<>@[\]]/.test(user))
    errors.push(wrong(`'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]`));
  return errors;
}

/** Host process containers (Windows) are all or none, and need the host's network. */
export function validateHostProcess(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const ofPod = spec.securityContext?.windowsOptions?.hostProcess;
  let all = 0;
  let host = 0;
  visitContainers(spec, path, (container, at) => {
    all++;
    const own = container.securityContext?.windowsOptions?.hostProcess;
    if (ofPod !== undefined && own !== undefined && own !== ofPod)
      errors.push(
        invalid(
          child(at, 'securityContext', 'windowsOptions', 'hostProcess'),
          own,
          `pod hostProcess value must be identical if both are specified, was ${ofPod}`,
        ),
      );
    if (own ?? ofPod) host++;
  });
  if (host === 0) return errors;
  if (host !== all)
    errors.push(
      invalid(
        path,
        '',
        'If pod contains any hostProcess containers then all containers must be HostProcess containers',
      ),
    );
  if (!spec.hostNetwork)
    errors.push(
      invalid(
        child(path, 'hostNetwork'),
        false,
        'hostNetwork must be true if pod contains any hostProcess containers',
      ),
    );
  return errors;
}

const WINDOWS_POD_FIELDS = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'seLinuxChangePolicy',
] as const;

const WINDOWS_CONTAINER_FIELDS = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
] as const;

/** What `spec.os` rules out: Linux fields on Windows pods, and the other way round. */
export function validateOs(spec: PodSpec, path: string): FieldError[] {
  const os = spec.os;
  if (!os) return [];
  if (!os.name) return [required(child(path, 'os', 'name'), 'cannot be empty')];
  if (os.name === 'linux') return forbidWindowsFields(spec, path);
  if (os.name === 'windows') return forbidLinuxFields(spec, path);
  return [notSupported(child(path, 'os'), os.name, ['linux', 'windows'])];
}

function forbidWindowsFields(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const check = (context: { windowsOptions?: unknown } | undefined, at: string) => {
    if (context?.windowsOptions)
      errors.push(
        forbidden(
          child(at, 'securityContext', 'windowsOptions'),
          'windows options cannot be set for a linux pod',
        ),
      );
  };
  check(spec.securityContext, path);
  visitContainers(spec, path, (container, at) => check(container.securityContext, at));
  return errors;
}

function forbidLinuxFields(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const forbid = (at: string) => errors.push(forbidden(at, 'cannot be set for a windows pod'));
  for (const field of ['hostUsers', 'shareProcessNamespace'] as const)
    if (spec[field] !== undefined) forbid(child(path, field));
  for (const field of ['hostPID', 'hostIPC'] as const) if (spec[field]) forbid(child(path, field));
  for (const field of WINDOWS_POD_FIELDS)
    if (spec.securityContext?.[field] !== undefined) forbid(child(path, 'securityContext', field));
  visitContainers(spec, path, (container, at) => {
    for (const field of WINDOWS_CONTAINER_FIELDS)
      if (container.securityContext?.[field] !== undefined) forbid(child(at, 'securityContext', field));
  });
  return errors;
}

const APPARMOR_PREFIX = 'container.apparmor.security.beta.kubernetes.io/';

/** Annotations that reach into the spec: mirror pods, AppArmor, deletion cost. */
export function validatePodAnnotations(
  meta: Pick<ObjectMeta, 'annotations'> | undefined,
  spec: PodSpec,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const containers = new Set<string>();
  visitContainers(spec, '', (container) => containers.add(container.name));
  for (const [name, value] of Object.entries(meta?.annotations ?? {})) {
    const at = `${path}[${name}]`;
    if (name === 'kubernetes.io/config.mirror' && !spec.nodeName)
      errors.push(invalid(at, value, 'must set spec.nodeName if mirror pod annotation is set'));
    if (name === 'controller.kubernetes.io/pod-deletion-cost' && !isInt32(value))
      errors.push(invalid(at, value, 'must be a 32bit integer'));
    if (name.startsWith(APPARMOR_PREFIX)) {
      const container = name.slice(APPARMOR_PREFIX.length);
      if (!containers.has(container)) errors.push(invalid(at, container, 'container not found'));
      if (value !== '' && !/^(runtime\/default|unconfined)$|^localhost\//.test(value))
        errors.push(invalid(at, value, `invalid AppArmor profile name: ${JSON.stringify(value)}`));
    }
  }
  return errors;
}

/** Upstream parses it with strconv and refuses a leading plus or zero. */
function isInt32(value: string): boolean {
  if (!/^(0|-?[1-9][0-9]*)$/.test(value)) return false;
  const number = Number(value);
  return number >= -(2 ** 31) && number < 2 ** 31;
}
