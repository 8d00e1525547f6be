/** One look at the counters of all pods of the node. */
import type { Pod } from '#types';
import type { ContainerStats, ContainerStatus, SandboxStatus } from '../../../runtime/types.js';
import type { PodWorker } from '../../pods/worker.js';
import type { EndpointDeps } from '../answers.js';

export interface ContainerLook {
  status: ContainerStatus;
  /** Its image's name. */
  image: string;
  /** When it was read, in ms. */
  time: number;
  stats: ContainerStats;
}

export interface PodLook {
  pod: Pod;
  worker: PodWorker;
  sandbox: SandboxStatus;
  time: number;
  /** Of the pod as a whole. */
  stats: ContainerStats;
  /** Those that run. */
  containers: ContainerLook[];
}

/** Pods with a sandbox that lives; `failed` tells whether one could not be read that still runs. */
export async function lookAtPods(deps: EndpointDeps): Promise<{ pods: PodLook[]; failed: boolean }> {
  const { pods, runtime, node } = deps;
  let failed = false;
  const read = async (id: string): Promise<ContainerStats | undefined> => {
    try {
      return await runtime.stats(id);
    } catch {
      failed ||= runtime
        .sandboxes()
        .some((s) => s.containers.some((c) => c.id === id && c.state === 'running'));
      return undefined;
    }
  };
  const found = await Promise.all(
    pods.list().map(async (worker): Promise<PodLook | undefined> => {
      const { pod } = worker;
      const sandbox = runtime.sandbox(pod.metadata.uid ?? '');
      if (!sandbox?.alive) return undefined;
      const stats = await read(sandbox.id);
      const time = Date.now();
      if (!stats) return undefined;
      const containers: ContainerLook[] = [];
      for (const status of sandbox.containers.filter(({ state }) => state === 'running')) {
        const own = await read(status.id);
        const image = node.images.get(status.imageId)?.tags[0] ?? status.imageId;
        if (own) containers.push({ status, image, time: Date.now(), stats: own });
      }
      return { pod, worker, sandbox, time, stats, containers };
    }),
  );
  return { pods: found.filter((look) => look !== undefined), failed };
}
