/** The cluster's storage for the scheduler, and what it does to give a pod's claims their volumes before the pod its node. */
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { type KubeObject, objectKey, produce } from '../../api/machinery/types.js';
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../../api/resources/index.js';
import { ANNOTATION } from '../../api/storage/annotations.js';
import { isBindComplete, isVolumeOf } from '../../api/storage/matching.js';
import type { Client, Informer, Informers } from '../../client/index.js';
import { type Decision, decide, sortClaims } from './decide.js';
import { claimsOfPod, type StorageView, usesClaims } from './view.js';

/** How long a pod waits for the volumes that were decided on. */
const TIMEOUT_MS = 600_000;

export interface VolumeBinderOptions {
  client: Client;
  informers: Informers;
  clock: Clock;
  /** Storage has changed: pods that wait for it may fit now. */
  changed(): void;
}

export class VolumeBinder implements StorageView {
  readonly synced: Promise<unknown>;
  readonly #options: VolumeBinderOptions;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #classes: Informer<StorageClass>;
  readonly #csiNodes: Informer<CSINode>;
  readonly #drivers: Informer<CSIDriver>;
  readonly #capacities: Informer<CSIStorageCapacity>;
  /** Name of a volume → key of the claim that it is promised to. */
  readonly #promised = new Map<string, string>();
  /** Key of a claim → node. */
  readonly #selected = new Map<string, string>();
  readonly #waiting = new Set<() => void>();
  readonly #unsubscribe: (() => void)[];
  #closed = false;

  constructor(options: VolumeBinderOptions) {
    const { informers } = options;
    this.#options = options;
    this.#claims = informers.of(persistentVolumeClaims);
    this.#volumes = informers.of(persistentVolumes);
    this.#classes = informers.of(storageClasses);
    this.#csiNodes = informers.of(csiNodes);
    this.#drivers = informers.of(csiDrivers);
    this.#capacities = informers.of(csiStorageCapacities);
    const all = [this.#claims, this.#volumes, this.#classes, this.#csiNodes, this.#drivers, this.#capacities];
    this.synced = Promise.all(all.map((informer) => informer.synced));
    this.#unsubscribe = (all as unknown as Informer<KubeObject>[]).map((informer) =>
      informer.on({
        added: () => this.poke(),
        updated: () => this.poke(),
        deleted: () => this.poke(),
      }),
    );
  }

  claim(key: string) {
    return this.#claims.get(key);
  }

  volume(name: string) {
    return this.#volumes.get(name);
  }

  volumes() {
    return this.#volumes.list();
  }

  takenFrom(claimKey: string): ReadonlySet<string> {
    if (this.#promised.size === 0) return NONE;
    return new Set([...this.#promised].flatMap(([volume, claim]) => (claim === claimKey ? [] : [volume])));
  }

  selectedNode(claim: PersistentVolumeClaim): string | undefined {
    return this.#selected.get(objectKey(claim)) ?? claim.metadata.annotations?.[ANNOTATION.selectedNode];
  }

  storageClass(name: string) {
    return this.#classes.get(name);
  }

  csiNode(name: string) {
    return this.#csiNodes.get(name);
  }

  csiDriver(name: string) {
    return this.#drivers.get(name);
  }

  capacities() {
    return this.#capacities.list();
  }

  /** Something has changed that those who wait should look at. */
  poke(): void {
    for (const look of [...this.#waiting]) look();
    this.#options.changed();
  }

  close(): void {
    this.#closed = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const look of [...this.#waiting]) look();
  }

  /**
   * Decides on the volumes of a pod that goes to `node`: from now on they count as taken. Returns what carries that
   * out and resolves once all are bound; undefined if there is nothing to do. It rejects when the pod is to be
   * scheduled anew.
   */
  reserve(pod: Pod, node: Node, isWanted: () => boolean): (() => Promise<void>) | undefined {
    if (!usesClaims(pod)) return undefined;
    const sorted = sortClaims(claimsOfPod(pod, this), this);
    if (sorted.delayed.length === 0) return undefined;
    const decision = decide(sorted, node, this);
    if (Array.isArray(decision)) return () => Promise.reject(new Error(decision.join(', ')));
    for (const { claim, volume } of decision.bindings)
      this.#promised.set(volume.metadata.name, objectKey(claim));
    for (const claim of decision.provisions) this.#selected.set(objectKey(claim), node.metadata.name);
    return async () => {
      try {
        await this.#write(decision, node.metadata.name);
        await this.#bound(decision, node.metadata.name, isWanted);
      } finally {
        for (const { volume } of decision.bindings) this.#promised.delete(volume.metadata.name);
        for (const claim of decision.provisions) this.#selected.delete(objectKey(claim));
      }
    };
  }

  async #write({ bindings, provisions }: Decision, node: string): Promise<void> {
    const { client } = this.#options;
    for (const { claim, volume } of bindings) {
      if (isVolumeOf(volume, claim) && volume.spec.claimRef?.uid) continue;
      const { namespace, name, uid, resourceVersion } = claim.metadata;
      await client.of(persistentVolumes).update(
        produce(volume, (draft) => {
          if (!isVolumeOf(volume, claim))
            draft.metadata.annotations = {
              ...draft.metadata.annotations,
              [ANNOTATION.boundByController]: 'yes',
            };
          const ref = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid };
          draft.spec.claimRef = { ...ref, resourceVersion };
        }),
      );
    }
    for (const { metadata } of provisions) {
      if (metadata.annotations?.[ANNOTATION.selectedNode] === node) continue;
      const patch = { metadata: { uid: metadata.uid, annotations: { [ANNOTATION.selectedNode]: node } } };
      await client
        .of(persistentVolumeClaims)
        .patch(metadata.namespace ?? '', metadata.name, patch, { type: 'merge' });
    }
  }

  /** Waits until all claims are bound. */
  #bound({ bindings, provisions }: Decision, node: string, isWanted: () => boolean): Promise<void> {
    const claims = [...bindings.map(({ claim }) => claim), ...provisions];
    const annotated = new Set<string>();
    /** True when all are bound, false while some are not. @throws why they won't be. */
    const look = (): boolean => {
      if (this.#closed || !isWanted()) throw new Error('the pod is not wanted any more');
      return claims.every(({ metadata }) => {
        const key = objectKey({ metadata });
        const now = this.#claims.get(key);
        if (now === undefined || now.metadata.uid !== metadata.uid)
          throw new Error(`persistentvolumeclaim ${JSON.stringify(metadata.name)} not found`);
        if (isBindComplete(now)) return true;
        const selected = now.metadata.annotations?.[ANNOTATION.selectedNode];
        if (selected === node) annotated.add(key);
        else if (annotated.has(key))
          throw new Error(`provisioning failed for PVC ${JSON.stringify(metadata.name)}`);
        return false;
      });
    };
    return new Promise((resolve, reject) => {
      const end = (error?: unknown) => {
        this.#waiting.delete(check);
        cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
      const check = () => {
        try {
          if (look()) end();
        } catch (error) {
          end(error);
        }
      };
      const cancel = this.#options.clock.after(TIMEOUT_MS, () =>
        end(new Error('binding volumes: context deadline exceeded')),
      );
      this.#waiting.add(check);
      check();
    });
  }
}

const NONE: ReadonlySet<string> = new Set();
