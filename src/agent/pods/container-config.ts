/** From a container of a pod to what the runtime starts. */
import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Container, Pod, SeccompProfile, VolumeMount } from '#types';
import { makeFolder } from '../../runtime/make-folder.js';
import type {
  ContainerConfig,
  ContainerSecurity,
  Device,
  Image,
  Mount,
  SandboxConfig,
} from '../../runtime/types.js';
import type { ContainerEdits } from '../cdi/edits.js';
import { mountSubPath } from '../volumes/sub-path.js';
import { ConfigError, containerEnv, type EnvSources } from './env.js';
import { expand } from './expand.js';
import { kernelHostname } from './pod-files.js';
import { containerLimits, oomScoreAdj, podCgroup, podLimits, withoutQuota } from './resources.js';
import { type ContainerUser, containerUser } from './user.js';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const logDirectory = ({ metadata }: Pod): string =>
  `/var/log/pods/${metadata.namespace}_${metadata.name}_${metadata.uid}`;

export interface SandboxInput {
  /** Its ids on the host, where it has a user namespace. */
  users?: SandboxConfig['users'];
  /** How many processes it may have. */
  pids?: number;
  /** A container of it has CPUs alone. */
  ownCpus: boolean;
  /** The cluster's. */
  domain: string;
}

/** @throws Error when its full name is too long for the kernel. */
export function sandboxConfig(pod: Pod, { users, pids, ownCpus, domain }: SandboxInput): SandboxConfig {
  const { spec, metadata } = pod;
  const limits = podLimits(pod);
  return {
    id: metadata.uid!,
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    hostname: kernelHostname(pod, domain),
    cgroup: podCgroup(pod),
    limits: { ...(ownCpus ? withoutQuota(limits) : limits), ...(pids ? { pids } : {}) },
    network: spec.hostNetwork ? 'host' : 'pod',
    pid: spec.hostPID ? 'host' : spec.shareProcessNamespace ? 'pod' : 'container',
    ipc: spec.hostIPC ? 'host' : 'pod',
    sysctls: Object.fromEntries((spec.securityContext?.sysctls ?? []).map((s) => [s.name, s.value])),
    ...(users ? { users } : {}),
    logDirectory: logDirectory(pod),
    labels: { name: metadata.name, namespace: metadata.namespace ?? '', uid: metadata.uid! },
  };
}

export interface ConfigInput {
  pod: Pod;
  container: Container;
  attempt: number;
  image: Image;
  /** The pod's own folder. */
  dir: string;
  /** Volume name → host path. */
  volumes: Map<string, string>;
  env: EnvSources;
  memoryCapacity: number;
  /** Where it may run; everywhere when absent. */
  cpus?: string;
  /** It has them alone. */
  ownCpus?: boolean;
  /** The cluster's. */
  domain: string;
  /** What its devices bring with them. */
  given?: ContainerEdits;
  /** And those that are described by CDI files, whose word is the last. */
  cdi?: ContainerEdits;
  /** Of its restarts, for a next agent. */
  backoff?: string;
  /** Id of a running container whose processes this one is to see. */
  pidsOf?: string;
}

export interface Prepared {
  config: ContainerConfig;
  user: ContainerUser;
  /** Mounts that are of no use once the container has its own of them. */
  staged: string[];
}

/** Throws ConfigError for what can't be made of it. */
export async function containerConfig(input: ConfigInput): Promise<Prepared> {
  const { pod, container, attempt, image } = input;
  const id = randomBytes(32).toString('hex');
  const user = await containerUser(pod, container, image);
  user.supplementalGroups = [...new Set([...user.supplementalGroups, ...(input.cdi?.groups ?? [])])];
  const own = containerEnv(pod, container, input.env);
  const lookup = (name: string) => own.get(name);
  const command = container.command?.map((word) => expand(word, lookup));
  const args = container.args?.map((word) => expand(word, lookup));
  const argv = [...(command ?? image.config.entrypoint), ...(args ?? (command ? [] : image.config.command))];
  if (argv.length === 0) throw new ConfigError('no command specified');
  const limits = containerLimits(container, pod.spec.resources);
  const staged: string[] = [];
  const config: ContainerConfig = {
    id,
    sandboxId: pod.metadata.uid!,
    name: container.name,
    attempt,
    imageId: image.id,
    argv,
    env: wholeEnv(input, user, own),
    workingDirectory: container.workingDir || image.config.workingDirectory || '/',
    mounts: await mounts(input, id, staged),
    devices: devices(input),
    limits: {
      ...(input.ownCpus ? withoutQuota(limits) : limits),
      ...(input.cpus ? { cpus: input.cpus } : {}),
    },
    oomScoreAdj: oomScoreAdj(pod, container, input.memoryCapacity),
    security: security(pod, container, user),
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    ...(input.pidsOf ? { pidsOf: input.pidsOf } : {}),
    labels: { image: container.image ?? '', ...(input.backoff ? { backoff: input.backoff } : {}) },
  };
  return { config, user, staged };
}

