/** One look at an autoscaler: what it makes of its metrics, and what its status tells of that. */
import type {
  AutoscalingV2HorizontalPodAutoscaler as Autoscaler,
  AutoscalingV2HorizontalPodAutoscalerCondition as Condition,
  AutoscalingV2MetricStatus as MetricStatus,
  Pod,
} from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { quantityMilli } from '../../api/machinery/quantity.js';
import { parseLabelSelector, type Selector } from '../../api/machinery/selectors.js';
import { sameJson } from '../../api/machinery/validation.js';
import { defaultBehavior } from '../../api/resources/autoscaling/horizontal-pod-autoscaler.js';
import { horizontalPodAutoscalers } from '../../api/resources/index.js';
import type { Context } from '../context.js';
import { customKindsOf } from '../custom-kinds.js';
import { limit, memoryMs, type Recommendation, type Rules, type ScaleEvent, stabilize } from './behavior.js';
import { type Evaluation, evaluateMetrics } from './metrics.js';
import { readTarget, type Target, writeScale } from './target.js';

/** Of the flag `--horizontal-pod-autoscaler-tolerance`. */
const TOLERANCE = 0.1;

/** What is remembered of an autoscaler between two looks. */
export interface Memory {
  recommendations: Recommendation[];
  events: ScaleEvent[];
}

export interface Selected {
  pods: Pod[];
  /** The keys of the autoscalers of any of them: should be one. */
  autoscalers: string[];
}

export class Look {
  readonly #context: Context;
  readonly #autoscaler: Autoscaler;
  readonly #memory: Memory;
  readonly #select: (selector: Selector) => Selected;
  readonly #now: number;
  readonly #rules: Rules | undefined;
  #conditions: Condition[];

  #status: Autoscaler['status'] & object;

  constructor(
    context: Context,
    autoscaler: Autoscaler,
    memory: Memory,
    select: (selector: Selector) => Selected,
  ) {
    this.#context = context;
    this.#autoscaler = autoscaler;
    this.#memory = memory;
    this.#select = select;
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
      statuses = evaluation.statuses;
      if (evaluation.replicas === undefined) {
        this.#tellStatus(current, this.#status.desiredReplicas, statuses);
        if (evaluation.error)
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

  async #evaluate({ scale }: Target, current: number): Promise<Evaluation> {
    const selector = scale.status?.selector ?? '';
    if (selector === '')
      return this.#unselected(
        'SelectorRequired',
        'selector is required',
        'InvalidSelector',
        "the HPA target's scale is missing a selector",
      );
    const { pods: found, autoscalers } = this.#select(parseLabelSelector(selector));
    if (autoscalers.length > 1) {
      const names = autoscalers.map((key) => `{${key.split('/').reverse().join(' ')}}`).join(' ');
      const why = `pods by selector ${selector} are controlled by multiple HPAs: [${names}]`;
      return this.#unselected('AmbiguousSelector', why);
    }
    const evaluation = await evaluateMetrics(this.#autoscaler, {
      client: this.#context.client,
      namespace: this.#autoscaler.metadata.namespace ?? '',
      pods: found,
      selector,
      currentReplicas: current,
      statusReplicas: scale.status?.replicas ?? 0,
      custom: customKindsOf(this.#context.informers),
      tolerances: this.#tolerances(),
      now: this.#now,
    });
    this.#tellMetrics(evaluation);
    return evaluation;
  }

  /** It is not clear which pods count. */
  #unselected(reason: string, message: string, condition = reason, told = message): Evaluation {
    this.#event('Warning', reason, message);
    this.#set('ScalingActive', 'False', condition, told);
    return { metric: '', statuses: [], error: new Error(message) };
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
