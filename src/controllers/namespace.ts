/** Ends namespaces: deletes all that is in them, then takes the finalizer away (upstream `namespaced_resources_deleter`). */
import type { Namespace, NamespaceCondition } from '#types';
import { timestamp } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';
import type { KubeObject } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import { namespaces, pods, resources } from '../api/resources/index.js';
import type { Informer } from '../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { type CustomKinds, customKindsOf } from './custom-kinds.js';

const FINALIZER = 'kubernetes';
/** How soon to look again when nothing told that what remained is gone. */
const RECHECK = 15_000;

export function startNamespaceController(options: ControllersOptions): Controller {
  return new NamespaceController(contextOf(options, 'namespace-controller')).loop;
}

/** What is left in a namespace. */
export interface Remaining {
  /** Number of objects by `resource.group`. */
  objects: Map<string, number>;
  finalizers: Map<string, number>;
  errors: string[];
}

class NamespaceController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #namespaces: Informer<Namespace>;
  readonly #custom: CustomKinds;

  constructor(context: Context) {
    this.#context = context;
    this.#namespaces = context.informers.of(namespaces);
    this.loop = new WorkLoop(context, [this.#namespaces.synced], (key) => this.#reconcile(key), 10);
    const changed = (namespace: Namespace) => {
      if (isEnding(namespace)) this.loop.queue.add(namespace.metadata.name);
    };
    this.loop.onClose(this.#namespaces.on({ added: changed, updated: (_, namespace) => changed(namespace) }));
    for (const resource of contentResources())
      this.loop.onClose(this.#followDeletes(context.informers.of(resource)));
    this.#custom = customKindsOf(context.informers);
    this.loop.onClose(
      this.#custom.follow({
        added: (_, informer) => void this.#followDeletes(informer),
        removed: () => this.#lookAgain(),
      }),
    );
  }

  /** The next step of an ending namespace is due when something in it is gone. */
  #followDeletes(informer: Informer<KubeObject>): () => void {
    const deleted = ({ metadata }: KubeObject) => {
      const namespace = this.#namespaces.get(metadata.namespace ?? '');
      if (namespace !== undefined && isEnding(namespace)) this.loop.queue.add(namespace.metadata.name);
    };
    return informer.on({ deleted });
  }

  #lookAgain(): void {
    for (const namespace of this.#namespaces.list())
      if (isEnding(namespace)) this.loop.queue.add(namespace.metadata.name);
  }

  /** All that can be in a namespace, custom objects last: their controllers may need what they own. */
  #contents(): Resource[] {
    return [...contentResources(), ...this.#custom.list().filter(({ namespaced }) => namespaced)];
  }

  async #reconcile(name: string): Promise<void> {
    const namespace = this.#namespaces.get(name);
    if (namespace === undefined || !isEnding(namespace)) return;
    const remaining = await this.#deleteContent(name);
    if (remaining.objects.size === 0 && remaining.errors.length === 0) {
      // Somebody else holds it still, and should see that it is empty.
      const isHeld = [...namespace.spec!.finalizers!, ...(namespace.metadata.finalizers ?? [])].length > 1;
      return this.#finalize(isHeld ? await this.#writeConditions(namespace, remaining) : namespace);
    }
    await this.#writeConditions(namespace, remaining);
    if (remaining.errors.length > 0) throw new Error(remaining.errors.join('; '));
    this.loop.queue.addAfter(name, RECHECK);
  }

  /** Pods go first, so that they still have what they use while they stop (KEP-5080). */
  async #deleteContent(namespace: string): Promise<Remaining> {
    const remaining: Remaining = { objects: new Map(), finalizers: new Map(), errors: [] };
    await this.#deleteAll(pods as Resource<any>, namespace, remaining);
    if (remaining.objects.size > 0 || remaining.errors.length > 0) return remaining;
    for (const resource of this.#contents())
      if (resource.custom || resource.kind !== 'Pod') await this.#deleteAll(resource, namespace, remaining);
    return remaining;
  }

  async #deleteAll(resource: Resource, namespace: string, remaining: Remaining): Promise<void> {
    const client = this.#context.client.of(resource);
    try {
      const before = await client.list({ namespace });
      if (before.items.length === 0) return;
      const propagationPolicy = 'Background';
      if (resource.verbs.includes('deletecollection'))
        await client.deleteCollection({ namespace, propagationPolicy });
      else
        for (const { metadata } of before.items)
          await client.delete(namespace, metadata.name, { propagationPolicy });
      const { items } = await client.list({ namespace });
      if (items.length > 0) remaining.objects.set(`${resource.plural}.${resource.group}`, items.length);
      for (const finalizer of items.flatMap(({ metadata }) => metadata.finalizers ?? []))
        remaining.finalizers.set(finalizer, (remaining.finalizers.get(finalizer) ?? 0) + 1);
    } catch (error) {
      if (!isReason(error, 'NotFound')) remaining.errors.push((error as Error).message);
    }
  }

  async #finalize(namespace: Namespace): Promise<void> {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((name) => name !== FINALIZER);
    const body = { ...namespace, spec: { ...namespace.spec, finalizers } };
    const client = this.#context.client.of(namespaces);
    try {
      await client.updateSubresource('', namespace.metadata.name, 'finalize', body);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async #writeConditions(namespace: Namespace, remaining: Remaining): Promise<Namespace> {
    const now = timestamp(this.#context.clock.now());
    const current = namespace.status?.conditions ?? [];
    const conditions = contentConditions(remaining).map((next) => {
      const old = current.find((c) => c.type === next.type);
      const same = old?.status === next.status && old.reason === next.reason && old.message === next.message;
      return same ? old : { ...next, lastTransitionTime: now };
    });
    if (conditions.every((condition) => current.includes(condition))) return namespace;
    const others = current.filter((c) => !conditions.some(({ type }) => type === c.type));
    const status = { ...namespace.status, conditions: [...others, ...conditions] };
    return this.#context.client.of(namespaces).updateStatus({ ...namespace, status });
  }
}

