/** One reconcile of one Deployment: the steps of rolling update, recreate, scaling and clean-up. */
import type { Deployment, DeploymentCondition, DeploymentStatus, Pod, ReplicaSet } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { deployments, replicaSets } from '../../api/resources/index.js';
import type { Context } from '../context.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { isPodTerminal } from '../pods.js';
import { desiredReplicas, maxRevision, REVISION, revisionOf } from './annotations.js';
import {
  activeOrLatest,
  activeSets,
  isRollingUpdate,
  isSaturated,
  newSetReplicas,
  oldestFirst,
  proportionalSizes,
  replicasOf,
  shrinkOldSets,
  statusReplicas,
} from './arithmetic.js';
import {
  createNewSet,
  findNewSet,
  HashCollision,
  newSetOf,
  refreshNewSet,
  resize,
  tellOfScaling,
} from './sets.js';
import {
  condition,
  deploymentStatus,
  hasHistoryLimit,
  hasProgressDeadline,
  isComplete,
  newCondition,
  rolloutStatus,
  sameDeploymentStatus,
  withCondition,
} from './status.js';

/** What a rollout needs to know of the pods. */
export type PodsOfSet = (rs: ReplicaSet) => Pod[];

export class Rollout {
  readonly #context: Context;
  readonly #podsOf: PodsOfSet;
  /** As the server has it. */
  #stored: Deployment;
  /** As it is to be written at the end, in one request: status and the revision annotation. */
  #d: Deployment;
  #sets: ReplicaSet[];

  constructor(context: Context, d: Deployment, sets: ReplicaSet[], podsOf: PodsOfSet) {
    this.#context = context;
    this.#stored = d;
    this.#d = d;
    this.#sets = sets;
    this.#podsOf = podsOf;
  }

