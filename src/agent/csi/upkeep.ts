/** What is done for volumes of storage drivers while pods use them: they grow, are published anew, and are measured. */
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '#types';
import { compareQuantities, quantityValue } from '../../api/machinery/quantity.js';
import type { Client, ResourceRef } from '../../client/client.js';
import { csiNodeService, UsageUnit } from '../../rpc/csi.js';
import { RpcError } from '../../rpc/unix-client.js';
import type { CsiContext, TokenOf } from './context.js';
import { recordOf } from './records.js';
import { type CsiVolume, capability, persistentCsiVolume } from './request.js';

const CLAIMS: ResourceRef<PersistentVolumeClaim> = {
  ...{ group: '', version: 'v1', apiVersion: 'v1' },
  ...{ plural: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim', namespaced: true },
};
/** A driver that says so will say it again: OutOfRange, InvalidArgument, NotFound. */
const INFEASIBLE = [11, 3, 5];
/** Conditions that end with the growth of a claim. */
const RESIZING = ['Resizing', 'FileSystemResizePending', 'ControllerResizeError', 'NodeResizeError'];
const STATS_MS = 5000;

export interface VolumeUsage {
  availableBytes: number;
  capacityBytes: number;
  usedBytes: number;
  inodesFree: number;
  inodes: number;
  inodesUsed: number;
}

export class CsiUpkeep {
  constructor(
    private readonly context: CsiContext,
    private readonly client: Client,
  ) {}

  /** NodePublishVolume again, for drivers that want it: tokens may be others (CSIDriver `requiresRepublish`). */
  async republish(pod: Pod, volume: CsiVolume, token: TokenOf): Promise<void> {
    if (!this.context.object(volume.driver)?.spec.requiresRepublish) return;
    await this.context.locked(recordOf(volume), () => this.context.publish(pod, volume, token));
  }

  /**
   * The node's part of a claim that becomes larger; false: there is nothing to do. The claim's status says so
   * afterwards. @throws RpcError when the driver fails
   */
  async grow(pod: Pod, found: PersistentVolume, claim: PersistentVolumeClaim): Promise<boolean> {
    const driver = this.context.find(found.spec.csi?.driver ?? '');
    const size = found.spec.capacity?.['storage'];
    const has = claim.status?.capacity?.['storage'];
    const isRefused = claim.status?.allocatedResourceStatuses?.['storage'] === 'NodeResizeInfeasible';
    if (!driver?.can.expand || !size || !has || isRefused || compareQuantities(size, has) <= 0) return false;
    const volume = persistentCsiVolume(found, false);
    return this.context.locked(recordOf(volume), async () => {
      try {
        await driver.client.call(csiNodeService.nodeExpandVolume, {
          volumeId: volume.handle,
          volumePath: this.#target(pod, volume),
          stagingTargetPath: this.context.stagingPath(volume, driver),
          capacityRange: { requiredBytes: quantityValue(size) },
          volumeCapability: capability(volume, driver, pod.spec.securityContext?.fsGroup),
          secrets: this.context.secrets(volume.expandSecret),
        });
      } catch (error) {
        if (error instanceof RpcError && INFEASIBLE.includes(error.code))
          await this.#write(claim, { allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' } });
        throw error;
      }
      const conditions = claim.status?.conditions?.filter(({ type }) => !RESIZING.includes(type));
      await this.#write(claim, {
        ...{ capacity: { storage: size }, allocatedResourceStatuses: { storage: null } },
        conditions: conditions?.length ? conditions : null,
      });
      return true;
    });
  }

  /** What the driver says that is in use; undefined where it can't say. */
  async usage(pod: Pod, volume: CsiVolume): Promise<VolumeUsage | undefined> {
    const driver = this.context.find(volume.driver);
    if (!driver?.can.stats) return undefined;
    const request = {
      ...{ volumeId: volume.handle, volumePath: this.#target(pod, volume) },
      stagingTargetPath: this.context.stagingPath(volume, driver),
    };
    const answer = await driver.client
      .call(csiNodeService.nodeGetVolumeStats, request, STATS_MS)
      .catch(() => undefined);
    const of = (unit: number) => answer?.usage?.find((one) => one.unit === unit);
    const [bytes, inodes] = [of(UsageUnit.BYTES), of(UsageUnit.INODES)];
    if (!bytes) return undefined;
    return {
      availableBytes: number(bytes.available),
      capacityBytes: number(bytes.total),
      usedBytes: number(bytes.used),
      inodesFree: number(inodes?.available),
      inodes: number(inodes?.total),
      inodesUsed: number(inodes?.used),
    };
  }

  #target({ metadata }: Pod, volume: CsiVolume): string {
    return this.context.layout.target(metadata.uid ?? '', recordOf(volume));
  }

  async #write({ metadata }: PersistentVolumeClaim, status: object): Promise<void> {
    const { namespace = '', name, uid } = metadata;
    const patch = { metadata: { uid }, status };
    await this.client.of(CLAIMS).patch(namespace, name, patch, { type: 'merge', subresource: 'status' });
  }
}

/** 64-bit numbers come as objects where they are large. */
const number = (value: unknown): number => Number(String(value ?? 0));
