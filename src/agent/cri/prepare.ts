/** From a container of the interface to what the runtime starts. */
import { dirname, join, resolve } from 'node:path';
import type { Container, Pod } from '#types';
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import type {
  ContainerConfig,
  ContainerSecurity,
  Image,
  Limits,
  Mount,
  SandboxConfig,
} from '../../runtime/types.js';
import { containerUser } from '../pods/user.js';
import { invalid } from './errors.js';
import type { OwnSandbox } from './own.js';

const CPU_PERIOD = 100_000;
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const PROFILES = V1.SecurityProfile.ProfileType;
/** The limits of an unsigned `Int64Value` that was not sent. */
type Number64 = { value?: unknown } | null | undefined;

const number = (wrapped: Number64): number | undefined => (wrapped ? Number(wrapped.value ?? 0) : undefined);

export function sandboxConfig(
  id: string,
  config: Cri.PodSandboxConfig.$Properties,
  folder: string,
): SandboxConfig {
  const { metadata, linux } = config;
  const { name = '', namespace = '' } = metadata ?? {};
  const namespaces = linux?.securityContext?.namespaceOptions;
  const mode = (value: V1.NamespaceMode | null | undefined) => value ?? V1.NamespaceMode.POD;
  const pid = mode(namespaces?.pid);
  const users = userRange(namespaces?.usernsOptions);
  const isHost = mode(namespaces?.network) === V1.NamespaceMode.NODE;
  return {
    ...{ id, name: name || id, namespace: namespace || 'cri', cgroup: join('cri', `pod${id}`) },
    hostname: config.hostname || (isHost ? '' : id.slice(0, 12)),
    limits: limits(linux?.resources),
    network: isHost ? 'host' : 'pod',
    pid: pid === V1.NamespaceMode.NODE ? 'host' : pid === V1.NamespaceMode.POD ? 'pod' : 'container',
    ipc: mode(namespaces?.ipc) === V1.NamespaceMode.NODE ? 'host' : 'pod',
    sysctls: { ...linux?.sysctls },
    ...(users ? { users } : {}),
    logDirectory: config.logDirectory || join(folder, 'logs'),
    labels: { owner: 'cri', name: name ?? '', namespace: namespace ?? '' },
  };
}

/** Undefined: the host's. @throws INVALID_ARGUMENT for what the runtime can't map. */
export function userRange(options: Cri.UserNamespace.$Properties | null | undefined): SandboxConfig['users'] {
  const mode = options?.mode ?? V1.NamespaceMode.POD;
  if (!options || mode === V1.NamespaceMode.NODE) return undefined;
  if (mode !== V1.NamespaceMode.POD)
    throw invalid(`unsupported user namespace mode ${V1.NamespaceMode[mode]}`);
  const [users, groups] = [options.uids, options.gids].map((mappings) => {
    if (mappings?.length !== 1)
      throw invalid('a user namespace needs one mapping of users and one of groups');
    const [{ containerId, hostId, length }] = mappings as [Cri.IDMapping.$Properties];
    if (containerId || !length) throw invalid('a user namespace must map the ids from 0 on');
    return { base: hostId ?? 0, size: length };
  });
  if (users!.base !== groups!.base || users!.size !== groups!.size)
    throw invalid('a user namespace must map users and groups alike');
  return users;
}

/** CPU quotas are of the runtime's own period. */
export function limits(asked: Cri.LinuxContainerResources.$Properties | null | undefined): Limits {
  const [period, quota, shares, memory] = [
    asked?.cpuPeriod,
    asked?.cpuQuota,
    asked?.cpuShares,
    asked?.memoryLimitInBytes,
  ].map((value) => Number(value ?? 0)) as [number, number, number, number];
  return {
    ...(shares > 0 ? { cpuShares: shares } : {}),
    ...(quota > 0 ? { cpuQuota: Math.round((quota * CPU_PERIOD) / (period || CPU_PERIOD)) } : {}),
    ...(memory > 0 ? { memory } : {}),
  };
}

