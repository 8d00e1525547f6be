/** What is left of a pod whose containers have ended, taken down in an order that a next agent can go on with. */
import { rm } from 'node:fs/promises';
import type { Pod } from '#types';
import { crashPoint } from '../../runtime/crash-points.js';
import { logDirectory } from './container-config.js';
import type { PodEnd } from './pod-end.js';
import type { PodSandbox } from './pod-sandbox.js';
import type { PodStorage } from './pod-storage.js';
import type { WorkerDeps } from './worker-deps.js';

export interface EndedPod {
  readonly pod: Pod;
  readonly end: PodEnd;
  readonly sandbox: PodSandbox;
  readonly storage: PodStorage;
}

/** Resolves with whether nothing is left; of a pod that the API keeps, its logs are. Its last status must have been told. */
export async function takeDown(
  { pod, end, sandbox, storage }: EndedPod,
  deps: WorkerDeps,
): Promise<'gone' | 'kept'> {
  const { uid = '' } = pod.metadata;
  const deleting = end.isDeleted;
  // A pod that stays in the API keeps its last status there: the runtime must not forget it before.
  if (!deleting) await deps.statusSent(uid);
  await sandbox.remove(pod);
  crashPoint('sandbox removed');
  deps.users.release(uid);
  if (!deleting) {
    // What is over needs no room on the disk; who takes the node down finds its logs by its record.
    await storage.tearDown('record');
    return 'kept';
  }
  // The folder goes last: by it, a next agent finds what this one did not come to remove.
  await rm(logDirectory(pod), { recursive: true, force: true });
  crashPoint('logs removed');
  await storage.tearDown();
  crashPoint('volumes removed');
  if (!end.forgotten) {
    await deps.statusSent(uid);
    crashPoint('last status sent');
    await deps.confirmDeleted(pod);
    crashPoint('pod deleted');
  }
  return 'gone';
}
