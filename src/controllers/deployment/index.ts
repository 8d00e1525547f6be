/** The Deployment controller: rolls out pod templates through ReplicaSets. */
import type { Deployment, LabelSelector, Pod, ReplicaSet } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { deployments, pods, replicaSets } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex, onChildren } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { isOwnWorkload } from '../own-workloads/objects.js';
import { CONTROLLER_INDEX, claim, controllerIndex, controllerOf, orphansOf } from '../owners.js';
import { isRollingUpdate } from './arithmetic.js';
import { Rollout } from './rollout.js';
import { deadlineCheck } from './status.js';

export function startDeploymentController(options: ControllersOptions): Controller {
  return new DeploymentController(contextOf(options, 'deployment-controller')).loop;
}

class DeploymentController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #deployments: Informer<Deployment>;
  readonly #sets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;

  constructor(context: Context) {
    this.#context = context;
    const indexes = { [CONTROLLER_INDEX]: controllerIndex };
    this.#deployments = context.informers.of(deployments, { indexes: { namespace: namespaceIndex } });
    this.#sets = context.informers.of(replicaSets, { indexes });
    this.#pods = context.informers.of(pods, { indexes });
    const synced = [this.#deployments.synced, this.#sets.synced, this.#pods.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key));
    const enqueue = (d: Deployment) => this.loop.queue.add(objectKey(d));
    this.loop.onClose(
      this.#deployments.on({ added: enqueue, updated: (_, d) => enqueue(d), deleted: enqueue }),
      onChildren({
        parents: this.#deployments,
        parentKind: 'Deployment',
        children: this.#sets,
        enqueue: (key) => this.loop.queue.add(key),
      }),
      this.#pods.on({ deleted: (pod) => this.#podDeleted(pod) }),
    );
  }

  /** A Deployment that recreates waits for the last pod of its old ReplicaSets. */
  #podDeleted(pod: Pod): void {
    const { namespace } = pod.metadata;
    const set = this.#sets.get(`${namespace}/${controllerOf(pod)?.name}`);
    const owner = set && controllerOf(set);
    const deployment = owner && this.#deployments.get(`${namespace}/${owner.name}`);
    if (deployment && !isRollingUpdate(deployment)) this.loop.queue.add(objectKey(deployment));
  }

  async #reconcile(key: string): Promise<void> {
    const d = this.#deployments.get(key);
    if (d === undefined || isOwnWorkload(key)) return;
    if (isEmptySelector(d.spec.selector)) return this.#refuse(d);
    const sets = await this.#setsOf(d);
    const podsOf = (rs: ReplicaSet) => this.#pods.byIndex(CONTROLLER_INDEX, rs.metadata.uid ?? '');
    try {
      const after = await new Rollout(this.#context, d, sets, podsOf).run();
      const wait = deadlineCheck(after, after.status ?? {}, this.#context.clock.now());
      if (wait !== undefined) this.loop.queue.addAfter(key, wait);
    } catch (error) {
      if (!isReason(error, 'NotFound') || this.#deployments.get(key)?.metadata.uid === d.metadata.uid)
        throw error;
    }
  }

  #setsOf(d: Deployment): Promise<ReplicaSet[]> {
    const own = this.#sets.byIndex(CONTROLLER_INDEX, d.metadata.uid ?? '');
    const orphans = this.#sets.byIndex(CONTROLLER_INDEX, orphansOf(d.metadata.namespace ?? ''));
    return claim<Deployment, ReplicaSet>({
      client: this.#context.client,
      owner: d,
      ownerResource: deployments,
      selector: d.spec.selector,
      resource: replicaSets,
      candidates: [...own, ...orphans],
    });
  }

  async #refuse(d: Deployment): Promise<void> {
    const message = 'This deployment is selecting all pods. A non-empty selector is required.';
    this.#context.events.event(d, 'Warning', 'SelectingAll', message);
    const observedGeneration = d.metadata.generation ?? 0;
    if ((d.status?.observedGeneration ?? 0) >= observedGeneration) return;
    await this.#context.client
      .of(deployments)
      .updateStatus({ ...d, status: { ...d.status, observedGeneration } });
  }
}

function isEmptySelector(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && !selector.matchExpressions?.length;
}
