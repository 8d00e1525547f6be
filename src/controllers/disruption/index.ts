/** The disruption controller: computes how many pods of each PodDisruptionBudget may be evicted. */
import type { OwnerReference, Pod, PodDisruptionBudget } from '#types';
import { labelSelector } from '../../api/machinery/selectors.js';
import { isReason } from '../../api/machinery/status.js';
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import {
  deployments,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { customKindsOf, resourceOfKind } from '../custom-kinds.js';
import { controllerOf } from '../owners.js';
import {
  budgetStatus,
  expectedPods,
  failedStatus,
  needsScale,
  sameBudgetStatus,
  stillDisrupted,
} from './arithmetic.js';

export function startDisruptionController(options: ControllersOptions): Controller {
  return new DisruptionController(contextOf(options, 'disruption-controller', 'controllermanager')).loop;
}

class DisruptionController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #pods: Informer<Pod>;
  /** The kinds whose sizes are known without asking, by kind. */
  readonly #workloads: Map<string, Informer<any>>;

  constructor(context: Context) {
    this.#context = context;
    const indexes = { namespace: namespaceIndex };
    this.#budgets = context.informers.of(podDisruptionBudgets, { indexes });
    this.#pods = context.informers.of(pods, { indexes });
    this.#workloads = new Map(
      ([replicaSets, deployments, statefulSets, replicationControllers] as Resource<any>[]).map(
        (resource) => [`${resource.apiVersion}/${resource.kind}`, context.informers.of(resource)],
      ),
    );
    const informers = [this.#budgets, this.#pods, ...this.#workloads.values()];
    const synced = informers.map((informer) => informer.synced);
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), 1);
    const enqueue = (budget: PodDisruptionBudget) => this.loop.queue.add(objectKey(budget));
    this.loop.onClose(
      this.#budgets.on({ added: enqueue, updated: (_, budget) => enqueue(budget) }),
      this.#pods.on({
        added: (pod) => this.#podChanged(pod),
        updated: (old, pod) => {
          this.#podChanged(pod);
          if (old.metadata.labels !== pod.metadata.labels) this.#podChanged(old);
        },
        deleted: (pod) => this.#podChanged(pod),
      }),
      ...[...this.#workloads.values()].map((informer) =>
        informer.on({
          updated: (old: KubeObject, next: KubeObject) => {
            if (old['spec']?.replicas !== next['spec']?.replicas) this.#scaled(next);
          },
        }),
      ),
    );
  }

  #podChanged(pod: Pod): void {
    for (const budget of this.#budgets.byIndex('namespace', pod.metadata.namespace ?? ''))
      if (selects(budget, pod)) this.loop.queue.add(objectKey(budget));
  }

  #scaled({ metadata }: KubeObject): void {
    for (const budget of this.#budgets.byIndex('namespace', metadata.namespace ?? ''))
      this.loop.queue.add(objectKey(budget));
  }

  async #reconcile(key: string): Promise<void> {
    const budget = this.#budgets.get(key);
    if (budget === undefined) return;
    const now = this.#context.clock.now();
    try {
      await this.#update(key, budget, now);
    } catch (error) {
      if (isReason(error, 'Conflict') || isReason(error, 'NotFound')) throw error;
      await this.#write(budget, failedStatus(budget, error, now));
      throw error;
    }
  }

  async #update(key: string, budget: PodDisruptionBudget, now: number): Promise<void> {
    const all = this.#pods.byIndex('namespace', budget.metadata.namespace ?? '');
    const selected = all.filter((pod) => selects(budget, pod));
    if (selected.length === 0) this.#event(budget, 'Normal', 'NoPods', 'No matching pods found');
    const scale = needsScale(budget) ? await this.#scaleOf(budget, selected) : 0;
    const { kept, overdue, recheck } = stillDisrupted(budget, selected, now);
    for (const pod of overdue)
      this.#context.events.event(
        pod,
        'Warning',
        'NotDeleted',
        `Pod was expected by PDB ${key} to be deleted but it wasn't`,
      );
    const expected = expectedPods(budget, selected.length, scale);
    await this.#write(budget, budgetStatus(budget, selected, expected, kept, now));
    if (recheck !== undefined) this.loop.queue.addAfter(key, recheck + 1);
  }

  /** The sum of the sizes of all workloads that control the pods. */
  async #scaleOf(budget: PodDisruptionBudget, selected: Pod[]): Promise<number> {
    const sizes = new Map<string, number>();
    let unmanaged = 0;
    for (const pod of selected) {
      const ref = controllerOf(pod);
      if (ref === undefined) {
        unmanaged++;
        continue;
      }
      const known = this.#topController(pod.metadata.namespace ?? '', ref);
      if (sizes.has(known.uid)) continue;
      const size = await this.#sizeOf(pod.metadata.namespace ?? '', known);
      if (size === undefined) {
        const error = new Error(`found no controllers for pod "${pod.metadata.name}"`);
        this.#event(
          budget,
          'Warning',
          'CalculateExpectedPodCountFailed',
          `Failed to calculate the number of expected pods: ${error.message}`,
        );
        throw error;
      }
      sizes.set(known.uid, size);
    }
    if (unmanaged > 0)
      this.#event(
        budget,
        'Warning',
        'UnmanagedPods',
        `Pods selected by this PodDisruptionBudget (selector: ${labelSelector(budget.spec?.selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`,
      );
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** The Deployment of a ReplicaSet that has one: in a rollout its size is what counts. */
  #topController(namespace: string, ref: OwnerReference): OwnerReference {
    const object: KubeObject | undefined = this.#known(namespace, ref);
    const above = ref.kind === 'ReplicaSet' && object !== undefined ? controllerOf(object) : undefined;
    return above?.kind === 'Deployment' ? above : ref;
  }

  #known(namespace: string, { apiVersion, kind, name, uid }: OwnerReference): KubeObject | undefined {
    const object = this.#workloads.get(`${apiVersion}/${kind}`)?.get(`${namespace}/${name}`);
    return object?.metadata.uid === uid ? object : undefined;
  }

  async #sizeOf(namespace: string, ref: OwnerReference): Promise<number | undefined> {
    if (this.#workloads.has(`${ref.apiVersion}/${ref.kind}`)) {
      const object = this.#known(namespace, ref);
      return object && (object['spec'].replicas ?? 1);
    }
    const resource = resourceOfKind(ref.apiVersion, ref.kind, customKindsOf(this.#context.informers));
    if (resource?.scale === undefined) return undefined;
    const scale = await this.#context.client.of(resource).getSubresource(namespace, ref.name, 'scale');
    return scale.metadata.uid === ref.uid ? Number(scale['spec']?.replicas ?? 0) : undefined;
  }

  async #write(budget: PodDisruptionBudget, status: PodDisruptionBudget['status'] & object): Promise<void> {
    if (sameBudgetStatus(budget.status, status)) return;
    await this.#context.client.of(podDisruptionBudgets).updateStatus({ ...budget, status });
  }

  #event(budget: PodDisruptionBudget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.events.event(budget, type, reason, message);
  }
}

function selects({ spec }: PodDisruptionBudget, pod: Pod): boolean {
  return spec?.selector !== undefined && labelSelector(spec.selector).matches(pod.metadata.labels);
}
