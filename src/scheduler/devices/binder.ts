/** The cluster's devices for the scheduler, and what it does to give a pod's claims their devices before the pod its node. */
import type {
  AllocationResult,
  DeviceClass,
  Node,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
  ResourceSlice,
} from '#types';
import { type KubeObject, objectKey, produce } from '../../api/machinery/types.js';
import { deviceClasses, resourceClaims, resourceSlices } from '../../api/resources/index.js';
import {
  CLAIM_FINALIZER,
  canBeReserved,
  isReservedFor,
  reservation,
} from '../../api/resources/resource/pod-claims.js';
import { type Client, type Informer, type Informers, retryOnConflict } from '../../client/index.js';
import { allocate, type Inventory, takenBy } from './allocate.js';
import { deviceId, type Pool, poolsOf } from './pools.js';
import { claimsOf, type DeviceView } from './view.js';

export interface DeviceBinderOptions {
  client: Client;
  informers: Informers;
  /** Devices or claims have changed: pods that wait for them may fit now. */
  changed(): void;
  /** What was to be written in passing could not be. */
  failed(error: unknown, claim: string): void;
}

export class DeviceBinder implements DeviceView {
  readonly synced: Promise<unknown>;
  readonly #options: DeviceBinderOptions;
  readonly #claims: Informer<ResourceClaim>;
  readonly #classes: Informer<DeviceClass>;
  readonly #slices: Informer<ResourceSlice>;
  /** UID of a claim → what it is about to get. */
  readonly #pending = new Map<string, AllocationResult>();
  #pools: Pool[] | undefined;
  #taken: Set<string> | undefined;
  readonly #unsubscribe: (() => void)[];

  constructor(options: DeviceBinderOptions) {
    const { informers } = options;
    this.#options = options;
    this.#claims = informers.of(resourceClaims);
    this.#classes = informers.of(deviceClasses);
    this.#slices = informers.of(resourceSlices);
    this.synced = Promise.all([this.#claims.synced, this.#classes.synced, this.#slices.synced]);
    this.#unsubscribe = [
      this.#onChange(this.#claims, () => {
        this.#taken = undefined;
      }),
      this.#onChange(this.#classes, () => {}),
      this.#onChange(this.#slices, () => {
        this.#pools = undefined;
      }),
    ];
  }

  claim(key: string): ResourceClaim | undefined {
    return this.#claims.get(key);
  }

  isPending({ metadata }: ResourceClaim): boolean {
    return this.#pending.has(metadata.uid ?? '');
  }

  inventory(): Inventory {
    this.#pools ??= poolsOf(this.#slices.list());
    this.#taken ??= this.#allTaken();
    return { pools: this.#pools, taken: this.#taken, deviceClass: (name) => this.#classes.get(name) };
  }

  deallocate(claim: ResourceClaim): void {
    const { allocation: _, reservedFor: __, ...status } = claim.status ?? {};
    this.#options.client
      .of(resourceClaims)
      .update({ ...claim, status }, { subresource: 'status' })
      .catch((error: unknown) => this.#options.failed(error, objectKey(claim)));
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /**
   * Decides on the devices of a pod that goes to `node`: from now on they count as taken. Returns what writes that, for
   * the pod to be bound after; undefined if there is nothing to do. It rejects when the pod is to be scheduled anew, and
   * `undo` takes back what was written for it.
   */
  reserve(pod: Pod, node: Node): { bind(): Promise<void>; undo(): Promise<void> } | undefined {
    if (!pod.spec.resourceClaims?.length) return undefined;
    const claims = claimsOf(pod, this);
    const waiting = claims.filter(({ status }) => !status?.allocation);
    const allocations = waiting.length > 0 ? (allocate(waiting, node, this.inventory()) ?? []) : [];
    for (const [i, allocation] of allocations.entries())
      this.#pending.set(waiting[i]!.metadata.uid ?? '', allocation);
    this.#taken = undefined;
    const reserved: ResourceClaim[] = [];
    return {
      bind: async () => {
        for (const claim of claims)
          if (!isReservedFor(pod, claim)) {
            await this.#reserve(claim, pod);
            reserved.push(claim);
          }
      },
      undo: async () => {
        for (const { metadata } of waiting) this.#settle(metadata.uid);
        for (const claim of reserved) await this.#unreserve(claim, pod);
      },
    };
  }

  /** Writes the devices of a claim, where it has none yet, and that the pod uses it. */
  async #reserve({ metadata }: ResourceClaim, pod: Pod): Promise<void> {
    const { uid = '', namespace = '', name } = metadata;
    const api = this.#options.client.of(resourceClaims);
    const allocation = this.#pending.get(uid);
    await retryOnConflict(async () => {
      let claim = await api.get(namespace, name);
      if (claim.metadata.uid !== uid)
        throw new Error(`claim ${namespace}/${name} got deleted in the meantime`);
      if (claim.metadata.deletionTimestamp)
        throw new Error(`claim ${namespace}/${name} got deleted in the meantime`);
      if (allocation && claim.status?.allocation)
        throw new Error(`claim ${namespace}/${name} got allocated elsewhere in the meantime`);
      if (!allocation && !claim.status?.allocation)
        throw new Error(`claim ${namespace}/${name} got deallocated elsewhere in the meantime`);
      if (!canBeReserved(claim)) throw new Error(`claim ${namespace}/${name} is in use`);
      if (!claim.metadata.finalizers?.includes(CLAIM_FINALIZER))
        claim = await api.update(
          produce(claim, (draft) => {
            draft.metadata.finalizers = [...(draft.metadata.finalizers ?? []), CLAIM_FINALIZER];
          }),
        );
      await api.update(
        produce(claim, (draft) => {
          draft.status ??= {};
          if (allocation) draft.status.allocation = allocation;
          draft.status.reservedFor = [...(draft.status.reservedFor ?? []), reservation(pod)];
        }),
        { subresource: 'status' },
      );
    });
  }

  async #unreserve({ metadata }: ResourceClaim, pod: Pod): Promise<void> {
    const { uid, namespace = '', name } = metadata;
    const reservedFor = [{ $patch: 'delete', uid: pod.metadata.uid }];
    await this.#options.client
      .of(resourceClaims)
      .patch(
        namespace,
        name,
        { metadata: { uid }, status: { reservedFor } },
        {
          ...({ type: 'strategic', subresource: 'status' } as const),
        },
      )
      .catch((error: unknown) => this.#options.failed(error, `${namespace}/${name}`));
  }

  /** What was decided is written, or off. */
  #settle(uid = ''): void {
    if (this.#pending.delete(uid)) this.#taken = undefined;
  }

  #allTaken(): Set<string> {
    const id = ({ driver, pool, device }: { driver: string; pool: string; device: string }) =>
      deviceId(driver, pool, device);
    const allocations = this.#claims.list().map(({ status }) => status?.allocation);
    return new Set([...allocations, ...this.#pending.values()].flatMap((one) => takenBy(one, id)));
  }

  #onChange<T extends KubeObject>(informer: Informer<T>, forget: () => void): () => void {
    const changed = (object: T) => {
      forget();
      if ((object as unknown as ResourceClaim).status?.allocation) this.#settle(object.metadata.uid);
      this.#options.changed();
    };
    return informer.on({ added: changed, updated: (_, object) => changed(object), deleted: changed });
  }
}
