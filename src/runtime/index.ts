/** The container runtime of a node: sandboxes, containers, exec and attach over one keelson-shim a pod. */
import type { Logger } from 'pino';
import type { ImageStore, Runtime } from './types.js';

export interface RuntimeOptions {
  cluster: string;
  node: string;
  /** On a tmpfs that a reboot clears, such as `/run/keelson/<cluster>/<node>`. */
  stateDir: string;
  /** Writable layers of containers live below; on disk. Absent: `<stateDir>/data`. */
  dataDir?: string;
  /** Below each hierarchy's mount, such as `keelson/<cluster>/<node>`. */
  cgroupRoot: string;
  images: ImageStore;
  /** The keelson-shim binary. */
  shimPath: string;
  /** How long a shim may take to answer before it is asked for a sign of life, and that before it is killed. */
  shimPatienceMs?: number;
  /** Where the per-container log links go; empty: none. */
  logLinkDir?: string;
  logger: Logger;
}

export type { Runtime } from './types.js';

export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { ContainerRuntime } = await import('./runtime.js');
  return ContainerRuntime.open(options);
}
