/**
 * The attach/detach controller: asks the attachers of storage drivers, by VolumeAttachments, to attach volumes to the
 * nodes whose pods use them, and to detach them when nobody does.
 */
import type { CSIDriver, Node, PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import {
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
} from '../../api/resources/index.js';
import { CSI_ATTACH_PREFIX } from '../../api/storage/annotations.js';
import { ATTACHMENT_NAME, attachmentName } from '../../api/storage/attachment.js';
import { CLAIM_INDEX, claimIndex } from '../../api/storage/pod-claims.js';
import type { Informer } from '../../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { isPodTerminal } from '../pods.js';

const NODE_INDEX = 'node';
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';
/** Upstream's `maxWaitForUnmountDuration`: after this a node that is not ready is asked no more. */
const MAX_WAIT_MS = 6 * 60_000;
const VOLUME_INDEX = 'volume';

export function startAttachDetachController(options: ControllersOptions): Controller {
  return new AttachDetach(contextOf(options, 'attachdetach-controller')).loop;
}

const keyOf = (node: string, volume: string): string => `${node} ${volume}`;

const inUseName = ({ spec: { csi } }: PersistentVolume): string =>
  `${CSI_ATTACH_PREFIX}${csi?.driver}^${csi?.volumeHandle}`;

/** Its name tells whether this controller made it: what others make, they also take away. */
function isOwn({ metadata, spec }: VolumeAttachment, volume: PersistentVolume | undefined): boolean {
  const csi = volume?.spec.csi;
  if (csi === undefined) return ATTACHMENT_NAME.test(metadata.name);
  return metadata.name === attachmentName(csi.volumeHandle, csi.driver, spec.nodeName);
}

class AttachDetach {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #attachments: Informer<VolumeAttachment>;
  readonly #drivers: Informer<CSIDriver>;

  /** Since when nobody uses an attachment that its node says is mounted. */
  readonly #unusedSince = new Map<string, number>();

  constructor(context: Context) {
    this.#context = context;
    const { informers } = context;
    this.#pods = informers.of(pods, { indexes: { [CLAIM_INDEX]: claimIndex } });
    this.#nodes = informers.of(nodes);
    this.#claims = informers.of(persistentVolumeClaims);
    this.#volumes = informers.of(persistentVolumes);
    this.#attachments = informers.of(volumeAttachments, {
      indexes: {
        [NODE_INDEX]: ({ spec }) => [spec.nodeName],
        [VOLUME_INDEX]: ({ spec }) =>
          spec.source.persistentVolumeName ? [spec.source.persistentVolumeName] : [],
      },
    });
    this.#drivers = informers.of(csiDrivers);
    const synced = [this.#pods, this.#nodes, this.#claims, this.#volumes, this.#attachments, this.#drivers];
    this.loop = new WorkLoop(
      context,
      synced.map((informer) => informer.synced),
      (key) => this.#reconcile(key),
      3,
    );
    this.#subscribe();
  }

  #subscribe(): void {
    const podChanged = (pod: Pod) => {
      for (const key of claimIndex(pod)) this.#add(pod.spec.nodeName, this.#claims.get(key)?.spec.volumeName);
    };
    const claimChanged = (claim: PersistentVolumeClaim) => {
      for (const pod of this.#pods.byIndex(CLAIM_INDEX, objectKey(claim)))
        this.#add(pod.spec.nodeName, claim.spec.volumeName);
    };
    const attachmentChanged = ({ spec }: VolumeAttachment) =>
      this.#add(spec.nodeName, spec.source.persistentVolumeName);
    const attachmentGone = (attachment: VolumeAttachment) => {
      attachmentChanged(attachment);
      // Others may wait for it.
      const claimRef = this.#volumes.get(attachment.spec.source.persistentVolumeName ?? '')?.spec.claimRef;
      const claim = claimRef && this.#claims.get(`${claimRef.namespace}/${claimRef.name}`);
      if (claim) claimChanged(claim);
    };
    const nodeChanged = (node: Node) => {
      for (const attachment of this.#attachments.byIndex(NODE_INDEX, node.metadata.name))
        attachmentChanged(attachment);
    };
    this.loop.onClose(
      this.#pods.on({ added: podChanged, updated: (_, pod) => podChanged(pod), deleted: podChanged }),
      this.#claims.on({ added: claimChanged, updated: (_, claim) => claimChanged(claim) }),
      this.#attachments.on({
        added: attachmentChanged,
        updated: (_, attachment) => attachmentChanged(attachment),
        deleted: attachmentGone,
      }),
      this.#nodes.on({
        updated: (old, node) => {
          const shown = ({ spec, status }: Node) => [status?.volumesInUse, spec?.taints];
          if (!sameJson(shown(old), shown(node))) nodeChanged(node);
        },
        deleted: nodeChanged,
      }),
    );
  }

  #add(node: string | undefined, volume: string | undefined): void {
    if (node && volume && (this.#volumes.get(volume)?.spec.csi || this.#find(node, volume)))
      this.loop.queue.add(keyOf(node, volume));
  }

  #find(node: string, volume: string): VolumeAttachment | undefined {
    return this.#attachments
      .byIndex(VOLUME_INDEX, volume)
      .find((found) => found.spec.nodeName === node && isOwn(found, this.#volumes.get(volume)));
  }

  async #reconcile(key: string): Promise<void> {
    const [nodeName = '', volumeName = ''] = key.split(' ');
    const volume = this.#volumes.get(volumeName);
    const attachment = this.#find(nodeName, volumeName);
    const users = volume === undefined ? [] : this.#usersOf(volume, nodeName);
    if (users.length > 0 || !attachment) this.#unusedSince.delete(key);
    if (users.length === 0) {
      if (attachment) await this.#detach(attachment, volume);
      return;
    }
    if (volume?.spec.csi === undefined || !this.#isAttachable(volume)) return;
    if (attachment === undefined) await this.#attach(volume, nodeName, users);
    else await this.#show(attachment, volume, users);
  }

  /** Pods on the node that use the volume, or have not yet let it go. */
  #usersOf(volume: PersistentVolume, node: string): Pod[] {
    const { namespace, name } = volume.spec.claimRef ?? {};
    return this.#pods
      .byIndex(CLAIM_INDEX, `${namespace}/${name}`)
      .filter((pod) => pod.spec.nodeName === node && !isPodTerminal(pod));
  }

  /** A driver that says nothing is one whose volumes are attached. */
  #isAttachable({ spec: { csi } }: PersistentVolume): boolean {
    return this.#drivers.get(csi?.driver ?? '')?.spec.attachRequired !== false;
  }

  async #attach(volume: PersistentVolume, node: string, users: Pod[]): Promise<void> {
    const { driver, volumeHandle } = volume.spec.csi!;
    const { name } = volume.metadata;
    const isShared = volume.spec.accessModes?.some((mode) => mode.endsWith('Many'));
    const elsewhere = this.#attachments
      .byIndex(VOLUME_INDEX, name)
      .some(({ spec }) => spec.nodeName !== node);
    if (!isShared && elsewhere) {
      const message = `Multi-Attach error for volume ${JSON.stringify(name)} Volume is already exclusively attached to one node and can't be attached to another`;
      for (const pod of users) this.#context.events.event(pod, 'Warning', 'FailedAttachVolume', message);
      return;
    }
    try {
      await this.#context.client.of(volumeAttachments).create({
        apiVersion: 'storage.k8s.io/v1',
        kind: 'VolumeAttachment',
        metadata: { name: attachmentName(volumeHandle, driver, node) },
        spec: { attacher: driver, nodeName: node, source: { persistentVolumeName: name } },
      });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }

  /** Tells the node, and the pods, what became of it. */
  async #show({ status }: VolumeAttachment, volume: PersistentVolume, users: Pod[]): Promise<void> {
    const { events } = this.#context;
    const name = JSON.stringify(volume.metadata.name);
    if (status?.attached) {
      if (!(await this.#setAttached(users[0]!.spec.nodeName!, inUseName(volume), true))) return;
      for (const pod of users)
        events.event(
          pod,
          'Normal',
          'SuccessfulAttachVolume',
          `AttachVolume.Attach succeeded for volume ${name} `,
        );
    } else if (status?.attachError) {
      const message = `AttachVolume.Attach failed for volume ${name} : ${status.attachError.message}`;
      for (const pod of users) events.event(pod, 'Warning', 'FailedAttachVolume', message);
    }
  }

  async #detach(attachment: VolumeAttachment, volume: PersistentVolume | undefined): Promise<void> {
    const { nodeName } = attachment.spec;
    const node = this.#nodes.get(nodeName);
    // The node says when nothing of it is mounted any more: unless it can't.
    const key = keyOf(nodeName, attachment.spec.source.persistentVolumeName ?? '');
    if (volume && node?.status?.volumesInUse?.includes(inUseName(volume)) && !this.#isForced(node, key))
      return;
    this.#unusedSince.delete(key);
    if (volume && node) await this.#setAttached(nodeName, inUseName(volume), false);
    if (attachment.metadata.deletionTimestamp) return;
    try {
      await this.#context.client.of(volumeAttachments).delete('', attachment.metadata.name);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  /** Whether to detach what a node still has mounted, as far as it says: it is out of service, or long silent. */
  #isForced({ spec, status }: Node, key: string): boolean {
    if (spec?.taints?.some((taint) => taint.key === OUT_OF_SERVICE)) return true;
    const { clock } = this.#context;
    const since = this.#unusedSince.get(key) ?? clock.elapsed();
    this.#unusedSince.set(key, since);
    const isHealthy = status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True');
    const left = since + MAX_WAIT_MS - clock.elapsed();
    if (left > 0) this.loop.queue.addAfter(key, left);
    return left <= 0 && !isHealthy;
  }

  /** Whether that was news. */
  async #setAttached(nodeName: string, name: string, attached: boolean): Promise<boolean> {
    const known = this.#nodes.get(nodeName)?.status?.volumesAttached ?? [];
    if (known.some((volume) => volume.name === name) === attached) return false;
    const others = known.filter((volume) => volume.name !== name);
    const volumesAttached = attached ? [...others, { name, devicePath: '' }] : others;
    await this.#context.client
      .of(nodes)
      .patch('', nodeName, { status: { volumesAttached } }, { type: 'merge', subresource: 'status' });
    return true;
  }
}
