/** Volumes of storage drivers: staged once for the node, published for each pod, and taken back in reverse. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { CSIDriver, Pod, Secret, VolumeAttachment } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { CSI_ATTACH_PREFIX } from '../../api/storage/annotations.js';
import { attachmentName } from '../../api/storage/attachment.js';
import { csiNodeService } from '../../rpc/csi.js';
import type { NodeObjects } from '../hub/objects.js';
import { VolumeError } from '../volumes/payloads.js';
import { giveToGroup } from '../volumes/persistent.js';
import type { CsiDrivers, Driver } from './drivers.js';
import { CsiLayout, recordOf, type VolumeRecord } from './records.js';
import { type CsiVolume, capability, changesGroup, podInfo, secretData } from './request.js';
import { shareRoot } from './root.js';

/** Staging failed: upstream tells of it in other words than of the rest. */
export class DeviceError extends VolumeError {}
/** The volume is not attached to the node yet. */
export class AttachPending extends VolumeError {}

export interface CsiVolumesOptions {
  node: string;
  /** The kubelet's root as drivers see it. */
  root: string;
  drivers: CsiDrivers;
  objects: NodeObjects;
  clock: Clock;
  logger: Logger;
  /** `inUse` has changed. */
  changed(): void;
}

export type TokenOf = (audience: string, seconds: number) => Promise<string>;

const RETRY_MS = 5000;

export class CsiVolumes {
  readonly layout: CsiLayout;
  readonly #options: CsiVolumesOptions;
  /** One thing at a time for each volume. */
  readonly #locks = new Map<string, Promise<unknown>>();
  readonly #inUse = new Set<string>();
  readonly #cancels = new Set<() => void>();
  #closed = false;

  constructor(options: CsiVolumesOptions) {
    this.#options = options;
    this.layout = new CsiLayout(options.root);
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
    for (const records of (await this.layout.all()).values()) for (const record of records) this.#use(record);
  }

