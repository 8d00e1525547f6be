/** The HorizontalPodAutoscaler controller (upstream `pkg/controller/podautoscaler`). */
import type {
  AutoscalingV2HorizontalPodAutoscaler as Autoscaler,
  AutoscalingV2HorizontalPodAutoscalerCondition as Condition,
  AutoscalingV2MetricStatus as MetricStatus,
  Pod,
} from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { quantityMilli } from '../../api/machinery/quantity.js';
import { parseLabelSelector } from '../../api/machinery/selectors.js';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { defaultBehavior } from '../../api/resources/autoscaling/horizontal-pod-autoscaler.js';
import { horizontalPodAutoscalers, pods } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { customKindsOf } from '../custom-kinds.js';
import { limit, memoryMs, type Recommendation, type Rules, type ScaleEvent, stabilize } from './behavior.js';
import { type Evaluation, evaluateMetrics } from './metrics.js';
import { readTarget, type Target, writeScale } from './target.js';

/** Of the flag `--horizontal-pod-autoscaler-sync-period`. */
const SYNC_MS = 15_000;
/** Of the flag `--horizontal-pod-autoscaler-tolerance`. */
const TOLERANCE = 0.1;

export function startHorizontalPodAutoscaler(options: ControllersOptions): Controller {
  return new AutoscalerController(contextOf(options, 'horizontal-pod-autoscaler')).loop;
}

interface Memory {
  recommendations: Recommendation[];
  events: ScaleEvent[];
}

class AutoscalerController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #autoscalers: Informer<Autoscaler>;
  readonly #pods: Informer<Pod>;
  readonly #memories = new Map<string, Memory>();

  constructor(context: Context) {
    this.#context = context;
    this.#autoscalers = context.informers.of(horizontalPodAutoscalers);
    this.#pods = context.informers.of(pods, { indexes: { namespace: namespaceIndex } });
    const synced = [this.#autoscalers.synced, this.#pods.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key));
    this.loop.onClose(
      this.#autoscalers.on({
        added: (autoscaler) => this.loop.queue.add(objectKey(autoscaler)),
        updated: (old, autoscaler) => {
          if (!sameJson(old.spec, autoscaler.spec)) this.loop.queue.add(objectKey(autoscaler));
        },
        deleted: (autoscaler) => this.#memories.delete(objectKey(autoscaler)),
      }),
    );
  }

  async #reconcile(key: string): Promise<void> {
    const autoscaler = this.#autoscalers.get(key);
    if (autoscaler === undefined || autoscaler.metadata.deletionTimestamp !== undefined) return;
    const memory = this.#memories.get(key) ?? { recommendations: [], events: [] };
    this.#memories.set(key, memory);
    const look = new Look(this.#context, autoscaler, memory, (namespace) =>
      this.#pods.byIndex('namespace', namespace),
    );
    try {
      await look.scale();
      await look.write();
    } catch (error) {
      if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
    } finally {
      // Its time comes again whatever came of this one.
      this.loop.queue.addAfter(key, SYNC_MS);
    }
  }
}

/** One look at one autoscaler. */
class Look {
  readonly #context: Context;
  readonly #autoscaler: Autoscaler;
  readonly #memory: Memory;
  readonly #podsOf: (namespace: string) => Pod[];
  readonly #now: number;
  readonly #rules: Rules | undefined;
  #conditions: Condition[];

  #status: Autoscaler['status'] & object;

  constructor(
    context: Context,
    autoscaler: Autoscaler,
    memory: Memory,
    podsOf: (namespace: string) => Pod[],
  ) {
    this.#context = context;
    this.#autoscaler = autoscaler;
    this.#memory = memory;
    this.#podsOf = podsOf;
    this.#now = context.clock.now();
    this.#rules = autoscaler.spec.behavior && defaultBehavior(autoscaler.spec.behavior);
    this.#conditions = [...(autoscaler.status?.conditions ?? [])];
    this.#status = { ...autoscaler.status, desiredReplicas: autoscaler.status?.desiredReplicas ?? 0 };
  }

