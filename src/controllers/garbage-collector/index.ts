/** The garbage collector: deletes what has lost its owners, in the background or before the owner goes. */
import type { OwnerReference } from '#types';
import { isReason } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { resources } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { Lru } from '../../client/lru.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { type CustomKinds, customKindsOf, resourceOfKind } from '../custom-kinds.js';
import { FOREGROUND, Graph, type GraphNode, isAt, ORPHAN } from './graph.js';

export function startGarbageCollector(options: ControllersOptions): Controller {
  return new GarbageCollector(contextOf(options, 'generic-garbage-collector', 'garbage-collector')).loop;
}

/** Events come and go in masses, own nothing, and are owned by nobody. */
const IGNORED = new Set(['Event']);
const WORKERS = 10;
/** Deleted custom objects that are remembered: their kind may be gone when dependents are judged. */
const MAX_GONE = 10_000;

/** Keys are `check/<uid>` and `orphan/<uid>`. */
class GarbageCollector {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #graph: Graph;
  readonly #custom: CustomKinds;
  readonly #gone = new Lru<string, true>(MAX_GONE);

  constructor(context: Context) {
    this.#context = context;
    const collected = resources.filter(
      ({ kind, verbs, conversion }) =>
        !conversion &&
        !IGNORED.has(kind) &&
        ['delete', 'list', 'watch'].every((verb) => verbs.includes(verb as 'delete')),
    );
    const informers = collected.map((resource) => ({ resource, informer: context.informers.of(resource) }));
    const synced = informers.map(({ informer }) => informer.synced);
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), WORKERS);
    this.#graph = new Graph({
      check: (uid) => this.loop.queue.add(`check/${uid}`),
      orphan: (uid) => this.loop.queue.add(`orphan/${uid}`),
      resolve: (reference) => this.#resourceOf(reference),
    });
    this.#custom = customKindsOf(context.informers);
    for (const { resource, informer } of informers) this.loop.onClose(this.#follow(resource, informer));
    this.loop.onClose(
      this.#custom.follow({
        added: (resource, informer) => {
          this.#follow(resource, informer);
          this.#graph.resolve();
        },
        removed: (resource) => {
          for (const { uid } of this.#graph.ofResource(resource)) this.#remove(resource, uid);
        },
      }),
    );
  }

  #follow(resource: Resource, informer: Informer<KubeObject>): () => void {
    const observe = (object: KubeObject) => this.#graph.observe(resource, object);
    return informer.on({
      added: observe,
      updated: (_, object) => observe(object),
      deleted: ({ metadata }) => this.#remove(resource, metadata.uid ?? ''),
    });
  }

  #remove({ custom }: Resource, uid: string): void {
    if (custom) this.#gone.set(uid, true);
    this.#graph.remove(uid);
  }

  #resourceOf({ apiVersion, kind }: OwnerReference): Resource | undefined {
    return resourceOfKind(apiVersion, kind, this.#custom);
  }

  async #reconcile(key: string): Promise<void> {
    const slash = key.indexOf('/');
    const node = this.#graph.get(key.slice(slash + 1));
    if (node === undefined) return;
    if (key.startsWith('orphan/')) {
      if (node.orphaning) await this.#orphanDependents(node);
    } else if (node.virtual) await this.#verify(node);
    else if (!node.deleting || node.deletingDependents) await this.#check(node);
  }

  /** An owner that only references tell of: if it does not exist, its dependents are checked. */
  async #verify(node: GraphNode): Promise<void> {
    const live = await this.#live(node.resource, node.namespace, node.name);
    if (live?.metadata.uid === node.uid)
      throw new Error(`${node.resource.kind} ${node.name} exists, but its event is not here yet`);
    for (const dependent of node.dependents) this.loop.queue.add(`check/${dependent.uid}`);
  }

  async #check(node: GraphNode): Promise<void> {
    const live = await this.#live(node.resource, node.namespace, node.name);
    if (live?.metadata.uid !== node.uid) return this.#graph.remove(node.uid);
    if (node.deletingDependents) return this.#finishForeground(node, live);
    const owners = live.metadata.ownerReferences ?? [];
    if (owners.length === 0) return;
    const states = await Promise.all(owners.map((owner) => this.#stateOf(owner, node)));
    const solid = states.includes('solid');
    if (solid) {
      const kept = owners.filter((_, i) => states[i] === 'solid');
      if (kept.length < owners.length) await this.#patch(node, live, { ownerReferences: kept });
    } else if (states.includes('waiting') && node.dependents.size > 0) {
      await this.#unblock(node, live);
      await this.#delete(node, live, 'Foreground');
    } else await this.#delete(node, live, policyOf(live));
  }

  /** `waiting`: the owner exists, but waits for its dependents to go. `gone`: it does not exist. */
  async #stateOf(owner: OwnerReference, dependent: GraphNode): Promise<'solid' | 'waiting' | 'gone'> {
    const resource = this.#resourceOf(owner);
    // Of a kind that is not served nothing more can be known.
    if (resource === undefined) return this.#gone.get(owner.uid) ? 'gone' : 'solid';
    if (resource.namespaced && dependent.namespace === '') {
      this.#refuse(owner, dependent);
      return 'solid';
    }
    const namespace = resource.namespaced ? dependent.namespace : '';
    const known = this.#graph.get(owner.uid);
    if (known !== undefined && !known.virtual && isAt(known, resource, namespace, owner.name))
      return known.deletingDependents ? 'waiting' : 'solid';
    const live = await this.#live(resource, namespace, owner.name);
    if (live?.metadata.uid !== owner.uid) return 'gone';
    const { deletionTimestamp, finalizers } = live.metadata;
    return deletionTimestamp !== undefined && finalizers?.includes(FOREGROUND) ? 'waiting' : 'solid';
  }

  #refuse(owner: OwnerReference, { resource, name, uid }: GraphNode): void {
    const regarding = { apiVersion: resource.apiVersion, kind: resource.kind, name, uid };
    const message = `ownerRef [${owner.apiVersion}/${owner.kind}, namespace: , name: ${owner.name}, uid: ${owner.uid}] does not exist in namespace ""`;
    this.#context.events.event(regarding, 'Warning', 'OwnerRefInvalidNamespace', message);
  }

  /** Once no dependent holds it back, the owner itself may go. */
  async #finishForeground(node: GraphNode, live: KubeObject): Promise<void> {
    const blocking = [...node.dependents].filter((dependent) =>
      dependent.owners.some(({ uid, blockOwnerDeletion }) => uid === node.uid && blockOwnerDeletion),
    );
    if (blocking.length === 0) return this.#removeFinalizer(node, live, FOREGROUND);
    for (const dependent of blocking)
      if (!dependent.deletingDependents) this.loop.queue.add(`check/${dependent.uid}`);
  }

  /** Dependents that wait for dependents of their own would wait for this one: the circle is broken. */
  async #unblock(node: GraphNode, live: KubeObject): Promise<void> {
    if (![...node.dependents].some(({ deletingDependents }) => deletingDependents)) return;
    const ownerReferences = (live.metadata.ownerReferences ?? []).map((owner) =>
      owner.blockOwnerDeletion ? { ...owner, blockOwnerDeletion: false } : owner,
    );
    await this.#patch(node, live, { ownerReferences }, false);
  }

  async #orphanDependents(node: GraphNode): Promise<void> {
    await Promise.all([...node.dependents].map((dependent) => this.#orphan(dependent, node)));
    const live = await this.#live(node.resource, node.namespace, node.name);
    if (live?.metadata.uid === node.uid) await this.#removeFinalizer(node, live, ORPHAN);
  }

  async #orphan(dependent: GraphNode, owner: GraphNode): Promise<void> {
    const live = await this.#live(dependent.resource, dependent.namespace, dependent.name);
    if (live?.metadata.uid !== dependent.uid) return;
    const owners = live.metadata.ownerReferences ?? [];
    const kept = owners.filter(({ uid }) => uid !== owner.uid);
    if (kept.length < owners.length) await this.#patch(dependent, live, { ownerReferences: kept });
  }

  async #removeFinalizer(node: GraphNode, live: KubeObject, finalizer: string): Promise<void> {
    const all = live.metadata.finalizers ?? [];
    const finalizers = all.filter((name) => name !== finalizer);
    if (finalizers.length < all.length) await this.#patch(node, live, { finalizers });
  }

  /** Changes metadata of exactly the version that was looked at; rejects with Conflict if it changed since. */
  async #patch(
    { resource, namespace, name }: GraphNode,
    live: KubeObject,
    metadata: { ownerReferences?: OwnerReference[]; finalizers?: string[] },
    exact = true,
  ): Promise<void> {
    const { uid, resourceVersion } = live.metadata;
    const patch = { metadata: { ...metadata, uid, ...(exact ? { resourceVersion } : {}) } };
    try {
      await this.#context.client.of(resource).patch(namespace, name, patch, { type: 'merge' });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async #delete(
    { resource, namespace, name, uid }: GraphNode,
    live: KubeObject,
    policy: Policy,
  ): Promise<void> {
    // The check of owners was of this version: what got another owner since must not be deleted.
    const preconditions = {
      uid,
      ...(policy === 'Foreground' ? {} : { resourceVersion: live.metadata.resourceVersion }),
    };
    try {
      await this.#context.client
        .of(resource)
        .delete(namespace, name, { propagationPolicy: policy, preconditions });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async #live(resource: Resource, namespace: string, name: string): Promise<KubeObject | undefined> {
    try {
      return await this.#context.client.of(resource).get(namespace, name);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}

type Policy = 'Orphan' | 'Background' | 'Foreground';

/** What the object's own finalizers already say, or else the default. */
function policyOf({ metadata }: KubeObject): Policy {
  if (metadata.finalizers?.includes(ORPHAN)) return 'Orphan';
  return metadata.finalizers?.includes(FOREGROUND) ? 'Foreground' : 'Background';
}
