/** The ReplicaSet and ReplicationController controllers: keep as many pods of a template as asked for. */
import type { LabelSelector, Pod, ReplicaSet } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { pods, replicaSets, replicationControllers } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex, onChildren } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { Expectations } from '../expectations.js';
import { CONTROLLER_INDEX, claim, controllerIndex, controllerOf, orphansOf } from '../owners.js';
import { createPod, deletePod, isNamespaceTerminating } from '../pod-control.js';
import { isPodActive, isPodTerminating } from '../pods.js';
import { slowStart } from '../slow-start.js';
import { podsToDelete } from './ranking.js';
import { nextAvailability, replicaSetStatus, sameStatus } from './status.js';

/** The most pods that one reconcile creates or deletes. */
const BURST = 500;

export function startReplicaSetController(options: ControllersOptions): Controller {
  const kind: ReplicaKind = {
    resource: replicaSets,
    selectorOf: (set) => set.spec.selector,
    countsTerminating: true,
  };
  return new ReplicaSetController(contextOf(options, 'replicaset-controller'), kind).loop;
}

/** ReplicationControllers differ in their selector alone, so they are taken for ReplicaSets. */
export function startReplicationController(options: ControllersOptions): Controller {
  const kind: ReplicaKind = {
    resource: replicationControllers as unknown as Resource<ReplicaSet>,
    selectorOf: (set) => ({ matchLabels: set.spec.selector as Record<string, string> }),
    countsTerminating: false,
  };
  return new ReplicaSetController(contextOf(options, 'replication-controller'), kind).loop;
}

/** One of the kinds that keep replicas. */
interface ReplicaKind {
  resource: Resource<ReplicaSet>;
  selectorOf(set: ReplicaSet): LabelSelector;
  /** Whether the status has `terminatingReplicas`. */
  countsTerminating: boolean;
}

class ReplicaSetController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #kind: ReplicaKind;
  readonly #sets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #expectations: Expectations;

  constructor(context: Context, kind: ReplicaKind) {
    this.#context = context;
    this.#kind = kind;
    this.#expectations = new Expectations(context.clock);
    const indexes = { [CONTROLLER_INDEX]: controllerIndex };
    this.#sets = context.informers.of(kind.resource, { indexes: { ...indexes, namespace: namespaceIndex } });
    this.#pods = context.informers.of(pods, { indexes });
    this.loop = new WorkLoop(context, [this.#sets.synced, this.#pods.synced], (key) => this.#reconcile(key));
    const enqueue = (key: string) => this.loop.queue.add(key);
    this.loop.onClose(
      this.#sets.on({
        added: (rs) => enqueue(objectKey(rs)),
        updated: (old, rs) => {
          if (old.metadata.uid !== rs.metadata.uid) this.#expectations.forget(objectKey(rs));
          enqueue(objectKey(rs));
        },
        deleted: (rs) => {
          this.#expectations.forget(objectKey(rs));
          enqueue(objectKey(rs));
        },
      }),
      onChildren({
        parents: this.#sets,
        parentKind: kind.resource.kind,
        selectorOf: kind.selectorOf,
        children: this.#pods,
        enqueue,
        created: (key) => this.#expectations.creationObserved(key),
        deleted: (key, pod) => this.#expectations.deletionObserved(key, pod.metadata.uid ?? ''),
      }),
    );
  }

  async #reconcile(key: string): Promise<void> {
    const rs = this.#sets.get(key);
    if (rs === undefined) return this.#expectations.forget(key);
    const satisfied = this.#expectations.satisfied(key);
    const { active, terminating } = await this.#replicas(rs);
    let error: unknown;
    if (satisfied && rs.metadata.deletionTimestamp === undefined) error = await this.#scale(key, rs, active);
    const now = this.#context.clock.now();
    const replicas = { active, terminating: this.#kind.countsTerminating ? terminating : undefined, error };
    await this.#writeStatus(rs, replicaSetStatus(rs, replicas, now));
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    const wait = nextAvailability(active, rs.spec.minReadySeconds ?? 0, now);
    if (wait !== undefined) this.loop.queue.addAfter(key, wait);
  }

  async #replicas(rs: ReplicaSet): Promise<{ active: Pod[]; terminating: Pod[] }> {
    const own = this.#pods.byIndex(CONTROLLER_INDEX, rs.metadata.uid ?? '');
    const orphans = this.#pods.byIndex(CONTROLLER_INDEX, orphansOf(rs.metadata.namespace ?? ''));
    const active = await claim<ReplicaSet, Pod>({
      client: this.#context.client,
      owner: rs,
      ownerResource: this.#kind.resource,
      selector: this.#kind.selectorOf(rs),
      resource: pods,
      candidates: [...own, ...orphans].filter(isPodActive),
    });
    return { active, terminating: own.filter(isPodTerminating) };
  }

  /** Creates what is missing or deletes what is too much; returns the first error. */
  async #scale(key: string, rs: ReplicaSet, active: Pod[]): Promise<unknown> {
    const difference = active.length - (rs.spec.replicas ?? 1);
    if (difference < 0) return this.#create(key, rs, Math.min(-difference, BURST));
    if (difference > 0) return this.#delete(key, rs, active, Math.min(difference, BURST));
    return undefined;
  }

  async #create(key: string, rs: ReplicaSet, count: number): Promise<unknown> {
    this.#expectations.expectCreations(key, count);
    let tried = 0;
    const { error } = await slowStart(count, async () => {
      tried++;
      try {
        await createPod(this.#context, rs.spec.template ?? {}, rs);
      } catch (failure) {
        this.#expectations.creationObserved(key);
        throw failure;
      }
    });
    for (let i = tried; i < count; i++) this.#expectations.creationObserved(key);
    return error;
  }

  async #delete(key: string, rs: ReplicaSet, active: Pod[], count: number): Promise<unknown> {
    const victims = podsToDelete(active, this.#relatedPods(rs), count, this.#context.clock.now());
    this.#expectations.expectDeletions(
      key,
      victims.map((pod) => pod.metadata.uid ?? ''),
    );
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          await deletePod(this.#context, pod, rs);
        } catch (error) {
          this.#expectations.deletionObserved(key, pod.metadata.uid ?? '');
          if (!isReason(error, 'NotFound')) throw error;
        }
      }),
    );
    return results.find((result) => result.status === 'rejected')?.reason;
  }

  /** The pods of all ReplicaSets that the same Deployment controls. */
  #relatedPods(rs: ReplicaSet): Pod[] {
    const owner = controllerOf(rs);
    const siblings = owner === undefined ? [rs] : this.#sets.byIndex(CONTROLLER_INDEX, owner.uid);
    return siblings
      .flatMap((sibling) => this.#pods.byIndex(CONTROLLER_INDEX, sibling.metadata.uid ?? ''))
      .filter(isPodActive);
  }

  async #writeStatus(rs: ReplicaSet, status: ReplicaSet['status'] & object): Promise<void> {
    if (sameStatus(rs.status, status)) return;
    try {
      await this.#context.client.of(this.#kind.resource).updateStatus({ ...rs, status });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}
