/** Containers of the interface: all can be seen, and those of sandboxes made through it be changed. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import { RuntimeError } from '../../runtime/types.js';
import type { CriDeps } from './deps.js';
import { CriFailure, invalid, notFound } from './errors.js';
import { containerMounts, removeMounts } from './mounts.js';
import type { OwnContainer, OwnSandbox } from './own.js';
import { limits, prepare } from './prepare.js';
import { ofCluster } from './sandboxes.js';
import {
  type ContainerView,
  containerMessage,
  containerStatus,
  containerViews,
  findContainer,
  findSandbox,
  hasLabels,
} from './view.js';

const STATE = V1.ContainerState;

/** Makes nothing yet but a note of it. */
export async function createContainer(
  deps: CriDeps,
  { podSandboxId, config }: Cri.CreateContainerRequest.$Properties,
): Promise<Cri.CreateContainerResponse.$Properties> {
  const view = findSandbox(deps, podSandboxId ?? '');
  if (!view.own) throw ofCluster(view.metadata);
  if (!view.ready) throw new CriFailure(status.UNKNOWN, `sandbox ${view.id} is not running`);
  if (!config) throw invalid('container config is missing');
  const name = config.image?.image ?? '';
  const image = deps.images.find(name);
  if (!image) throw notFound('image', name);
  const clash = Object.values(view.own.containers).find(
    (other) =>
      other.config.metadata?.name === config.metadata?.name &&
      (other.config.metadata?.attempt ?? 0) === (config.metadata?.attempt ?? 0),
  );
  if (clash)
    throw new CriFailure(
      status.UNKNOWN,
      `name ${config.metadata?.name} is reserved for container ${clash.id}`,
    );
  const id = randomBytes(32).toString('hex');
  const { mounts, volumes } = await containerMounts(deps, view.own, config, id);
  const folder = deps.own.folder(view.id);
  const prepared = await prepare(view.own, config, image, { id, folder, mounts }).catch(async (error) => {
    await removeMounts(folder, id);
    throw error;
  });
  view.own.containers[id] = {
    id,
    config,
    createdAt: Date.now(),
    imageId: image.id,
    volumes: volumes.map((volume) => volume.id),
    prepared,
    started: false,
  };
  deps.own.save(view.own);
  return { containerId: id };
}

export async function startContainer(deps: CriDeps, id: string): Promise<void> {
  const { own, runtime } = deps;
  const { sandbox, container } = ownOf(deps, id);
  const { state } = findContainer(deps, container.id);
  if (state !== STATE.CONTAINER_CREATED)
    throw new CriFailure(status.UNKNOWN, `container ${container.id} is not in the state created`);
  await mkdir(dirname(container.prepared.logPath!), { recursive: true });
  try {
    await runtime.startContainer(container.prepared);
    container.started = true;
  } catch (error) {
    const exitCode = error instanceof RuntimeError ? error.exitCode : 128;
    container.failed = { message: (error as Error).message, exitCode, at: Date.now() };
    throw error;
  } finally {
    own.save(sandbox);
  }
}

export async function stopContainer(deps: CriDeps, id: string, seconds: number): Promise<void> {
  const { runtime, images } = deps;
  let found: ReturnType<typeof ownOf>;
  try {
    found = ownOf(deps, id);
  } catch (error) {
    if ((error as CriFailure).code === status.NOT_FOUND) return;
    throw error;
  }
  const { container } = found;
  if (findContainer(deps, container.id).state !== STATE.CONTAINER_RUNNING) return;
  const signal = images.get(container.imageId)?.config.stopSignal || 'SIGTERM';
  await runtime.stopContainer(container.id, signal, seconds * 1000);
}

export async function removeContainer(deps: CriDeps, id: string): Promise<void> {
  let found: ReturnType<typeof ownOf>;
  try {
    found = ownOf(deps, id);
  } catch (error) {
    if ((error as CriFailure).code === status.NOT_FOUND) return;
    throw error;
  }
  const { sandbox, container } = found;
  await stopContainer(deps, container.id, 0);
  await deps.runtime.removeContainer(container.id);
  await removeMounts(deps.own.folder(sandbox.id), container.id);
  delete sandbox.containers[container.id];
  deps.own.save(sandbox);
}

export async function updateResources(
  deps: CriDeps,
  { containerId, linux }: Cri.UpdateContainerResourcesRequest.$Properties,
): Promise<void> {
  const { sandbox, container } = ownOf(deps, containerId ?? '');
  const wanted = { ...container.prepared.limits, ...limits(linux) };
  if (findContainer(deps, container.id).state === STATE.CONTAINER_RUNNING)
    await deps.runtime.updateLimits(container.id, wanted);
  container.prepared = { ...container.prepared, limits: wanted };
  deps.own.save(sandbox);
}

export async function reopenLog(deps: CriDeps, id: string): Promise<void> {
  const view = findContainer(deps, id);
  if (view.state !== STATE.CONTAINER_RUNNING)
    throw new CriFailure(status.UNKNOWN, 'container is not running');
  await deps.runtime.reopenLog(view.id);
}

/** @throws NOT_FOUND, or FAILED_PRECONDITION for one of the cluster's. */
function ownOf(deps: CriDeps, id: string): { sandbox: OwnSandbox; container: OwnContainer } {
  const view = findContainer(deps, id);
  const found = deps.own.container(view.id);
  if (!found) throw ofCluster(findSandbox(deps, view.sandboxId).metadata);
  return found;
}

export function listContainers(deps: CriDeps, filter: Cri.ContainerFilter.$Properties | null | undefined) {
  const fits = (view: ContainerView) =>
    (!filter?.id || view.id.startsWith(filter.id)) &&
    (!filter?.podSandboxId || view.sandboxId.startsWith(filter.podSandboxId)) &&
    (!filter?.state || (filter.state.state ?? STATE.CONTAINER_CREATED) === view.state) &&
    hasLabels(view.labels, filter?.labelSelector);
  return { containers: containerViews(deps).filter(fits).map(containerMessage) };
}

export function statusOf(
  deps: CriDeps,
  id: string,
  verbose: boolean,
): Cri.ContainerStatusResponse.$Properties {
  const view = findContainer(deps, id);
  const { config, sandboxId, own, status: known } = view;
  const info = { sandboxID: sandboxId, pid: known?.pid ?? 0, config: own?.config, runtime: config };
  return {
    status: containerStatus(view, deps.images.get(view.imageId)),
    ...(verbose ? { info: { info: JSON.stringify(info) } } : {}),
  };
}
