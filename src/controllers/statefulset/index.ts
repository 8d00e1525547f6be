/** The StatefulSet controller: pods with names, in order. */
import type { ControllerRevision, Pod, StatefulSet } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { pods, statefulSets } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex, onChildren } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { CONTROLLER_INDEX, claim, controllerIndex, orphansOf } from '../owners.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { nextAvailability } from '../replicaset/status.js';
import { type History, Revisions } from '../revisions.js';
import { Claims } from './claims.js';
import { identityRepair, ordinalOf, podName, podOf, revisionOf } from './identity.js';
import { nextStep, type Plan, type View } from './plan.js';
import { sameStatefulSetStatus, statefulSetStatus } from './status.js';

export function startStatefulSetController(options: ControllersOptions): Controller {
  return new StatefulSetController(contextOf(options, 'statefulset-controller')).loop;
}

class StatefulSetController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #sets: Informer<StatefulSet>;
  readonly #pods: Informer<Pod>;
  readonly #revisions: Revisions<StatefulSet>;
  readonly #claims: Claims;

  constructor(context: Context) {
    this.#context = context;
    this.#claims = new Claims(context);
    this.#sets = context.informers.of(statefulSets, { indexes: { namespace: namespaceIndex } });
    this.#pods = context.informers.of(pods, { indexes: { [CONTROLLER_INDEX]: controllerIndex } });
    this.#revisions = new Revisions(context, statefulSets, { hashLabel: 'controller.kubernetes.io/hash' });
    const synced = [this.#sets.synced, this.#pods.synced, this.#revisions.informer.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key));
    const enqueue = (set: StatefulSet) => this.loop.queue.add(objectKey(set));
    this.loop.onClose(
      this.#sets.on({ added: enqueue, updated: (_, set) => enqueue(set), deleted: enqueue }),
      onChildren({
        parents: this.#sets,
        parentKind: 'StatefulSet',
        children: this.#pods,
        enqueue: (key) => this.loop.queue.add(key),
      }),
    );
  }

  async #reconcile(key: string): Promise<void> {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    const own = await this.#podsOf(set);
    const history = await this.#revisions.history(set);
    const view = viewOf(set, own, history, this.#context.clock.now());
    const plan = set.metadata.deletionTimestamp === undefined ? nextStep(view) : undefined;
    const error = plan === undefined ? undefined : await this.#carryOut(view, plan);
    await this.#writeStatus(set, statefulSetStatus(view, plan?.outdated ?? 0, history.collisionCount));
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    const live = new Set([view.current.metadata.name, ...own.map(revisionOf)]);
    await this.#revisions.truncate(set, history.old, ({ metadata }) => live.has(metadata.name));
    const wait = nextAvailability(own, set.spec.minReadySeconds ?? 0, view.now);
    if (wait !== undefined) this.loop.queue.addAfter(key, wait);
  }

  /** Only what is named as a pod of the set can be one. */
  #podsOf(set: StatefulSet): Promise<Pod[]> {
    const own = this.#pods.byIndex(CONTROLLER_INDEX, set.metadata.uid ?? '');
    const orphans = this.#pods.byIndex(CONTROLLER_INDEX, orphansOf(set.metadata.namespace ?? ''));
    return claim<StatefulSet, Pod>({
      client: this.#context.client,
      owner: set,
      ownerResource: statefulSets,
      selector: set.spec.selector,
      resource: pods,
      candidates: [...own, ...orphans].filter((pod) => ordinalOf(set, pod) !== undefined),
    });
  }

  /** Returns the first error. */
  async #carryOut({ set }: View, plan: Plan): Promise<unknown> {
    const isOrdered = set.spec.podManagementPolicy !== 'Parallel';
    const steps: (() => Promise<void>)[] = [
      ...plan.check.map((pod) => () => this.#check(set, pod)),
      ...plan.create.map((one) => () => this.#create(set, one.ordinal, one.revision)),
      ...plan.remove.map((pod) => () => this.#remove(set, pod)),
    ];
    if (!isOrdered) {
      const results = await Promise.allSettled(steps.map((step) => step()));
      return results.find((result) => result.status === 'rejected')?.reason;
    }
    for (const step of steps)
      try {
        await step();
      } catch (error) {
        return error;
      }
    return undefined;
  }

  /** A pod that waits may lack a claim; any may have lost its identity. */
  async #check(set: StatefulSet, pod: Pod): Promise<void> {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) return;
    if (set.spec.volumeClaimTemplates?.length) {
      if (pod.status?.phase === 'Pending') await this.#claims.ensure(set, ordinal);
      await this.#claims.own(set, pod);
    }
    const metadata = identityRepair(set, pod);
    if (metadata === undefined) return;
    const { namespace = '', name, uid } = pod.metadata;
    const what = `update Pod ${name} in StatefulSet ${set.metadata.name}`;
    try {
      await this.#context.client
        .of(pods)
        .patch(namespace, name, { metadata: { ...metadata, uid } }, { type: 'merge' });
      this.#context.events.event(set, 'Normal', 'SuccessfulUpdate', `${what} successful`);
    } catch (error) {
      if (isReason(error, 'NotFound')) return;
      const why = (error as Error).message;
      this.#context.events.event(set, 'Warning', 'FailedUpdate', `${what} failed error: ${why}`);
      throw error;
    }
  }

  async #create(set: StatefulSet, ordinal: number, revision: ControllerRevision): Promise<void> {
    await this.#claims.ensure(set, ordinal);
    const what = `create Pod ${podName(set, ordinal)} in StatefulSet ${set.metadata.name}`;
    try {
      await this.#context.client.of(pods).create(podOf(set, ordinal, revision));
      this.#context.events.event(set, 'Normal', 'SuccessfulCreate', `${what} successful`);
    } catch (error) {
      // The cache lags behind, or a pod of somebody else has the name: its event or its end tells.
      if (isReason(error, 'AlreadyExists')) return this.#nameTaken(set, ordinal, error);
      if (!isNamespaceTerminating(error)) {
        const why = (error as Error).message;
        this.#context.events.event(set, 'Warning', 'FailedCreate', `${what} failed error: ${why}`);
      }
      throw error;
    }
  }

  #nameTaken(set: StatefulSet, ordinal: number, error: Error): void {
    const taken = this.#pods.get(`${set.metadata.namespace}/${podName(set, ordinal)}`);
    const isForeign = taken?.metadata.ownerReferences?.some(({ uid }) => uid !== set.metadata.uid);
    if (isForeign || (taken && !taken.metadata.ownerReferences)) throw error;
  }

  async #remove(set: StatefulSet, pod: Pod): Promise<void> {
    const { namespace = '', name, uid } = pod.metadata;
    const what = `delete Pod ${name} in StatefulSet ${set.metadata.name}`;
    try {
      const preconditions = uid === undefined ? {} : { preconditions: { uid } };
      await this.#context.client.of(pods).delete(namespace, name, preconditions);
      this.#context.events.event(set, 'Normal', 'SuccessfulDelete', `${what} successful`);
    } catch (error) {
      if (isReason(error, 'NotFound')) return;
      const why = (error as Error).message;
      this.#context.events.event(set, 'Warning', 'FailedDelete', `${what} failed error: ${why}`);
      throw error;
    }
  }

  async #writeStatus(set: StatefulSet, status: StatefulSet['status'] & object): Promise<void> {
    if (sameStatefulSetStatus(set.status, status)) return;
    try {
      await this.#context.client.of(statefulSets).updateStatus({ ...set, status });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

function viewOf(set: StatefulSet, own: Pod[], { current: update, old }: History, now: number): View {
  const current = old.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
  return { set, pods: own, current, update, now };
}