/** @throws ConfigError or INVALID_ARGUMENT for what can't be made of it. */
export async function prepare(
  sandbox: OwnSandbox,
  config: Cri.ContainerConfig.$Properties,
  image: Image,
  { id, folder, mounts }: { id: string; folder: string; mounts: Mount[] },
): Promise<ContainerConfig> {
  const context = config.linux?.securityContext ?? {};
  const user = await userOf(sandbox, context, config, image);
  const { command = [], args = [] } = config;
  const argv = command?.length
    ? [...command, ...(args ?? [])]
    : [...image.config.entrypoint, ...(args?.length ? args : image.config.command)];
  if (argv.length === 0) throw invalid('no command specified');
  const name = config.metadata?.name ?? '';
  if (!name) throw invalid('container name in metadata is empty');
  const own = (config.envs ?? []).map(({ key, value }) => `${key}=${value ?? ''}`);
  const root = sandbox.config.logDirectory || join(folder, 'logs');
  return {
    ...{ id, sandboxId: sandbox.id, name, attempt: config.metadata?.attempt ?? 0, imageId: image.id, argv },
    env: [PATH, `HOME=${user.home}`, ...image.config.env, ...own],
    workingDirectory: config.workingDir || image.config.workingDirectory || '/',
    mounts,
    devices: (config.devices ?? []).map(({ hostPath, containerPath, permissions }) => ({
      source: hostPath ?? '',
      target: containerPath || (hostPath ?? ''),
      access: permissions || 'rwm',
    })),
    limits: limits(config.linux?.resources),
    oomScoreAdj: Number(config.linux?.resources?.oomScoreAdj ?? 0),
    security: security(context, user),
    tty: config.tty ?? false,
    stdin: config.stdin ?? false,
    stdinOnce: config.stdinOnce ?? false,
    logPath: config.logPath ? logPath(root, config.logPath) : join(folder, 'logs', `${id}.log`),
    labels: { image: config.image?.image ?? '' },
  };
}

function logPath(root: string, path: string): string {
  const whole = resolve(root, path);
  if (dirname(whole) !== root && !whole.startsWith(`${root}/`))
    throw invalid(`the log path ${path} leaves its folder`);
  return whole;
}

/** The rules are those of a pod: so one is made of it. */
function userOf(
  { config: pod }: OwnSandbox,
  context: Cri.LinuxContainerSecurityContext.$Properties,
  config: Cri.ContainerConfig.$Properties,
  image: Image,
) {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  const asPod = {
    metadata: { name, namespace, uid },
    spec: {
      containers: [],
      securityContext: {
        supplementalGroups: (context.supplementalGroups ?? []).map(Number),
        supplementalGroupsPolicy:
          context.supplementalGroupsPolicy === V1.SupplementalGroupsPolicy.Strict ? 'Strict' : 'Merge',
      },
    },
  } as unknown as Pod;
  const runAsUser = number(context.runAsUser);
  const runAsGroup = number(context.runAsGroup);
  if (runAsGroup !== undefined && runAsUser === undefined && !context.runAsUsername)
    throw invalid('user group is specified without user');
  const container = {
    name: config.metadata?.name ?? '',
    securityContext: {
      ...(runAsUser === undefined ? {} : { runAsUser }),
      ...(runAsGroup === undefined ? {} : { runAsGroup }),
    },
  } as Container;
  const named = context.runAsUsername
    ? { ...image, config: { ...image.config, user: context.runAsUsername } }
    : image;
  return containerUser(asPod, container, named);
}

function security(
  context: Cri.LinuxContainerSecurityContext.$Properties,
  { uid, gid, supplementalGroups }: { uid: number; gid: number; supplementalGroups: number[] },
): ContainerSecurity {
  const { privileged, noNewPrivs, readonlyRootfs, capabilities, seccomp, maskedPaths, readonlyPaths } =
    context;
  const names = (list: string[] | null | undefined) => (list ?? []).map((name) => name.replace(/^CAP_/, ''));
  const profile = seccomp?.profileType ?? (seccomp ? PROFILES.RuntimeDefault : PROFILES.Unconfined);
  return {
    ...{ uid, gid, supplementalGroups, privileged: privileged ?? false },
    noNewPrivileges: noNewPrivs ?? false,
    readOnlyRoot: readonlyRootfs ?? false,
    ...(maskedPaths?.length ? { maskedPaths } : {}),
    ...(readonlyPaths?.length ? { readOnlyPaths: readonlyPaths } : {}),
    addCapabilities: names(capabilities?.addCapabilities),
    dropCapabilities: names(capabilities?.dropCapabilities),
    seccomp:
      privileged || profile === PROFILES.Unconfined
        ? 'unconfined'
        : profile === PROFILES.Localhost
          ? { profile: seccomp?.localhostRef ?? '' }
          : 'default',
  };
}
