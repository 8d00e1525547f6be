/** What is mounted of storage drivers' volumes, on disk: for an agent that comes later, and as the kubelet writes it. */
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../runtime/make-folder.js';
import type { CsiVolume } from './request.js';

export interface VolumeRecord {
  driverName: string;
  volumeHandle: string;
  specVolID: string;
  volumeLifecycleMode: 'Persistent' | 'Ephemeral';
  volumeMode: 'Filesystem' | 'Block';
}

const FILE = 'vol_data.json';

/** The folders below the kubelet's root that drivers know. */
export class CsiLayout {
  constructor(readonly root: string) {}

  get pods(): string {
    return join(this.root, 'pods');
  }

  volumesOf(uid: string): string {
    return join(this.pods, uid, 'volumes', 'kubernetes.io~csi');
  }

  /** What belongs to one volume of a pod. */
  folder(uid: string, specName: string): string {
    return join(this.volumesOf(uid), specName);
  }

  target(uid: string, { specVolID, volumeMode }: VolumeRecord): string {
    return volumeMode === 'Block'
      ? join(this.#devices, 'publish', specVolID, uid)
      : join(this.folder(uid, specVolID), 'mount');
  }

  staging({ driverName, volumeHandle, specVolID, volumeMode }: VolumeRecord): string {
    const hash = createHash('sha256').update(volumeHandle).digest('hex');
    return volumeMode === 'Block'
      ? join(this.#devices, 'staging', specVolID)
      : join(this.root, 'plugins/kubernetes.io/csi', driverName, hash, 'globalmount');
  }

  get #devices(): string {
    return join(this.root, 'plugins/kubernetes.io/csi/volumeDevices');
  }

  /** Pods that have volumes of drivers, with what each has. */
  async all(): Promise<Map<string, VolumeRecord[]>> {
    const found = new Map<string, VolumeRecord[]>();
    for (const uid of await readdir(this.pods).catch(() => [])) {
      const records = await this.recordsOf(uid);
      if (records.length > 0) found.set(uid, records);
    }
    return found;
  }

  async recordsOf(uid: string): Promise<VolumeRecord[]> {
    const names = await readdir(this.volumesOf(uid)).catch(() => []);
    const records = await Promise.all(names.map((name) => this.#read(join(this.folder(uid, name), FILE))));
    return records.filter((record) => record !== undefined);
  }

  async write(uid: string, record: VolumeRecord): Promise<void> {
    const folder = this.folder(uid, record.specVolID);
    await makeFolder(folder, 0o750);
    await writeFile(join(folder, FILE), JSON.stringify(record));
  }

  async forget(uid: string, { specVolID }: VolumeRecord): Promise<void> {
    await rm(join(this.folder(uid, specVolID), FILE), { force: true });
    await rm(this.folder(uid, specVolID), { recursive: true, force: true });
    const left = await readdir(this.volumesOf(uid)).catch(() => []);
    if (left.length === 0) await rm(join(this.pods, uid), { recursive: true, force: true });
  }

  async #read(file: string): Promise<VolumeRecord | undefined> {
    try {
      return JSON.parse(await readFile(file, 'utf8'));
    } catch {
      return undefined;
    }
  }
}

export const recordOf = (volume: CsiVolume): VolumeRecord => ({
  driverName: volume.driver,
  volumeHandle: volume.handle,
  specVolID: volume.specName,
  volumeLifecycleMode: volume.ephemeral ? 'Ephemeral' : 'Persistent',
  volumeMode: volume.block ? 'Block' : 'Filesystem',
});
