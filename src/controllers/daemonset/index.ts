/** The DaemonSet controller: one pod on every node that should have one. */
import type { DaemonSet, Node, Pod } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { daemonSets, nodes, pods } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex, onChildren } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { Expectations } from '../expectations.js';
import { isOwnWorkload } from '../own-workloads/objects.js';
import { CONTROLLER_INDEX, claim, controllerIndex, orphansOf } from '../owners.js';
import { createPod, deletePod, isNamespaceTerminating } from '../pod-control.js';
import { isPodTerminal } from '../pods.js';
import { nextAvailability } from '../replicaset/status.js';
import { Revisions } from '../revisions.js';
import { slowStart } from '../slow-start.js';
import { FailedPodBackoff } from './backoff.js';
import { daemonTemplate, isUpdated, placementOn, targetNode } from './placement.js';
import { type Ended, type Plan, placePods, rollPods, type View } from './plan.js';
import { daemonSetStatus, sameDaemonSetStatus } from './status.js';

/** The most pods that one reconcile creates or deletes. */
const BURST = 250;
const HASH_LABEL = 'controller-revision-hash';

export function startDaemonSetController(options: ControllersOptions): Controller {
  return new DaemonSetController(contextOf(options, 'daemon-set-controller', 'daemonset-controller')).loop;
}

