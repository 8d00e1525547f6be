/** Validation of what depends on the operating system of a pod. */
import type { PodSpec, WindowsSecurityContextOptions } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked } from '../../../machinery/validation.js';
import { visitContainers } from './containers.js';

export function validateWindowsOptions(
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