  /** Makes one step; resolves with the Deployment as it is after it. */
  async run(): Promise<Deployment> {
    if (this.#d.metadata.deletionTimestamp !== undefined) await this.#writeCounts(await this.#newSet(false));
    else {
      this.#notePause();
      if (this.#d.spec.paused || this.#isScaling()) await this.#scale();
      else if (isRollingUpdate(this.#d)) await this.#rollingUpdate();
      else await this.#recreate();
    }
    return this.#stored;
  }

  async #rollingUpdate(): Promise<void> {
    let newSet = await this.#newSet(true);
    if (newSet === undefined) return;
    const size = newSet.spec.replicas ?? 1;
    const target =
      size > replicasOf(this.#d) ? replicasOf(this.#d) : newSetReplicas(this.#d, this.#sets, size);
    if (target !== size) {
      newSet = await this.#resize(newSet, target);
      return this.#writeRollout(newSet);
    }
    const resizes = shrinkOldSets(this.#d, newSet, activeSets(this.#oldSets(newSet)));
    for (const { set, replicas } of resizes) await this.#resize(this.#current(set), replicas);
    if (resizes.length === 0) await this.#cleanUpIfComplete(newSet);
    await this.#writeRollout(newSet);
  }

  async #recreate(): Promise<void> {
    let newSet = await this.#newSet(false);
    const old = this.#oldSets(newSet);
    const active = activeSets(old);
    for (const set of active) await this.#resize(set, 0);
    if (active.length > 0 || this.#oldPodsRunning(old)) return this.#writeRollout(newSet);
    newSet = await this.#newSet(true);
    if (newSet === undefined) return;
    newSet = await this.#resize(newSet, replicasOf(this.#d));
    await this.#cleanUpIfComplete(newSet);
    await this.#writeRollout(newSet);
  }

  #oldPodsRunning(old: ReplicaSet[]): boolean {
    if (statusReplicas(old, 'replicas') > 0) return true;
    return old.some((set) => this.#podsOf(set).some((pod) => !isPodTerminal(pod)));
  }

  /** The size changed, or the rollout is paused: no new ReplicaSet, but the sizes follow. */
  async #scale(): Promise<void> {
    const newSet = await this.#newSet(false);
    const old = this.#oldSets(newSet);
    const only = activeOrLatest(newSet, old);
    if (only !== undefined) await this.#resize(only, replicasOf(this.#d));
    else if (isSaturated(this.#d, newSet)) for (const set of activeSets(old)) await this.#resize(set, 0);
    else if (isRollingUpdate(this.#d))
      for (const { set, replicas } of proportionalSizes(this.#d, activeSets(this.#sets)))
        await this.#resize(set, replicas);
    if (this.#d.spec.paused) await this.#cleanUp(old);
    await this.#writeCounts(newSet === undefined ? undefined : this.#current(newSet));
  }

  /** Whether a ReplicaSet was sized for another number of replicas than are wanted now. */
  #isScaling(): boolean {
    return activeSets(this.#sets).some((rs) => {
      const desired = desiredReplicas(rs);
      return desired !== undefined && desired !== replicasOf(this.#d);
    });
  }

  /** Pausing stops the clock of the progress deadline; resuming starts it anew. */
  #notePause(): void {
    const progressing = condition(this.#d.status, 'Progressing');
    if (!hasProgressDeadline(this.#d) || progressing?.reason === 'ProgressDeadlineExceeded') return;
    const noted = progressing?.reason === 'DeploymentPaused';
    if (this.#d.spec.paused && !noted)
      this.#note('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused');
    else if (!this.#d.spec.paused && noted)
      this.#note('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }

  /** The ReplicaSet of the current template, with its revision; made if `create`. */
  async #newSet(create: boolean): Promise<ReplicaSet | undefined> {
    const found = findNewSet(this.#d, this.#sets);
    const revision = maxRevision(this.#oldSets(found)) + 1;
    if (found !== undefined) {
      const set = await refreshNewSet(this.#context, this.#d, found, revision);
      this.#replace(set);
      this.#setRevision(revisionOf(set));
      if (hasProgressDeadline(this.#d) && condition(this.#d.status, 'Progressing') === undefined)
        this.#note(
          'Progressing',
          'True',
          'FoundNewReplicaSet',
          `Found new replica set "${set.metadata.name}"`,
        );
      return set;
    }
    return create ? this.#createNewSet(revision) : undefined;
  }

  async #createNewSet(revision: number): Promise<ReplicaSet> {
    const wanted = newSetOf(this.#d, this.#sets, revision);
    const { name } = wanted.metadata;
    try {
      const { set, created } = await createNewSet(this.#context, this.#d, wanted);
      this.#replace(set);
      const replicas = set.spec.replicas ?? 1;
      if (created && replicas > 0) tellOfScaling(this.#context, this.#d, name, 0, replicas);
      if (created && hasProgressDeadline(this.#d))
        this.#note('Progressing', 'True', 'NewReplicaSetCreated', `Created new replica set "${name}"`);
      this.#setRevision(revision);
      return set;
    } catch (error) {
      await this.#createFailed(name, error);
      throw error;
    }
  }

  async #createFailed(name: string, error: unknown): Promise<void> {
    if (isNamespaceTerminating(error)) return;
    if (error instanceof HashCollision) {
      const collisionCount = (this.#d.status?.collisionCount ?? 0) + 1;
      return this.#write({ ...this.#d.status, collisionCount });
    }
    const message = `Failed to create new replica set "${name}": ${(error as Error).message}`;
    this.#context.events.event(this.#d, 'Warning', 'FailedCreate', message);
    if (!hasProgressDeadline(this.#d)) return;
    this.#note('Progressing', 'False', 'ReplicaSetCreateError', message);
    await this.#write(this.#d.status ?? {});
  }

  async #cleanUpIfComplete(newSet: ReplicaSet): Promise<void> {
    const status = deploymentStatus(this.#d, this.#sets, newSet, this.#context.clock.now());
    if (isComplete(this.#d, status)) await this.#cleanUp(this.#oldSets(newSet));
  }

  /** Deletes the oldest ReplicaSets above the history limit that have no pods. */
  async #cleanUp(old: ReplicaSet[]): Promise<void> {
    if (!hasHistoryLimit(this.#d)) return;
    const alive = old.filter((rs) => rs.metadata.deletionTimestamp === undefined);
    const surplus = alive.length - (this.#d.spec.revisionHistoryLimit ?? 0);
    if (surplus <= 0) return;
    const byRevision = oldestFirst(alive).sort((a, b) => revisionOf(a) - revisionOf(b));
    for (const rs of byRevision.slice(0, surplus)) {
      if (rs.status?.replicas || rs.spec.replicas !== 0) continue;
      if ((rs.metadata.generation ?? 0) > (rs.status?.observedGeneration ?? 0)) continue;
      try {
        await this.#context.client.of(replicaSets).delete(rs.metadata.namespace ?? '', rs.metadata.name);
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
  }

  async #resize(set: ReplicaSet, replicas: number): Promise<ReplicaSet> {
    const resized = await resize(this.#context, this.#d, set, replicas);
    this.#replace(resized);
    return resized;
  }

  #oldSets(newSet: ReplicaSet | undefined): ReplicaSet[] {
    return this.#sets.filter((rs) => rs.metadata.uid !== newSet?.metadata.uid);
  }

  /** The latest version of a ReplicaSet that this reconcile may have changed. */
  #current(set: ReplicaSet): ReplicaSet {
    return this.#sets.find((rs) => rs.metadata.uid === set.metadata.uid) ?? set;
  }

  #replace(set: ReplicaSet): void {
    this.#sets = [...this.#oldSets(set), set];
  }

  #setRevision(revision: number): void {
    if (this.#d.metadata.annotations?.[REVISION] === String(revision)) return;
    const annotations = { ...this.#d.metadata.annotations, [REVISION]: String(revision) };
    this.#d = { ...this.#d, metadata: { ...this.#d.metadata, annotations } };
  }

  #note(type: string, status: string, reason: string, message: string): void {
    const next: DeploymentCondition = newCondition(type, status, reason, message, this.#context.clock.now());
    const conditions = withCondition(this.#d.status?.conditions ?? [], next);
    this.#d = { ...this.#d, status: { ...this.#d.status, conditions } };
  }

  #writeRollout(newSet: ReplicaSet | undefined): Promise<void> {
    return this.#write(rolloutStatus(this.#d, this.#sets, newSet, this.#context.clock.now()));
  }

  #writeCounts(newSet: ReplicaSet | undefined): Promise<void> {
    return this.#write(deploymentStatus(this.#d, this.#sets, newSet, this.#context.clock.now()));
  }

  async #write(status: DeploymentStatus): Promise<void> {
    const sameRevision =
      this.#stored.metadata.annotations?.[REVISION] === this.#d.metadata.annotations?.[REVISION];
    if (sameRevision && sameDeploymentStatus(this.#stored.status, status)) return;
    this.#stored = await this.#context.client.of(deployments).updateStatus({ ...this.#d, status });
    this.#d = this.#stored;
  }
}