class DaemonSetController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #sets: Informer<DaemonSet>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #revisions: Revisions<DaemonSet>;
  readonly #expectations: Expectations;
  readonly #backoff: FailedPodBackoff;

  constructor(context: Context) {
    this.#context = context;
    this.#expectations = new Expectations(context.clock);
    this.#backoff = new FailedPodBackoff(context.clock);
    this.#sets = context.informers.of(daemonSets, { indexes: { namespace: namespaceIndex } });
    this.#pods = context.informers.of(pods, { indexes: { [CONTROLLER_INDEX]: controllerIndex } });
    this.#nodes = context.informers.of(nodes);
    this.#revisions = new Revisions(context, daemonSets, { hashLabel: HASH_LABEL });
    const informers = [this.#sets, this.#pods, this.#nodes, this.#revisions.informer];
    const synced = informers.map((informer) => informer.synced);
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), 2);
    this.#subscribe();
  }

  #subscribe(): void {
    const enqueue = (key: string) => this.loop.queue.add(key);
    this.loop.onClose(
      this.#sets.on({
        added: (set) => enqueue(objectKey(set)),
        updated: (old, set) => {
          if (old.metadata.uid !== set.metadata.uid) this.#expectations.forget(objectKey(set));
          enqueue(objectKey(set));
        },
        deleted: (set) => {
          this.#expectations.forget(objectKey(set));
          enqueue(objectKey(set));
        },
      }),
      onChildren({
        parents: this.#sets,
        parentKind: 'DaemonSet',
        children: this.#pods,
        enqueue,
        created: (key) => this.#expectations.creationObserved(key),
        deleted: (key, pod) => this.#expectations.deletionObserved(key, pod.metadata.uid ?? ''),
      }),
      onChildren({
        parents: this.#sets,
        parentKind: 'DaemonSet',
        children: this.#revisions.informer,
        enqueue,
      }),
      this.#nodes.on({
        added: (node) => this.#nodeChanged(undefined, node),
        updated: (old, node) => this.#nodeChanged(old, node),
        deleted: (node) => this.#nodeChanged(node, undefined),
      }),
    );
  }

  /** Reconciles those sets for which the node has come, gone or changed its meaning. */
  #nodeChanged(old: Node | undefined, node: Node | undefined): void {
    if (old && node && sameForPlacement(old, node)) return;
    for (const set of this.#sets.list()) {
      const before = old === undefined ? undefined : placementOn(old, set.spec.template);
      const after = node === undefined ? undefined : placementOn(node, set.spec.template);
      if (before?.run !== after?.run || before?.stay !== after?.stay) this.loop.queue.add(objectKey(set));
    }
  }

  async #reconcile(key: string): Promise<void> {
    const set = this.#sets.get(key);
    if (set === undefined) return this.#expectations.forget(key);
    if (isOwnWorkload(key)) return;
    if (set.metadata.deletionTimestamp !== undefined) return;
    const { current, old, collisionCount } = await this.#revisions.history(set);
    const hash = current.metadata.labels?.[HASH_LABEL] ?? '';
    const pods = await this.#podsOf(set);
    const view = this.#view(set, pods, hash);
    // The pods that are not yet seen belong to what was asked for before.
    const isReady = this.#expectations.satisfied(key);
    const error = isReady ? await this.#act(key, view) : undefined;
    if (isReady && error === undefined) {
      const live = new Set(pods.map((pod) => pod.metadata.labels?.[HASH_LABEL]));
      await this.#revisions.truncate(set, old, (r) => live.has(r.metadata.labels?.[HASH_LABEL]), true);
    }
    const observed = isReady ? set.metadata.generation : set.status?.observedGeneration;
    await this.#writeStatus(set, daemonSetStatus(view, observed, collisionCount));
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    const all = [...view.pods.values()].flat().filter((pod) => isUpdated(pod, hash));
    const wait = nextAvailability(all, set.spec.minReadySeconds ?? 0, view.now);
    if (wait !== undefined) this.loop.queue.addAfter(key, wait);
  }

  #podsOf(set: DaemonSet): Promise<Pod[]> {
    const own = this.#pods.byIndex(CONTROLLER_INDEX, set.metadata.uid ?? '');
    const orphans = this.#pods.byIndex(CONTROLLER_INDEX, orphansOf(set.metadata.namespace ?? ''));
    return claim<DaemonSet, Pod>({
      client: this.#context.client,
      owner: set,
      ownerResource: daemonSets,
      selector: set.spec.selector,
      resource: pods,
      candidates: [...own, ...orphans],
    });
  }

  #view(set: DaemonSet, pods: Pod[], hash: string): View {
    const byNode = new Map<string, Pod[]>();
    for (const pod of pods) {
      const node = targetNode(pod);
      // Of one that has ended and is only kept by a finalizer nothing more comes.
      const isOver = isPodTerminal(pod) && pod.metadata.deletionTimestamp !== undefined;
      if (node === '' || isOver) continue;
      const here = byNode.get(node);
      if (here === undefined) byNode.set(node, [pod]);
      else here.push(pod);
    }
    return { set, nodes: this.#nodes.list(), pods: byNode, hash, now: this.#context.clock.now() };
  }

  /** Places pods; once that leaves nothing to do, goes on with the update. Returns the first error. */
  async #act(key: string, view: View): Promise<unknown> {
    const { failed, succeeded, ...plan } = placePods(view);
    plan.remove.push(...this.#ended(key, view.set, failed, succeeded));
    const error = await this.#carryOut(key, view, plan);
    if (error !== undefined || !this.#expectations.satisfied(key)) return error;
    if (view.set.spec.updateStrategy?.type !== 'RollingUpdate') return undefined;
    return this.#carryOut(key, view, rollPods(view));
  }

  /** Tells of pods that ended; those of a node on which they keep failing wait longer and longer. */
  #ended(key: string, set: DaemonSet, failed: Ended[], succeeded: Ended[]): Pod[] {
    const removed: Pod[] = [];
    for (const { pod, node } of failed) {
      const wait = this.#backoff.next(`${set.metadata.uid}/${set.metadata.generation}/${node}`);
      if (wait > 0) {
        this.loop.queue.addAfter(key, wait);
        continue;
      }
      const message = `Found failed daemon pod ${objectKey(pod)} on node ${node}, will try to kill it`;
      this.#context.events.event(set, 'Warning', 'FailedDaemonPod', message);
      removed.push(pod);
    }
    for (const { pod, node } of succeeded) {
      const message = `Found succeeded daemon pod ${objectKey(pod)} on node ${node}, will try to delete it`;
      this.#context.events.event(set, 'Normal', 'SucceededDaemonPod', message);
      removed.push(pod);
    }
    return removed;
  }

  async #carryOut(key: string, { set, hash }: View, plan: Plan): Promise<unknown> {
    const create = plan.create.slice(0, BURST);
    const remove = plan.remove.slice(0, BURST);
    if (create.length === 0 && remove.length === 0) return undefined;
    this.#expectations.expect(
      key,
      create.length,
      remove.map((pod) => pod.metadata.uid ?? ''),
    );
    const [created, removed] = await Promise.all([
      this.#create(key, set, create, hash),
      this.#remove(key, set, remove),
    ]);
    return created ?? removed;
  }

  async #create(key: string, set: DaemonSet, names: string[], hash: string): Promise<unknown> {
    let tried = 0;
    const { error } = await slowStart(names.length, async () => {
      const node = names[tried++]!;
      try {
        await createPod(this.#context, daemonTemplate(set, node, hash), set);
      } catch (failure) {
        this.#expectations.creationObserved(key);
        throw failure;
      }
    });
    for (let i = tried; i < names.length; i++) this.#expectations.creationObserved(key);
    return error;
  }

  async #remove(key: string, set: DaemonSet, victims: Pod[]): Promise<unknown> {
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          await deletePod(this.#context, pod, set);
        } catch (error) {
          this.#expectations.deletionObserved(key, pod.metadata.uid ?? '');
          if (!isReason(error, 'NotFound')) throw error;
        }
      }),
    );
    return results.find((result) => result.status === 'rejected')?.reason;
  }

  async #writeStatus(set: DaemonSet, status: DaemonSet['status'] & object): Promise<void> {
    if (sameDaemonSetStatus(set.status, status)) return;
    try {
      await this.#context.client.of(daemonSets).updateStatus({ ...set, status });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

/** Whether nothing has changed that decides where daemons run. */
function sameForPlacement(a: Node, b: Node): boolean {
  const facts = ({ metadata, spec }: Node): string => JSON.stringify([metadata.labels, spec?.taints]);
  return facts(a) === facts(b);
}
