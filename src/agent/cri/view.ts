/** Sandboxes and containers as the interface tells them: those of the cluster's pods, and those made through it. */
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import type { ContainerConfig, ContainerStatus, Image, Limits, Mount } from '../../runtime/types.js';
import type { CriDeps } from './deps.js';
import { nanos, notFound } from './errors.js';
import type { OwnContainer, OwnSandbox } from './own.js';

type Labels = Record<string, string>;

export interface SandboxView {
  id: string;
  own?: OwnSandbox;
  metadata: Cri.PodSandboxMetadata.$Properties;
  ready: boolean;
  createdAt: number;
  labels: Labels;
  annotations: Labels;
  handler: string;
  /** Of two IP families with a comma. */
  ip: string;
  /** Of its shim; 0 when that is gone. */
  pid: number;
}

export interface ContainerView {
  id: string;
  sandboxId: string;
  own?: OwnContainer;
  name: string;
  attempt: number;
  imageId: string;
  /** As it was asked for. */
  imageName: string;
  state: V1.ContainerState;
  createdAt: number;
  labels: Labels;
  annotations: Labels;
  /** What the runtime has of it, once it has been started. */
  status?: ContainerStatus;
  config: ContainerConfig | undefined;
}

export function sandboxViews(deps: CriDeps): SandboxView[] {
  const { runtime, own } = deps;
  const made = own.list().map((sandbox) => ownSandbox(deps, sandbox));
  const ofPods = runtime
    .sandboxes()
    .filter(({ id }) => !own.get(id))
    .map(({ id, alive, createdAt, labels, pid }): SandboxView => {
      const pod = deps.podOf(id);
      const { name = '', namespace = '' } = labels;
      const { uid = id } = pod?.metadata ?? {};
      return {
        ...{ id, ready: alive, createdAt, pid, handler: pod?.spec.runtimeClassName ? 'keelson' : '' },
        metadata: { name, namespace, uid, attempt: 0 },
        labels: { ...pod?.metadata.labels, ...podLabels(name, namespace, uid) },
        annotations: { ...pod?.metadata.annotations },
        ip: pod?.spec.hostNetwork ? '' : (pod?.status?.podIPs ?? []).map(({ ip }) => ip).join(),
      };
    });
  return [...made, ...ofPods];
}

const podLabels = (name: string, namespace: string, uid: string): Labels => ({
  'io.kubernetes.pod.name': name,
  'io.kubernetes.pod.namespace': namespace,
  'io.kubernetes.pod.uid': uid,
});

function ownSandbox({ runtime }: CriDeps, sandbox: OwnSandbox): SandboxView {
  const { id, config, createdAt, handler, ip, stopped } = sandbox;
  const status = runtime.sandbox(id);
  return {
    ...{ id, own: sandbox, metadata: config.metadata ?? {}, createdAt, handler, ip },
    ready: !stopped && (status?.alive ?? false),
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
    pid: status?.pid ?? 0,
  };
}

export function containerViews(deps: CriDeps): ContainerView[] {
  const { runtime, own, images } = deps;
  const made = own
    .list()
    .flatMap((sandbox) => Object.values(sandbox.containers).map((one) => ownContainer(deps, sandbox, one)));
  const ofPods = runtime
    .sandboxes()
    .filter(({ id }) => !own.get(id))
    .flatMap((sandbox) =>
      sandbox.containers.map((status): ContainerView => {
        const { id, sandboxId, name, attempt, imageId, createdAt } = status;
        const { name: pod = '', namespace = '' } = sandbox.labels;
        const labels = { 'io.kubernetes.container.name': name, ...podLabels(pod, namespace, sandboxId) };
        return {
          ...{ id, sandboxId, name, attempt, imageId, createdAt, labels, status },
          imageName: status.labels['image'] || images.get(imageId)?.tags[0] || imageId,
          state: stateOf(status),
          annotations: { 'io.kubernetes.container.restartCount': `${attempt}` },
          config: runtime.containerConfig(id),
        };
      }),
    );
  return [...made, ...ofPods];
}

function ownContainer({ runtime }: CriDeps, sandbox: OwnSandbox, container: OwnContainer): ContainerView {
  const { id, config, createdAt, imageId, prepared, failed, started } = container;
  const known = runtime.sandbox(sandbox.id)?.containers.find((one) => one.id === id);
  const gone = started && !known;
  return {
    ...{
      id,
      sandboxId: sandbox.id,
      own: container,
      imageId,
      createdAt,
      config: runtime.containerConfig(id) ?? prepared,
    },
    name: config.metadata?.name ?? '',
    attempt: config.metadata?.attempt ?? 0,
    imageName: config.image?.userSpecifiedImage || config.image?.image || imageId,
    state: known
      ? stateOf(known)
      : failed || gone
        ? V1.ContainerState.CONTAINER_EXITED
        : V1.ContainerState.CONTAINER_CREATED,
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
    ...(known ? { status: known } : {}),
  };
}