  async scale(): Promise<void> {
    const target = await this.#target();
    if (!target) return;
    const current = target.scale.spec?.replicas ?? 0;
    if (this.#memory.recommendations.length === 0)
      this.#memory.recommendations.push({ time: this.#now, replicas: current });
    const { minReplicas: min = 1, maxReplicas: max } = this.#autoscaler.spec;
    let statuses: MetricStatus[] = [];
    let desired = current;
    let reason = '';
    if (current === 0 && min !== 0)
      this.#set(
        'ScalingActive',
        'False',
        'ScalingDisabled',
        'scaling is disabled since the replica count of the target is zero',
      );
    else if (current > max) [desired, reason] = [max, 'Current number of replicas above Spec.MaxReplicas'];
    else if (current < min) [desired, reason] = [min, 'Current number of replicas below Spec.MinReplicas'];
    else {
      const evaluation = await this.#evaluate(target, current);
      statuses = evaluation?.statuses ?? [];
      if (evaluation?.replicas === undefined) {
        this.#tellStatus(current, this.#status.desiredReplicas, statuses);
        if (evaluation?.error)
          this.#event('Warning', 'FailedComputeMetricsReplicas', evaluation.error.message);
        return;
      }
      desired = this.#normalize(evaluation.replicas, current, min, max);
      reason = evaluation.replicas > current ? `${evaluation.metric} above target` : '';
      if (desired < current) reason = 'All metrics below target';
    }
    const rescaled = desired !== current && (await this.#rescale(target, current, desired, reason));
    this.#tellStatus(current, rescaled ? desired : current, statuses);
    if (rescaled) this.#status.lastScaleTime = timestamp(this.#now);
  }

  /** Writes the status if it has changed. */
  async write(): Promise<void> {
    const status = { ...this.#status, conditions: this.#conditions };
    if (sameJson(status, this.#autoscaler.status)) return;
    const { client } = this.#context;
    await client.of(horizontalPodAutoscalers).updateStatus({ ...this.#autoscaler, status });
  }

  async #target(): Promise<Target | undefined> {
    const { metadata, spec } = this.#autoscaler;
    try {
      const target = await readTarget(
        this.#context.client,
        metadata.namespace ?? '',
        spec.scaleTargetRef,
        customKindsOf(this.#context.informers),
      );
      this.#set(
        'AbleToScale',
        'True',
        'SucceededGetScale',
        "the HPA controller was able to get the target's current scale",
      );
      return target;
    } catch (error) {
      const { message } = error as Error;
      this.#event('Warning', 'FailedGetScale', message);
      this.#set(
        'AbleToScale',
        'False',
        'FailedGetScale',
        `the HPA controller was unable to get the target's current scale: ${message}`,
      );
      return undefined;
    }
  }

  async #evaluate({ scale }: Target, current: number): Promise<Evaluation | undefined> {
    const selector = scale.status?.selector ?? '';
    if (selector === '') {
      this.#event('Warning', 'SelectorRequired', 'selector is required');
      this.#set('ScalingActive', 'False', 'InvalidSelector', "the HPA target's scale is missing a selector");
      return undefined;
    }
    const matching = parseLabelSelector(selector);
    const found = this.#podsOf(this.#autoscaler.metadata.namespace ?? '').filter((pod) =>
      matching.matches(pod.metadata.labels),
    );
    const evaluation = await evaluateMetrics(this.#autoscaler, {
      client: this.#context.client,
      pods: found,
      selector,
      currentReplicas: current,
      tolerances: this.#tolerances(),
      now: this.#now,
    });
    this.#tellMetrics(evaluation);
    return evaluation;
  }

  #tolerances() {
    const of = (text: string | undefined) => (text === undefined ? TOLERANCE : quantityMilli(text) / 1000);
    return { up: of(this.#rules?.scaleUp.tolerance), down: of(this.#rules?.scaleDown.tolerance) };
  }

  #tellMetrics({ replicas, metric, failure }: Evaluation): void {
    if (failure) this.#event('Warning', failure.reason, failure.error.message);
    if (replicas === undefined)
      this.#set(
        'ScalingActive',
        'False',
        failure?.reason ?? '',
        `the HPA was unable to compute the replica count: ${failure?.error.message}`,
      );
    else
      this.#set(
        'ScalingActive',
        'True',
        'ValidMetricFound',
        `the HPA was able to successfully calculate a replica count from ${metric}`,
      );
  }

  /** What of a proposal is done now. */
  #normalize(proposed: number, current: number, min: number, max: number): number {
    const { recommendations, events } = this.#memory;
    const stable = stabilize(proposed, current, recommendations, this.#rules, this.#now);
    const since = this.#now - memoryMs(this.#rules);
    this.#memory.recommendations = [
      ...recommendations.filter(({ time }) => time > since),
      { time: this.#now, replicas: proposed },
    ];
    this.#set('AbleToScale', 'True', stable.reason, stable.message);
    const limited = limit(stable.replicas, current, { min, max }, this.#rules, events, this.#now);
    const isLimited = limited.replicas !== stable.replicas;
    this.#set('ScalingLimited', isLimited ? 'True' : 'False', limited.reason, limited.message);
    return limited.replicas;
  }

  async #rescale(target: Target, current: number, desired: number, reason: string): Promise<boolean> {
    try {
      await writeScale(this.#context.client, target, desired);
    } catch (error) {
      const { message } = error as Error;
      this.#event('Warning', 'FailedRescale', `New size: ${desired}; reason: ${reason}; error: ${message}`);
      this.#set(
        'AbleToScale',
        'False',
        'FailedUpdateScale',
        `the HPA controller was unable to update the target scale: ${message}`,
      );
      return false;
    }
    this.#set(
      'AbleToScale',
      'True',
      'SucceededRescale',
      `the HPA controller was able to update the target scale to ${desired}`,
    );
    this.#event('Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`);
    const since = this.#now - memoryMs(this.#rules);
    this.#memory.events = [
      ...this.#memory.events.filter(({ time }) => time > since),
      { time: this.#now, change: desired - current },
    ];
    return true;
  }

  #tellStatus(current: number, desired: number, currentMetrics: MetricStatus[]): void {
    this.#status = { ...this.#status, currentReplicas: current, desiredReplicas: desired };
    if (current === 0) delete this.#status.currentReplicas;
    if (currentMetrics.length > 0) this.#status.currentMetrics = currentMetrics;
    else delete this.#status.currentMetrics;
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.events.event(this.#autoscaler, type, reason, message);
  }

  #set(type: string, status: 'True' | 'False', reason: string, message: string): void {
    const existing = this.#conditions.find((c) => c.type === type);
    const lastTransitionTime =
      existing?.status === status ? existing.lastTransitionTime : timestamp(this.#now);
    const next = { type, status, lastTransitionTime, reason, message } as Condition;
    this.#conditions = existing
      ? this.#conditions.map((c) => (c === existing ? next : c))
      : [...this.#conditions, next];
  }
}
