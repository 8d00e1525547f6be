/**
 * The provisioner `keelson.dev/local-path`: a claim gets a folder on the node that its first consumer runs on. The
 * node's agent makes the folder when the volume appears, and removes it with the volume.
 */
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#types';
import { compareQuantities } from '../../api/machinery/quantity.js';
import { isReason } from '../../api/machinery/status.js';
import { objectKey, produce } from '../../api/machinery/types.js';
import { storageClassOf } from '../../api/resources/core/volume-fields.js';
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../../api/resources/index.js';
import { ANNOTATION, LOCAL_PATH_PROVISIONER } from '../../api/storage/annotations.js';
import type { Informer } from '../../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { localVolume, nodeForClaim } from './volume.js';

const CLAIM = 'claim ';
const VOLUME = 'volume ';

export function startLocalPathProvisioner(options: ControllersOptions): Controller {
  return new LocalPathProvisioner(contextOf(options, 'local-path-provisioner', LOCAL_PATH_PROVISIONER)).loop;
}

const isOurs = ({ metadata }: PersistentVolume): boolean =>
  metadata.annotations?.[ANNOTATION.provisionedBy] === LOCAL_PATH_PROVISIONER;

class LocalPathProvisioner {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #classes: Informer<StorageClass>;
  readonly #nodes: Informer<Node>;

  constructor(context: Context) {
    this.#context = context;
    const { informers } = context;
    this.#claims = informers.of(persistentVolumeClaims);
    this.#volumes = informers.of(persistentVolumes);
    this.#classes = informers.of(storageClasses);
    this.#nodes = informers.of(nodes);
    const synced = [this.#claims, this.#volumes, this.#classes, this.#nodes].map(
      (informer) => informer.synced,
    );
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), 2);
    const claimSeen = (claim: PersistentVolumeClaim) => {
      if (this.#isToProvision(claim) || this.#isToGrow(claim)) this.loop.queue.add(CLAIM + objectKey(claim));
    };
    const volumeSeen = (volume: PersistentVolume) => {
      if (isOurs(volume) && volume.status?.phase === 'Released')
        this.loop.queue.add(VOLUME + volume.metadata.name);
    };
    this.loop.onClose(
      this.#claims.on({ added: claimSeen, updated: (_, claim) => claimSeen(claim) }),
      this.#volumes.on({ added: volumeSeen, updated: (_, volume) => volumeSeen(volume) }),
    );
  }

  async #reconcile(key: string): Promise<void> {
    if (key.startsWith(VOLUME)) return this.#remove(this.#volumes.get(key.slice(VOLUME.length)));
    const claim = this.#claims.get(key.slice(CLAIM.length));
    if (claim && this.#isToProvision(claim)) await this.#provision(claim);
    else if (claim && this.#isToGrow(claim)) await this.#grow(claim);
  }

  #isToProvision({ metadata, spec }: PersistentVolumeClaim): boolean {
    const { provisioner, betaProvisioner } = ANNOTATION;
    const who = metadata.annotations?.[provisioner] ?? metadata.annotations?.[betaProvisioner];
    return who === LOCAL_PATH_PROVISIONER && !spec.volumeName && !metadata.deletionTimestamp;
  }

  #isToGrow({ spec, status }: PersistentVolumeClaim): boolean {
    const volume = status?.phase === 'Bound' ? this.#volumes.get(spec.volumeName ?? '') : undefined;
    const wanted = spec.resources?.requests?.['storage'];
    return (
      volume !== undefined && isOurs(volume) && compareQuantities(wanted, status?.capacity?.['storage']) > 0
    );
  }

  async #provision(claim: PersistentVolumeClaim): Promise<void> {
    const { events, client } = this.#context;
    const storageClass = this.#classes.get(storageClassOf(claim));
    if (storageClass?.provisioner !== LOCAL_PATH_PROVISIONER) return;
    const name = `pvc-${claim.metadata.uid}`;
    if (this.#volumes.get(name)) return;
    const selected = claim.metadata.annotations?.[ANNOTATION.selectedNode];
    if (storageClass.volumeBindingMode === 'WaitForFirstConsumer' && !selected) return;
    events.event(
      claim,
      'Normal',
      'Provisioning',
      `External provisioner is provisioning volume for claim ${JSON.stringify(objectKey(claim))}`,
    );
    const node = selected ? this.#nodes.get(selected) : nodeForClaim(claim, this.#nodes.list());
    const made = localVolume(claim, storageClass, node, selected);
    if (typeof made === 'string') {
      const what = `failed to provision volume with StorageClass ${JSON.stringify(storageClass.metadata.name)}`;
      events.event(claim, 'Warning', 'ProvisioningFailed', `${what}: ${made}`);
      if (selected && node === undefined) return this.#choseAnew(claim);
      throw new Error(`${what}: ${made}`);
    }
    await client
      .of(persistentVolumes)
      .create(made)
      .catch((error: unknown) => {
        if (!isReason(error, 'AlreadyExists')) throw error;
      });
    events.event(claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`);
  }

  /** The node is gone: the scheduler is to choose another one. */
  async #choseAnew(claim: PersistentVolumeClaim): Promise<void> {
    await this.#context.client.of(persistentVolumeClaims).update(
      produce(claim, ({ metadata }) => {
        delete metadata.annotations![ANNOTATION.selectedNode];
      }),
    );
  }

  /** A folder has no size of its own: it grows by being said to. */
  async #grow(claim: PersistentVolumeClaim): Promise<void> {
    const { client, events } = this.#context;
    const size = claim.spec.resources!.requests!['storage']!;
    const volume = this.#volumes.get(claim.spec.volumeName ?? '')!;
    if (compareQuantities(volume.spec.capacity?.['storage'], size) < 0)
      await client.of(persistentVolumes).update(
        produce(volume, ({ spec }) => {
          spec.capacity = { ...spec.capacity, storage: size };
        }),
      );
    await client.of(persistentVolumeClaims).updateStatus(
      produce(claim, (draft) => {
        draft.status = { ...draft.status, capacity: { ...draft.status?.capacity, storage: size } };
      }),
    );
    events.event(claim, 'Normal', 'VolumeResizeSuccessful', 'Resize volume succeeded');
  }

  async #remove(volume: PersistentVolume | undefined): Promise<void> {
    if (!volume || !isOurs(volume) || volume.metadata.deletionTimestamp) return;
    if (volume.status?.phase !== 'Released' || volume.spec.persistentVolumeReclaimPolicy !== 'Delete') return;
    const { name, uid } = volume.metadata;
    try {
      await this.#context.client.of(persistentVolumes).delete('', name, { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }
}
