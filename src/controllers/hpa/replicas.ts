/** How many replicas a metric asks for (upstream `replica_calculator.go`). Pure. */
import type { Container, Pod } from '#types';
import { quantityMilli } from '../../api/machinery/quantity.js';
import { podCondition } from '../pods.js';

/** What a pod uses, in thousandths of the resource's unit. */
export interface PodMetric {
  value: number;
  /** When it was measured, and over how long, in ms. */
  time: number;
  windowMs: number;
}

export type PodMetrics = Map<string, PodMetric>;

export interface Tolerances {
  /** Shares by which use may be above and below the target. */
  up: number;
  down: number;
}

/** A proposal, and the use that it comes from. */
export interface Proposal {
  replicas: number;
  /** Percent of what is requested; only for a target of that kind. */
  utilization?: number;
  /** In thousandths. */
  average: number;
}

export interface Question {
  resource: string;
  /** Only this container counts. */
  container?: string | undefined;
  /** Percent of the request, or an amount per pod in thousandths. */
  target: { utilization: number } | { average: number };
  currentReplicas: number;
  pods: readonly Pod[];
  metrics: PodMetrics;
  tolerances: Tolerances;
  now: number;
}

/** A pod that has just started uses CPU to start. */
const CPU_INITIALIZATION_MS = 5 * 60_000;
/** A pod that is not ready after this has been ready once. */
const INITIAL_READINESS_MS = 30_000;

interface Groups {
  ready: number;
  unready: string[];
  missing: string[];
}

/** Throws Error, in upstream's words, when nothing can be said. */
export function proposeReplicas(question: Question): Proposal {
  const { pods, resource, target, currentReplicas, tolerances, now } = question;
  if (pods.length === 0) throw new Error('no pods returned by selector while calculating replica count');
  const metrics = new Map(question.metrics);
  const { ready, unready, missing } = groupPods(pods, metrics, resource, now);
  if (metrics.size === 0)
    throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  const requests = 'utilization' in target ? requestsOf(question) : undefined;
  const measure = () => measured(metrics, requests, target);
  const { ratio, ...use } = measure();
  const upWithUnready = unready.length > 0 && ratio > 1;
  if (!upWithUnready && missing.length === 0) {
    const replicas = within(ratio, tolerances) ? currentReplicas : Math.ceil(round(ratio * ready));
    return { replicas, ...use };
  }
  // What is not known is taken to speak against the change.
  if (ratio < 1)
    for (const name of missing) metrics.set(name, assumed(fullUse(target, requests?.get(name) ?? 0)));
  if (ratio > 1) for (const name of missing) metrics.set(name, assumed(0));
  if (upWithUnready) for (const name of unready) metrics.set(name, assumed(0));
  const next = measure().ratio;
  const turned = (ratio < 1 && next > 1) || (ratio > 1 && next < 1);
  if (within(next, tolerances) || turned) return { replicas: currentReplicas, ...use };
  const replicas = Math.ceil(round(next * metrics.size));
  const wrongWay = (next < 1 && replicas > currentReplicas) || (next > 1 && replicas < currentReplicas);
  return { replicas: wrongWay ? currentReplicas : replicas, ...use };
}

const assumed = (value: number): PodMetric => ({ value, time: 0, windowMs: 0 });

/** What a pod is taken to use at most. */
const fullUse = (target: Question['target'], request: number): number =>
  'average' in target ? target.average : (request * Math.max(100, target.utilization)) / 100;

/** Without the noise of floating point, that would round up. */
const round = (value: number): number => Number(value.toFixed(9));

export const within = (ratio: number, { up, down }: Tolerances): boolean =>
  round(1 - ratio) <= down && round(ratio - 1) <= up;

function measured(
  metrics: PodMetrics,
  requests: Map<string, number> | undefined,
  target: Question['target'],
) {
  let [total, requested, count] = [0, 0, 0];
  for (const [name, { value }] of metrics) {
    const request = requests?.get(name);
    if (requests && request === undefined) continue;
    total += value;
    requested += request ?? 0;
    count++;
  }
  if ('average' in target) {
    const average = Math.trunc(total / count);
    return { ratio: average / target.average, average };
  }
  if (requested === 0) throw new Error('no metrics returned matched known pods');
  const utilization = Math.trunc((total * 100) / requested);
  return { ratio: utilization / target.utilization, utilization, average: Math.trunc(total / count) };
}

/** Takes from `metrics` those of pods that do not count. */
function groupPods(pods: readonly Pod[], metrics: PodMetrics, resource: string, now: number): Groups {
  const groups: Groups = { ready: 0, unready: [], missing: [] };
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata;
    const phase = pod.status?.phase;
    const metric = metrics.get(name);
    if (deletionTimestamp !== undefined || phase === 'Failed') metrics.delete(name);
    else if (phase === 'Pending' || (metric && resource === 'cpu' && isUnready(pod, metric, now))) {
      metrics.delete(name);
      groups.unready.push(name);
    } else if (!metric) groups.missing.push(name);
    else groups.ready++;
  }
  return groups;
}

/** Whether a measurement of CPU may be one of the pod's start. */
function isUnready(pod: Pod, { time, windowMs }: PodMetric, now: number): boolean {
  const condition = podCondition(pod, 'Ready');
  if (condition === undefined || pod.status?.startTime === undefined) return true;
  const started = Date.parse(pod.status.startTime);
  const changed = Date.parse(condition.lastTransitionTime ?? '') || 0;
  if (started + CPU_INITIALIZATION_MS > now) return condition.status === 'False' || time < changed + windowMs;
  return condition.status === 'False' && started + INITIAL_READINESS_MS > changed;
}

/** What each pod requests, in thousandths. */
function requestsOf({ pods, resource, container }: Question): Map<string, number> {
  return new Map(pods.map((pod) => [pod.metadata.name, requestOf(pod, resource, container)]));
}

function requestOf(pod: Pod, resource: string, only: string | undefined): number {
  const whole = only === undefined ? pod.spec.resources?.requests?.[resource] : undefined;
  if (whole !== undefined) return quantityMilli(whole);
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  const counted = [...pod.spec.containers, ...sidecars].filter((c) => only === undefined || c.name === only);
  if (only !== undefined && counted.length === 0)
    throw new Error(`container ${only} not found in Pod ${pod.metadata.name}`);
  return counted.reduce((sum, c) => sum + containerRequest(c, resource, pod.metadata.name), 0);
}

function containerRequest({ name, resources }: Container, resource: string, pod: string): number {
  const request = resources?.requests?.[resource];
  if (request === undefined)
    throw new Error(`missing request for ${resource} in container ${name} of Pod ${pod}`);
  return quantityMilli(request);
}
