/** What all sandboxes of a runtime share. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Cgroups } from './cgroup/cgroup.js';
import type { ContainerStatus, ImageStore } from './types.js';

export interface Environment {
  stateDir: string;
  dataDir: string;
  cgroupRoot: string;
  cgroups: Cgroups;
  images: ImageStore;
  shimPath: string;
  /** How long a shim may take to answer before it is asked for a sign of life; then it is given up. */
  shimPatienceMs?: number;
  /** Start of the names of files with built system call filters. */
  seccompCache: string;
  /** Folder of the containers' log links; empty for none. */
  logLinkDir: string;
  logger: Logger;
  onExit(status: ContainerStatus): void;
  onGone(sandboxId: string): void;
}

export const sandboxesDir = (env: Environment) => join(env.stateDir, 'sandboxes');
export const containersDir = (env: Environment) => join(env.dataDir, 'containers');
/** A shim's own group: its memory is no pod's. */
export const shimGroup = (env: Environment, id: string) => join(env.cgroupRoot, 'shims', id);
