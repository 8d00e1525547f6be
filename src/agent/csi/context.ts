/** What everything that is done for volumes of storage drivers needs: the drivers, what the API says, and a turn. */
import { readFile } from 'node:fs/promises';
import type { CSIDriver, Pod, Secret, VolumeAttachment } from '#types';
import { CSI_ATTACH_PREFIX } from '../../api/storage/annotations.js';
import { attachmentName } from '../../api/storage/attachment.js';
import { csiNodeService } from '../../rpc/csi.js';
import type { NodeObjects } from '../hub/objects.js';
import { VolumeError } from '../volumes/payloads.js';
import type { CsiDrivers, Driver } from './drivers.js';
import { CsiLayout, recordOf, type VolumeRecord } from './records.js';
import { type CsiVolume, capability, podInfo, secretData } from './request.js';

/** Staging failed: upstream tells of it in other words than of the rest. */
export class DeviceError extends VolumeError {}
/** The volume is not attached to the node yet. */
export class AttachPending extends VolumeError {}

export type TokenOf = (audience: string, seconds: number) => Promise<string>;

export interface CsiContextOptions {
  node: string;
  /** The kubelet's root as drivers see it. */
  root: string;
  drivers: CsiDrivers;
  objects: NodeObjects;
}

export class CsiContext {
  readonly layout: CsiLayout;
  readonly #options: CsiContextOptions;
  /** One thing at a time for each volume. */
  readonly #locks = new Map<string, Promise<unknown>>();

  constructor(options: CsiContextOptions) {
    this.#options = options;
    this.layout = new CsiLayout(options.root);
  }

  /** What the attachment tells the driver; empty where nothing is attached. @throws AttachPending */
  publishContext({ driver, handle, ephemeral }: CsiVolume): Record<string, string> {
    if (ephemeral || this.object(driver)?.spec.attachRequired === false) return {};
    const { objects, node } = this.#options;
    const name = attachmentName(handle, driver, node);
    const attachment = objects.get<VolumeAttachment>('volumeattachments', name);
    if (!attachment?.status?.attached || attachment.metadata.deletionTimestamp)
      throw new AttachPending(`volume ${handle} is not attached to the node`);
    return { ...attachment.status.attachmentMetadata };
  }

  find(name: string): Driver | undefined {
    return this.#options.drivers.get(name);
  }

  /** @throws DeviceError when it is not there */
  driver(name: string): Driver {
    const driver = this.#options.drivers.get(name);
    if (driver === undefined)
      throw new DeviceError(
        `kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name ${name} not found in the list of registered CSI drivers`,
      );
    return driver;
  }

  object(name: string): CSIDriver | undefined {
    return this.#options.objects.get<CSIDriver>('csidrivers', name);
  }

  secrets(key: string | undefined): Record<string, string> {
    return key === undefined ? {} : secretData(this.#options.objects.get<Secret>('secrets', key), key);
  }

  /** Empty where the driver does not stage. */
  stagingPath(volume: CsiVolume, { can }: Driver): string {
    return volume.ephemeral || !can.stage ? '' : this.layout.staging(recordOf(volume));
  }

  /** NodePublishVolume for a pod; also again, with fresh tokens. */
  async publish(pod: Pod, volume: CsiVolume, token: TokenOf): Promise<void> {
    const driver = this.driver(volume.driver);
    const object = this.object(volume.driver);
    await driver.client.call(csiNodeService.nodePublishVolume, {
      volumeId: volume.handle,
      publishContext: this.publishContext(volume),
      stagingTargetPath: this.stagingPath(volume, driver),
      targetPath: this.layout.target(pod.metadata.uid ?? '', recordOf(volume)),
      volumeCapability: capability(volume, driver, pod.spec.securityContext?.fsGroup),
      readonly: volume.readOnly,
      secrets: this.secrets(volume.publishSecret),
      volumeContext: {
        ...volume.attributes,
        ...podInfo(pod, volume, object),
        ...(await tokens(object, token)),
      },
    });
  }

  locked<T>(record: VolumeRecord, work: () => Promise<T>): Promise<T> {
    const key = nameOf(record);
    const result = (this.#locks.get(key) ?? Promise.resolve()).then(work, work);
    const settled = result.catch(() => {});
    this.#locks.set(key, settled);
    void settled.then(() => this.#locks.get(key) === settled && this.#locks.delete(key));
    return result;
  }
}

export const nameOf = ({ driverName, volumeHandle }: VolumeRecord): string =>
  `${CSI_ATTACH_PREFIX}${driverName}^${volumeHandle}`;

export async function isMounted(path: string): Promise<boolean> {
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