function isEnding(namespace: Namespace): boolean {
  return (
    namespace.metadata.deletionTimestamp !== undefined &&
    namespace.spec?.finalizers?.includes(FINALIZER) === true
  );
}

function contentResources(): Resource[] {
  return resources.filter(
    ({ namespaced, verbs, conversion }) =>
      !conversion &&
      namespaced &&
      verbs.includes('delete') &&
      verbs.includes('list') &&
      verbs.includes('watch'),
  );
}

/** The conditions that tell how far a namespace's end has come, with upstream's words. */
export function contentConditions({ objects, finalizers, errors }: Remaining): NamespaceCondition[] {
  const condition = (type: string, bad: boolean, reason: string, message: string): NamespaceCondition => ({
    type,
    status: bad ? 'True' : 'False',
    reason,
    message,
  });
  return [
    condition(
      'NamespaceDeletionDiscoveryFailure',
      false,
      'ResourcesDiscovered',
      'All resources successfully discovered',
    ),
    condition(
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ),
    errors.length > 0
      ? condition(
          'NamespaceDeletionContentFailure',
          true,
          'ContentDeletionFailed',
          `Failed to delete all resource types, ${errors.length} remaining: ${errors.sort().join(', ')}`,
        )
      : condition(
          'NamespaceDeletionContentFailure',
          false,
          'ContentDeleted',
          'All content successfully deleted, may be waiting on finalization',
        ),
    objects.size > 0
      ? condition(
          'NamespaceContentRemaining',
          true,
          'SomeResourcesRemain',
          `Some resources are remaining: ${counts(objects, (name, n) => `${name} has ${n} resource instances`)}`,
        )
      : condition('NamespaceContentRemaining', false, 'ContentRemoved', 'All content successfully removed'),
    finalizers.size > 0
      ? condition(
          'NamespaceFinalizersRemaining',
          true,
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${counts(finalizers, (name, n) => `${name} in ${n} resource instances`)}`,
        )
      : condition(
          'NamespaceFinalizersRemaining',
          false,
          'ContentHasNoFinalizers',
          'All content-preserving finalizers finished',
        ),
  ];
}

function counts(map: Map<string, number>, words: (name: string, n: number) => string): string {
  return [...map]
    .map(([name, n]) => words(name, n))
    .sort()
    .join(', ');
}
