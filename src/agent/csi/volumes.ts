/** Volumes of storage drivers: staged once for the node, published for each pod, and taken back in reverse. */
import { rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { Client } from '../../client/client.js';
import { csiNodeService } from '../../rpc/csi.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { VolumeError } from '../volumes/payloads.js';
import { giveToGroup } from '../volumes/persistent.js';
import {
  CsiContext,
  type CsiContextOptions,
  DeviceError,
  isMounted,
  nameOf,
  type TokenOf,
} from './context.js';
import type { Driver } from './drivers.js';
import { recordOf, type VolumeRecord } from './records.js';
import { type CsiVolume, capability, changesGroup } from './request.js';
import { shareRoot } from './root.js';
import { CsiUpkeep } from './upkeep.js';

export interface CsiVolumesOptions extends CsiContextOptions {
  client: Client;
  clock: Clock;
  logger: Logger;
  /** `inUse` has changed. */
  changed(): void;
}

const RETRY_MS = 5000;

export class CsiVolumes {
  readonly upkeep: CsiUpkeep;
  readonly #options: CsiVolumesOptions;
  readonly #context: CsiContext;
  readonly #inUse = new Set<string>();
  readonly #cancels = new Set<() => void>();
  #closed = false;

  constructor(options: CsiVolumesOptions) {
    this.#options = options;
    this.#context = new CsiContext(options);
    this.upkeep = new CsiUpkeep(this.#context, options.client);
  }

  /** For the node's status: what must not be detached from it. */
  get inUse(): string[] {
    return [...this.#inUse].sort();
  }

  /** A driver's pod is to mount below `path`: its mounts must reach the node where they are the kubelet's. */
  async shareRoot(path: string): Promise<void> {
    const { root } = this.#options;
    if (`${path}/`.startsWith(`${root}/`)) await shareRoot(root);
  }

  /** What an earlier agent has mounted. */
  async recover(): Promise<void> {
    for (const records of (await this.#context.layout.all()).values())
      for (const record of records) this.#use(record);
  }

  /** Mounts a volume for a pod and gives its path. Idempotent. @throws VolumeError, RpcError */
  async setUp(pod: Pod, volume: CsiVolume, token: TokenOf): Promise<string> {
    const record = recordOf(volume);
    this.#use(record);
    return this.#context.locked(record, async () => {
      const uid = pod.metadata.uid ?? '';
      const target = this.#context.layout.target(uid, record);
      if (await isMounted(target)) return target;
      if (volume.accessModes.includes('ReadWriteOncePod') && (await this.#isElsewhere(uid, record)))
        throw new VolumeError(
          'volume uses the ReadWriteOncePod access mode and is already in use by another pod',
        );
      const context = this.#context.publishContext(volume);
      const driver = this.#context.driver(volume.driver);
      const object = this.#context.object(volume.driver);
      await this.#context.layout.write(uid, record);
      const volumeCapability = capability(volume, driver, pod.spec.securityContext?.fsGroup);
      const stagingTargetPath = this.#context.stagingPath(volume, driver);
      if (stagingTargetPath)
        await this.#stage(driver, volume, { context, volumeCapability, stagingTargetPath });
      await makeFolder(dirname(target), 0o750);
      await this.#context.publish(pod, volume, token);
      if (changesGroup(volume, driver, object)) await giveToGroup(pod, target, volume.readOnly);
      return target;
    });
  }

  /** Unmounts all that the pod has of drivers. Rejects while a driver does not do its part. */
  async tearDown(uid: string): Promise<void> {
    for (const record of await this.#context.layout.recordsOf(uid))
      await this.#context.locked(record, () => this.#unmount(uid, record));
  }

  /** The same for pods that nobody knows any more: tried until it is done. */
  async sweep(known: ReadonlySet<string>): Promise<void> {
    for (const uid of (await this.#context.layout.all()).keys()) {
      if (known.has(uid)) continue;
      await this.tearDown(uid).catch((err) => {
        this.#options.logger.warn({ err, pod: uid }, 'volumes of a pod that is gone are not unmounted yet');
        this.#later(() => this.sweep(known));
      });
    }
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
  }

  #later(work: () => Promise<void>): void {
    if (this.#closed) return;
    const cancel = this.#options.clock.after(RETRY_MS, () => {
      this.#cancels.delete(cancel);
      void work();
    });
    this.#cancels.add(cancel);
  }

  /** MountDevice of upstream. */
  async #stage(
    driver: Driver,
    volume: CsiVolume,
    parts: {
      context: Record<string, string>;
      volumeCapability: ReturnType<typeof capability>;
      stagingTargetPath: string;
    },
  ): Promise<void> {
    const { context, stagingTargetPath, volumeCapability } = parts;
    try {
      await makeFolder(stagingTargetPath, 0o750);
      await driver.client.call(csiNodeService.nodeStageVolume, {
        volumeId: volume.handle,
        publishContext: context,
        stagingTargetPath,
        volumeCapability,
        secrets: this.#context.secrets(volume.stageSecret),
        volumeContext: volume.attributes,
      });
    } catch (error) {
      throw new DeviceError((error as Error).message);
    }
  }

  async #unmount(uid: string, record: VolumeRecord): Promise<void> {
    const driver = this.#context.driver(record.driverName);
    const { volumeHandle: volumeId } = record;
    const targetPath = this.#context.layout.target(uid, record);
    await driver.client.call(csiNodeService.nodeUnpublishVolume, { volumeId, targetPath });
    // A driver may leave the folder that it has made.
    if (!(await isMounted(targetPath))) await rm(targetPath, { recursive: true, force: true });
    // The folder of a block volume is there for the devices of all pods.
    if (record.volumeMode === 'Block') await rmdir(dirname(targetPath)).catch(() => {});
    if (await this.#isElsewhere(uid, record)) return this.#context.layout.forget(uid, record);
    if (driver.can.stage && record.volumeLifecycleMode === 'Persistent') await this.#unstage(driver, record);
    // Last, so that what fails before is tried again.
    await this.#context.layout.forget(uid, record);
    this.#inUse.delete(nameOf(record));
    this.#options.changed();
  }

  /** UnmountDevice of upstream. */
  async #unstage(driver: Driver, record: VolumeRecord): Promise<void> {
    const stagingTargetPath = this.#context.layout.staging(record);
    const { volumeHandle: volumeId } = record;
    await driver.client.call(csiNodeService.nodeUnstageVolume, { volumeId, stagingTargetPath });
    if (await isMounted(stagingTargetPath)) return;
    const folder = record.volumeMode === 'Block' ? stagingTargetPath : dirname(stagingTargetPath);
    await rm(folder, { recursive: true, force: true });
  }

  async #isElsewhere(uid: string, record: VolumeRecord): Promise<boolean> {
    return [...(await this.#context.layout.all())].some(
      ([other, records]) => other !== uid && records.some((one) => nameOf(one) === nameOf(record)),
    );
  }

  #use(record: VolumeRecord): void {
    if (record.volumeLifecycleMode === 'Ephemeral' || this.#inUse.has(nameOf(record))) return;
    this.#inUse.add(nameOf(record));
    this.#options.changed();
  }
}
