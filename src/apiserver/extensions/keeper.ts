/** Follows the definitions in the store: keeps their conditions, cleans up behind those that go, and ends watches. */
import type { Logger } from 'pino';
import type { CustomResourceDefinition } from '#types';
import { type CustomDefinition, definitionOf } from '../../api/extensions/custom-resource.js';
import { type Clock, timestamp } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import { deepFreeze, type KubeObject } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import {
  CLEANUP_FINALIZER,
  customResourceDefinitions,
  withCondition,
} from '../../api/resources/apiextensions/custom-resource-definition.js';
import { Client, type ResourceClient } from '../../client/client.js';
import { WorkQueue } from '../../client/queue.js';
import type { Transport } from '../../client/transport.js';
import { runWorkers } from '../../client/workers.js';
import type { Store } from '../../store/store.js';
import { prefixOf } from '../keys.js';
import { DEFINITIONS } from './definitions.js';
import { desiredStatus } from './status.js';

export interface KeeperOptions {
  store: Store;
  clock: Clock;
  logger: Logger;
  /** As the server itself. */
  transport: Transport;
  /** Deletes all objects of a kind. */
  deleteAll(definition: CustomDefinition): Promise<void>;
  closing: AbortSignal;
}

export class DefinitionKeeper {
  readonly #options: KeeperOptions;
  readonly #client: ResourceClient<CustomResourceDefinition>;
  readonly #queue: WorkQueue;
  /** Ends what follows the objects of a definition; by its id. */
  readonly #retire = new Map<string, AbortController>();
  /** Names of definitions whose objects are on their way out. */
  readonly #waiting = new Set<string>();
  #running: Promise<unknown> | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#client = new Client(options.transport).of(customResourceDefinitions);
    this.#queue = new WorkQueue({ clock: options.clock, name: 'crd_naming_condition_controller' });
  }

  /** Returns once what was stored before is looked after. */
  async start(): Promise<void> {
    const { store, closing, logger } = this.#options;
    const { items, revision } = await store.list(DEFINITIONS);
    for (const { object } of items) this.#queue.add(object.metadata.name);
    const workers = runWorkers(this.#queue, 2, (name) => this.#reconcile(name), { logger, signal: closing });
    closing.addEventListener('abort', () => this.#queue.close(), { once: true });
    this.#running = Promise.all([workers, this.#follow(revision)]);
  }

  /** Resolves once nothing is under way any more, after `closing`. */
  async closed(): Promise<void> {
    await this.#running;
  }

  /** Aborts once a definition changes in what matters to its objects, or goes. */
  retired(definition: CustomDefinition): AbortSignal {
    const { store } = this.#options;
    const { id, crd } = definition;
    let controller = this.#retire.get(id);
    if (controller === undefined) {
      controller = new AbortController();
      const now = store.get(`${DEFINITIONS}${crd.metadata.name}`)?.object as
        | CustomResourceDefinition
        | undefined;
      if (!now || definitionOf(now)?.id !== id) controller.abort();
      else this.#retire.set(id, controller);
    }
    return controller.signal;
  }

  async #follow(revision: number): Promise<void> {
    const { store, closing, logger } = this.#options;
    const watcher = store.watch(DEFINITIONS, revision);
    try {
      while (!closing.aborted) {
        for (const { type, stored, previous } of await watcher.next(closing)) {
          this.#queue.add(stored.object.metadata.name);
          // A name that is free again may be what others wait for.
          if (type !== 'ADDED') await this.#addPeers(stored.object);
          const before = previous && definitionOf(previous.object as unknown as CustomResourceDefinition);
          const after =
            type === 'DELETED'
              ? undefined
              : definitionOf(stored.object as unknown as CustomResourceDefinition);
          if (before && before.id !== after?.id) this.#end(before.id);
        }
      }
    } catch (error) {
      logger.error({ err: error }, 'custom resource definitions are no longer followed');
    } finally {
      watcher.close();
    }
  }

  #end(id: string): void {
    const controller = this.#retire.get(id);
    this.#retire.delete(id);
    // After those that are about to deliver what happened before.
    setImmediate(() => controller?.abort());
  }

  async #addPeers(changed: KubeObject): Promise<void> {
    for (const crd of await this.#peers(changed['spec']?.group)) this.#queue.add(crd.metadata.name);
  }

  async #peers(group: string): Promise<CustomResourceDefinition[]> {
    const { items } = await this.#options.store.list(DEFINITIONS);
    return items
      .map(({ object }) => object as unknown as CustomResourceDefinition)
      .filter(({ spec }) => spec.group === group);
  }

  async #reconcile(name: string): Promise<void> {
    const { store, clock } = this.#options;
    const crd = store.get(`${DEFINITIONS}${name}`)?.object as CustomResourceDefinition | undefined;
    if (crd === undefined) return;
    try {
      if (crd.metadata.deletionTimestamp) {
        if (crd.metadata.finalizers?.includes(CLEANUP_FINALIZER)) await this.#cleanUp(crd);
        return;
      }
      const status = desiredStatus(crd, await this.#peers(crd.spec.group), clock.now());
      if (!sameJson(status, crd.status)) await this.#client.updateStatus({ ...crd, status });
    } catch (error) {
      if (isReason(error, 'NotFound')) return;
      if (!isReason(error, 'Conflict')) throw error;
      this.#queue.add(name);
    }
  }

  /** Deletes the objects of the kind, and lets the definition go once there are none. */
  async #cleanUp(crd: CustomResourceDefinition): Promise<void> {
    const { name } = crd.metadata;
    const definition = definitionOf(crd);
    if (definition) {
      if (this.#waiting.has(name)) return;
      const marked = await this.#tell(
        crd,
        'True',
        'InstanceDeletionInProgress',
        'CustomResource deletion is in progress',
      );
      await this.#options.deleteAll(definition);
      const prefix = prefixOf(definition.storage, '');
      if ((await this.#options.store.list(prefix, { limit: 1 })).items.length > 0)
        return this.#wait(name, prefix);
      await this.#tell(marked, 'False', 'InstanceDeletionCompleted', 'removed all instances');
    }
    const finalizers = (crd.metadata.finalizers ?? []).filter((name) => name !== CLEANUP_FINALIZER);
    await this.#client.patch('', crd.metadata.name, { metadata: { finalizers } }, { type: 'merge' });
  }

  async #tell(
    crd: CustomResourceDefinition,
    status: string,
    reason: string,
    message: string,
  ): Promise<CustomResourceDefinition> {
    const condition = {
      type: 'Terminating',
      status,
      reason,
      message,
      lastTransitionTime: timestamp(this.#options.clock.now()),
    };
    return this.#client.updateStatus(deepFreeze({ ...crd, status: withCondition(crd, condition) }));
  }

  /** Comes back to a definition once no object of its kind is left: finalizers of theirs may take their time. */
  #wait(name: string, prefix: string): void {
    this.#waiting.add(name);
    void this.#gone(prefix)
      .catch((error) => this.#options.logger.warn({ err: error, name }, 'objects could not be followed'))
      .finally(() => {
        this.#waiting.delete(name);
        this.#queue.add(name);
      });
  }

  async #gone(prefix: string): Promise<void> {
    const { store, closing } = this.#options;
    const { items, revision } = await store.list(prefix);
    let left = items.length;
    const watcher = store.watch(prefix, revision);
    try {
      while (left > 0 && !closing.aborted)
        for (const { type } of await watcher.next(closing))
          left += type === 'DELETED' ? -1 : type === 'ADDED' ? 1 : 0;
    } finally {
      watcher.close();
    }
  }
}