/** Defaults, then the image's, the devices', the container's own, and those of CDI files. */
function wholeEnv(
  { pod, container, image, domain, given, cdi }: ConfigInput,
  user: ContainerUser,
  own: Map<string, string>,
): string[] {
  const env = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', kernelHostname(pod, domain)],
    ['HOME', user.home],
  ]);
  if (container.tty) env.set('TERM', 'xterm');
  const add = (entries: string[] = []) => {
    for (const entry of entries) {
      const equals = entry.indexOf('=');
      if (equals > 0) env.set(entry.slice(0, equals), entry.slice(equals + 1));
    }
  };
  add(image.config.env);
  add(given?.env);
  for (const [name, value] of own) env.set(name, value);
  add(cdi?.env);
  return [...env].map(([name, value]) => `${name}=${value}`);
}

/** Whether what is mounted below a read-only mount is read-only as well (KEP-3857). */
export const isRecursive = ({ recursiveReadOnly = 'Disabled' }: VolumeMount): boolean =>
  recursiveReadOnly !== 'Disabled';

const PROPAGATION = { None: 'private', HostToContainer: 'rslave', Bidirectional: 'rshared' } as const;

async function mounts(input: ConfigInput, id: string, staged: string[]): Promise<Mount[]> {
  const { pod, container, dir, volumes, given, cdi } = input;
  const list: Mount[] = [...(given?.mounts ?? []), ...(cdi?.mounts ?? [])];
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const volume = volumes.get(mount.name);
    if (volume === undefined) throw new ConfigError(`volume ${JSON.stringify(mount.name)} is not set up`);
    const lookup = (name: string) => containerEnv(pod, container, input.env).get(name);
    const subPath = mount.subPathExpr ? expand(mount.subPathExpr, lookup) : (mount.subPath ?? '');
    const target = join(dir, 'volume-subpaths', mount.name, container.name, `${i}-${id.slice(0, 8)}`);
    if (subPath) staged.push(target);
    const propagation = PROPAGATION[(mount.mountPropagation ?? 'None') as keyof typeof PROPAGATION];
    list.push({
      source: subPath ? await subPathSource(volume, subPath, target) : volume,
      target: mount.mountPath,
      readOnly: mount.readOnly ?? false,
      recursive: isRecursive(mount),
      propagation,
    });
  }
  const mounted = new Set(list.map((mount) => mount.target));
  for (const [file, target] of [
    ['etc-hosts', '/etc/hosts'],
    ['hostname', '/etc/hostname'],
    ['resolv.conf', '/etc/resolv.conf'],
  ] as const)
    if (!mounted.has(target)) list.push({ source: join(dir, file), target, readOnly: false });
  const log = container.terminationMessagePath ?? '/dev/termination-log';
  if (log) {
    const source = terminationLog(dir, container.name, id);
    await makeFolder(dirname(source));
    await writeFile(source, '');
    await chmod(source, 0o666);
    list.push({ source, target: log, readOnly: false });
  }
  const depth = ({ target }: Mount) => target.split('/').filter(Boolean).length;
  return list.sort((a, b) => depth(a) - depth(b));
}

/** Those of plugins and drivers, and block volumes, as kubelet gives them (`makeBlockVolumes`). */
function devices({ pod, container, volumes, given, cdi }: ConfigInput): Device[] {
  const blocks = (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const source = volumes.get(name);
    if (source === undefined) throw new ConfigError(`volume ${JSON.stringify(name)} is not set up`);
    const claim = pod.spec.volumes?.find((volume) => volume.name === name)?.persistentVolumeClaim;
    return { source, target: devicePath, access: claim?.readOnly ? 'mr' : 'mrw' };
  });
  return [...blocks, ...(given?.devices ?? []), ...(cdi?.devices ?? [])];
}

/** A container that asks for what can't be had is a mistake in its configuration. */
async function subPathSource(volume: string, subPath: string, target: string): Promise<string> {
  try {
    return await mountSubPath(volume, subPath, target);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

/** Where a container's termination message is written, on the host. */
export const terminationLog = (dir: string, container: string, id: string): string =>
  join(dir, 'containers', container, id.slice(0, 8));

function security(pod: Pod, container: Container, user: ContainerUser): ContainerSecurity {
  const context = container.securityContext ?? {};
  const privileged = context.privileged ?? false;
  const profile = context.seccompProfile ?? pod.spec.securityContext?.seccompProfile;
  const capabilities = (names: string[] | undefined) =>
    (names ?? []).map((name) => name.replace(/^CAP_/, ''));
  return {
    uid: user.uid,
    gid: user.gid,
    supplementalGroups: user.supplementalGroups,
    privileged,
    noNewPrivileges: context.allowPrivilegeEscalation === false,
    readOnlyRoot: context.readOnlyRootFilesystem ?? false,
    unmasked: context.procMount === 'Unmasked',
    addCapabilities: capabilities(context.capabilities?.add),
    dropCapabilities: capabilities(context.capabilities?.drop),
    seccomp: privileged ? 'unconfined' : seccomp(profile),
  };
}

/** What is not said is the runtime's default, as with kubelet's `seccompDefault`. */
function seccomp(profile: SeccompProfile | undefined): ContainerSecurity['seccomp'] {
  if (profile?.type === 'Unconfined') return 'unconfined';
  if (profile?.type === 'Localhost') return { profile: profile.localhostProfile ?? '' };
  return 'default';
}