  /** Mounts a volume for a pod and gives its path. Idempotent. @throws VolumeError, RpcError */
  async setUp(pod: Pod, volume: CsiVolume, token: TokenOf): Promise<string> {
    const record = recordOf(volume);
    this.#use(record);
    return this.#locked(record, async () => {
      const uid = pod.metadata.uid ?? '';
      const target = this.layout.target(uid, record);
      if (await isMounted(target)) return target;
      const context = this.#publishContext(volume);
      const driver = this.#driver(volume.driver);
      const object = this.#object(volume.driver);
      await this.layout.write(uid, record);
      const group = pod.spec.securityContext?.fsGroup;
      const volumeCapability = capability(volume, driver, group);
      const stagingTargetPath = volume.ephemeral || !driver.can.stage ? '' : this.layout.staging(record);
      if (stagingTargetPath)
        await this.#stage(driver, volume, { context, volumeCapability, stagingTargetPath });
      await mkdir(dirname(target), { recursive: true, mode: 0o750 });
      await driver.client.call(csiNodeService.nodePublishVolume, {
        volumeId: volume.handle,
        publishContext: context,
        stagingTargetPath,
        targetPath: target,
        volumeCapability,
        readonly: volume.readOnly,
        secrets: this.#secrets(volume.publishSecret),
        volumeContext: {
          ...volume.attributes,
          ...podInfo(pod, volume, object),
          ...(await tokens(object, token)),
        },
      });
      if (changesGroup(volume, driver, object)) await giveToGroup(pod, target, volume.readOnly);
      return target;
    });
  }

  /** Unmounts all that the pod has of drivers. Rejects while a driver does not do its part. */
  async tearDown(uid: string): Promise<void> {
    for (const record of await this.layout.recordsOf(uid))
      await this.#locked(record, () => this.#unmount(uid, record));
  }

  /** The same for pods that nobody knows any more: tried until it is done. */
  async sweep(known: ReadonlySet<string>): Promise<void> {
    for (const uid of (await this.layout.all()).keys()) {
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
      await mkdir(stagingTargetPath, { recursive: true, mode: 0o750 });
      await driver.client.call(csiNodeService.nodeStageVolume, {
        volumeId: volume.handle,
        publishContext: context,
        stagingTargetPath,
        volumeCapability,
        secrets: this.#secrets(volume.stageSecret),
        volumeContext: volume.attributes,
      });
    } catch (error) {
      throw new DeviceError((error as Error).message);
    }
  }

  async #unmount(uid: string, record: VolumeRecord): Promise<void> {
    const driver = this.#driver(record.driverName);
    const { volumeHandle: volumeId } = record;
    const targetPath = this.layout.target(uid, record);
    await driver.client.call(csiNodeService.nodeUnpublishVolume, { volumeId, targetPath });
    // A driver may leave the folder that it has made.
    if (!(await isMounted(targetPath))) await rm(targetPath, { recursive: true, force: true });
    await this.layout.forget(uid, record);
    const others = [...(await this.layout.all()).values()].flat();
    if (others.some((other) => nameOf(other) === nameOf(record))) return;
    if (driver.can.stage && record.volumeLifecycleMode === 'Persistent') {
      const stagingTargetPath = this.layout.staging(record);
      await driver.client.call(csiNodeService.nodeUnstageVolume, { volumeId, stagingTargetPath });
      if (!(await isMounted(stagingTargetPath))) {
        const folder = record.volumeMode === 'Block' ? stagingTargetPath : dirname(stagingTargetPath);
        await rm(folder, { recursive: true, force: true });
      }
    }
    this.#inUse.delete(nameOf(record));
    this.#options.changed();
  }

  #use(record: VolumeRecord): void {
    if (record.volumeLifecycleMode === 'Ephemeral' || this.#inUse.has(nameOf(record))) return;
    this.#inUse.add(nameOf(record));
    this.#options.changed();
  }

  /** What the attachment tells the driver; empty where nothing is attached. @throws AttachPending */
  #publishContext({ driver, handle, ephemeral }: CsiVolume): Record<string, string> {
    if (ephemeral || this.#object(driver)?.spec.attachRequired === false) return {};
    const { objects, node } = this.#options;
    const name = attachmentName(handle, driver, node);
    const attachment = objects.get<VolumeAttachment>('volumeattachments', name);
    if (!attachment?.status?.attached || attachment.metadata.deletionTimestamp)
      throw new AttachPending(`volume ${handle} is not attached to the node`);
    return { ...attachment.status.attachmentMetadata };
  }

  #driver(name: string): Driver {
    const driver = this.#options.drivers.get(name);
    if (driver === undefined)
      throw new DeviceError(
        `kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name ${name} not found in the list of registered CSI drivers`,
      );
    return driver;
  }

  #object(name: string): CSIDriver | undefined {
    return this.#options.objects.get<CSIDriver>('csidrivers', name);
  }

  #secrets(key: string | undefined): Record<string, string> {
    return key === undefined ? {} : secretData(this.#options.objects.get<Secret>('secrets', key), key);
  }

  #locked<T>(record: VolumeRecord, work: () => Promise<T>): Promise<T> {
    const key = nameOf(record);
    const result = (this.#locks.get(key) ?? Promise.resolve()).then(work, work);
    const settled = result.catch(() => {});
    this.#locks.set(key, settled);
    void settled.then(() => this.#locks.get(key) === settled && this.#locks.delete(key));
    return result;
  }
}

const nameOf = ({ driverName, volumeHandle }: VolumeRecord): string =>
  `${CSI_ATTACH_PREFIX}${driverName}^${volumeHandle}`;

async function isMounted(path: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const escaped = path.replaceAll('\\', '\\134').replaceAll(' ', '\\040');
  return table.includes(` ${escaped} `);
}

/** Tokens of the pod's account for the audiences that the driver asks for. */
async function tokens(object: CSIDriver | undefined, token: TokenOf): Promise<Record<string, string>> {
  const requests = object?.spec.tokenRequests ?? [];
  if (requests.length === 0) return {};
  const found: Record<string, { token: string; expirationTimestamp: string }> = {};
  for (const { audience, expirationSeconds = 3600 } of requests) {
    const text = await token(audience, expirationSeconds);
    const { exp } = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString());
    const expirationTimestamp = `${new Date(exp * 1000).toISOString().slice(0, 19)}Z`;
    found[audience] = { token: text, expirationTimestamp };
  }
  return { 'csi.storage.k8s.io/serviceAccount.tokens': JSON.stringify(found) };
}