const stateOf = ({ state }: ContainerStatus): V1.ContainerState =>
  state === 'running'
    ? V1.ContainerState.CONTAINER_RUNNING
    : state === 'exited'
      ? V1.ContainerState.CONTAINER_EXITED
      : V1.ContainerState.CONTAINER_CREATED;

/** By its id or the beginning of it. @throws NOT_FOUND */
export function findSandbox(deps: CriDeps, id: string): SandboxView {
  return pick(sandboxViews(deps), id) ?? refuse('sandbox', id);
}

export function findContainer(deps: CriDeps, id: string): ContainerView {
  return pick(containerViews(deps), id) ?? refuse('container', id);
}

function refuse(what: string, id: string): never {
  throw notFound(what, id);
}

function pick<T extends { id: string }>(all: T[], id: string): T | undefined {
  if (id === '') return undefined;
  const exact = all.find((one) => one.id === id);
  const begun = exact ? [] : all.filter((one) => one.id.startsWith(id));
  return exact ?? (begun.length === 1 ? begun[0] : undefined);
}

export const hasLabels = (labels: Labels, wanted: Labels | null = {}): boolean =>
  Object.entries(wanted ?? {}).every(([name, value]) => labels[name] === value);

export function containerMessage(view: ContainerView): Cri.Container.$Properties {
  const { id, sandboxId, name, attempt, imageId, imageName, state, createdAt, labels, annotations } = view;
  return {
    ...{
      id,
      podSandboxId: sandboxId,
      metadata: { name, attempt },
      image: { image: imageName },
      imageRef: imageId,
    },
    ...{ imageId, state, createdAt: nanos(createdAt), labels, annotations },
  };
}

const PROPAGATION = { private: 0, rslave: 1, rshared: 2 } as const;

export function containerStatus(view: ContainerView, image?: Image): Cri.ContainerStatus.$Properties {
  const { status, config, own } = view;
  const { imageRef, imageId, podSandboxId: _, ...message } = containerMessage(view);
  const failed = own?.failed;
  const gone = view.state === V1.ContainerState.CONTAINER_EXITED && !status && !failed;
  const exitCode = status?.exitCode ?? failed?.exitCode ?? (gone ? 255 : 0);
  const exited = view.state === V1.ContainerState.CONTAINER_EXITED;
  const { security } = config ?? {};
  return {
    ...message,
    ...{ imageRef: image?.digests[0] ?? imageRef, imageId },
    startedAt: nanos(status?.startedAt ?? 0),
    finishedAt: nanos(status?.finishedAt ?? failed?.at ?? 0),
    exitCode,
    reason: exited ? reasonOf(exitCode, status, failed !== undefined) : '',
    message: failed?.message ?? '',
    mounts: own ? askedMounts(own) : (config?.mounts ?? []).map(mountMessage),
    logPath: own ? (own.config.logPath ? (own.prepared.logPath ?? '') : '') : (status?.logPath ?? ''),
    resources: { linux: resources(config?.limits ?? {}, config?.oomScoreAdj ?? 0) },
    ...(security
      ? {
          user: {
            linux: {
              ...{ uid: security.uid, gid: security.gid },
              supplementalGroups: [...new Set([security.gid, ...security.supplementalGroups])],
            },
          },
        }
      : {}),
  };
}

const mountMessage = (mount: Mount): Cri.Mount.$Properties => ({
  ...{ hostPath: mount.source, containerPath: mount.target, readonly: mount.readOnly },
  ...{
    recursiveReadOnly: mount.recursive ?? false,
    propagation: PROPAGATION[mount.propagation ?? 'private'],
  },
});

/** Not those that every container has; with the image that stands for each mounted one. */
function askedMounts({ config, prepared, volumes = [] }: OwnContainer): Cri.Mount.$Properties[] {
  const asked = config.mounts ?? [];
  const made = asked.length > 0 ? prepared.mounts.slice(-asked.length) : [];
  let next = 0;
  return made.map((mount, i) => ({
    ...mountMessage(mount),
    ...(asked[i]!.image?.image
      ? {
          image: { ...asked[i]!.image, imageRef: volumes[next++]! },
          imageSubPath: asked[i]!.imageSubPath ?? '',
          hostPath: '',
        }
      : {}),
  }));
}

function reasonOf(exitCode: number, status: ContainerStatus | undefined, failed: boolean): string {
  if (failed) return 'StartError';
  if (status?.oomKilled) return 'OOMKilled';
  return exitCode === 0 ? 'Completed' : 'Error';
}

const resources = ({ cpuShares, cpuQuota, memory }: Limits, oomScoreAdj: number) => ({
  ...{ cpuPeriod: 100_000, cpuQuota: cpuQuota ?? 0, cpuShares: cpuShares ?? 0 },
  ...{ memoryLimitInBytes: memory ?? 0, oomScoreAdj },
});
