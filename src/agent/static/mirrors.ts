/** Mirror pods: for each static pod an object in the API that shows it. Who deletes it sees it again. */
import type { Logger } from 'pino';
import type { Node, Pod, PodStatus } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Client } from '../../client/client.js';
import type { NodeObjects } from '../hub/objects.js';
import { PODS } from '../pods/status-sender.js';
import { HASH, MIRROR } from './manifests.js';

const RETRY_MS = 2000;

export interface MirrorOptions {
  node: string;
  client: Client;
  objects: NodeObjects;
  clock: Clock;
  logger: Logger;
  isConnected(): boolean;
  /** The newest status of a mirror pod. */
  setStatus(mirror: Pod, status: PodStatus): void;
  statusSent(uid: string): Promise<void>;
}

const keyOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

export class MirrorPods {
  readonly #options: MirrorOptions;
  /** Static pods by `namespace/name`, and their newest statuses by the same. */
  readonly #pods = new Map<string, Pod>();
  readonly #statuses = new Map<string, PodStatus>();
  /** What was told last of each, with the UID of the mirror that it was told of. */
  readonly #told = new Map<string, string>();
  readonly #busy = new Set<string>();
  /** What has changed meanwhile. */
  readonly #again = new Set<string>();
  #closed = false;

  constructor(options: MirrorOptions) {
    this.#options = options;
    options.objects.on('pods', (_key, pod: Pod | undefined, old: Pod | undefined) => {
      const seen = pod ?? old;
      if (seen && isMirror(seen)) this.#sync(keyOf(seen));
    });
    options.objects.synced('pods').then(() => this.connected());
  }

  close(): void {
    this.#closed = true;
  }

  /** The hub is there (again), and the node is registered. */
  connected(): void {
    const mirrors = this.#options.objects.list<Pod & KubeObject>('pods').filter(isMirror).map(keyOf);
    for (const key of new Set([...this.#pods.keys(), ...mirrors])) this.#sync(key);
  }

  set(pod: Pod): void {
    this.#pods.set(keyOf(pod), pod);
    this.#sync(keyOf(pod));
  }

  remove(pod: Pod): void {
    if (this.#pods.get(keyOf(pod))?.metadata.uid !== pod.metadata.uid) return;
    this.#pods.delete(keyOf(pod));
    this.#statuses.delete(keyOf(pod));
    this.#told.delete(keyOf(pod));
    this.#sync(keyOf(pod));
  }

  setStatus(pod: Pod, status: PodStatus): void {
    const key = keyOf(pod);
    if (this.#pods.get(key)?.metadata.uid !== pod.metadata.uid) return;
    this.#statuses.set(key, status);
    const mirror = this.#mirror(key);
    if (mirror && fits(mirror, pod)) this.#tell(key, mirror, status);
  }

  #tell(key: string, mirror: Pod, status: PodStatus): void {
    const text = `${mirror.metadata.uid} ${JSON.stringify(status)}`;
    if (this.#told.get(key) === text) return;
    this.#told.set(key, text);
    this.#options.setStatus(mirror, status);
  }

  /** Resolves at once while nobody can be told. */
  async statusSent(uid: string): Promise<void> {
    const pod = [...this.#pods.values()].find(({ metadata }) => metadata.uid === uid);
    const mirror = pod && this.#mirror(keyOf(pod));
    if (mirror && this.#options.isConnected()) await this.#options.statusSent(mirror.metadata.uid!);
  }

  /** The UID of the static pod that a mirror shows. */
  staticOf(uid: string): string | undefined {
    const mirror = this.#options.objects.list<Pod & KubeObject>('pods').find((p) => p.metadata.uid === uid);
    return mirror?.metadata.annotations?.[MIRROR];
  }

  #mirror(key: string): (Pod & KubeObject) | undefined {
    const pod = this.#options.objects.get<Pod & KubeObject>('pods', key);
    return pod && isMirror(pod) ? pod : undefined;
  }

  /** Deletes a mirror that shows nothing or something else, and makes the one that is missing. */
  async #sync(key: string): Promise<void> {
    const { client, clock, logger, isConnected } = this.#options;
    if (this.#closed || !isConnected()) return;
    if (this.#busy.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#busy.add(key);
    const [namespace = '', name = ''] = key.split('/');
    try {
      const pod = this.#pods.get(key);
      const mirror = this.#mirror(key);
      if (mirror && (!pod || !fits(mirror, pod) || mirror.metadata.deletionTimestamp)) {
        const preconditions = { uid: mirror.metadata.uid! };
        await client.of(PODS).delete(namespace, name, { gracePeriodSeconds: 0, preconditions });
      } else if (pod && !mirror) await this.#create(pod);
      else if (pod && mirror) {
        const status = this.#statuses.get(key);
        if (status) this.#tell(key, mirror, status);
      }
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict') && !isReason(error, 'AlreadyExists')) {
        if (isConnected()) logger.warn({ err: error, pod: key }, 'a mirror pod could not be changed');
        clock.after(RETRY_MS, () => void this.#sync(key));
      }
    } finally {
      this.#busy.delete(key);
      if (this.#again.delete(key)) void this.#sync(key);
    }
  }

  async #create(pod: Pod): Promise<void> {
    const { client, objects, node } = this.#options;
    const owner = objects.get<Node & KubeObject>('nodes', node);
    // It is told with the node's first version.
    if (!owner) return;
    const { status: _, metadata, ...rest } = pod;
    const { uid = '', name, namespace, labels, annotations } = metadata;
    await client.of(PODS).create({
      ...structuredClone(rest),
      metadata: {
        ...{ name, namespace, ...(labels ? { labels } : {}) },
        annotations: { ...annotations, [MIRROR]: uid },
        ownerReferences: [
          { apiVersion: 'v1', kind: 'Node', name: node, uid: owner.metadata.uid, controller: true },
        ],
      },
    } as Pod & KubeObject);
  }
}

export const isMirror = ({ metadata }: Pod): boolean => metadata.annotations?.[MIRROR] !== undefined;

const fits = (mirror: Pod, pod: Pod): boolean =>
  mirror.metadata.annotations?.[MIRROR] === pod.metadata.annotations?.[HASH];
