/** What a device changes of a container that has it (Container Device Interface, https://github.com/cncf-tags/container-device-interface). */
import { posix } from 'node:path';
import type { Device, Mount } from '../../runtime/types.js';

export interface ContainerEdits {
  /** `NAME=value`. */
  env: string[];
  mounts: Mount[];
  devices: Device[];
  /** Supplemental groups. */
  groups: number[];
}

export const noEdits = (): ContainerEdits => ({ env: [], mounts: [], devices: [], groups: [] });

/** `containerEdits` of a CDI file. */
export interface CdiEdits {
  env?: string[];
  deviceNodes?: { path?: string; hostPath?: string; permissions?: string }[];
  mounts?: { hostPath?: string; containerPath?: string; options?: string[]; type?: string }[];
  hooks?: { hookName?: string }[];
  additionalGids?: number[];
  netDevices?: unknown[];
}

const PROPAGATION = {
  private: 'private',
  rprivate: 'private',
  rslave: 'rslave',
  rshared: 'rshared',
} as const;

/** Adds the edits of a file to `edits`. @throws Error for what this runtime can't do. */
export function addEdits(edits: ContainerEdits, added: CdiEdits | undefined): void {
  if (added?.hooks?.length) throw new Error(`${added.hooks[0]?.hookName ?? ''} hooks are not supported`);
  if (added?.netDevices?.length) throw new Error('network devices are not supported');
  edits.env.push(...(added?.env ?? []));
  edits.groups.push(...(added?.additionalGids ?? []));
  for (const { path = '', hostPath, permissions } of added?.deviceNodes ?? [])
    edits.devices.push({ source: hostPath || path, target: absolute(path), access: permissions || 'rwm' });
  for (const { hostPath = '', containerPath = '', options = [], type } of added?.mounts ?? []) {
    if (type && type !== 'bind' && type !== 'none')
      throw new Error(`mounts of type ${type} are not supported`);
    const propagation = options.flatMap((option) => PROPAGATION[option as keyof typeof PROPAGATION] ?? [])[0];
    edits.mounts.push({
      source: hostPath,
      target: absolute(containerPath),
      readOnly: options.includes('ro'),
      ...(propagation ? { propagation } : {}),
    });
  }
}

function absolute(path: string): string {
  if (!posix.isAbsolute(path)) throw new Error(`"${path}" is no absolute path`);
  return path;
}
