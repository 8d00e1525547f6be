/** pods/eviction: a delete that respects PodDisruptionBudgets (upstream `pod/storage.EvictionREST`). */
import type { Pod, PodDisruptionBudget } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { labelSelector } from '../../api/machinery/selectors.js';
import { badRequest, forbidden, isReason, StatusError, timeout } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { ConflictError, type Stored } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { admissionRequest } from '../handlers/admission.js';
import { decodeAs } from '../handlers/body.js';
import { checkDeletePreconditions, type DeleteOptions, removeObject } from '../handlers/delete.js';
import { requireStored } from '../handlers/get.js';
import { isDryRun } from '../handlers/query.js';
import { draftOf, readModifyWrite } from '../handlers/writes.js';
import { keyOf } from '../keys.js';

const BUDGETS = 'policy/poddisruptionbudgets';
const ATTEMPTS = 20;
/** Evictions that the disruption controller has not noticed yet: more are refused. */
const MAX_DISRUPTED = 2000;
const VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget.";

export async function evictPod(ctx: Context): Promise<Result> {
  const eviction = await decodeAs(ctx, 'policy/v1', 'Eviction');
  const { name } = ctx.attributes;
  if (eviction.metadata.name !== undefined && eviction.metadata.name !== name)
    throw badRequest('name in URL does not match name in Eviction object');
  const pod = requireStored(ctx).object as unknown as Pod;
  const dryRun = isDryRun(ctx.call.query) || (eviction['deleteOptions']?.dryRun ?? []).includes('All');
  const options: DeleteOptions = { ...eviction['deleteOptions'], dryRun };
  const request = admissionRequest(ctx, 'Create', { object: eviction, dryRun });
  await ctx.admission.admit(request);
  await ctx.admission.validate(request);
  if (disruptsNothing(pod)) await remove(ctx, pod, options);
  else await evictWithin(ctx, pod, options);
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
  return { type: 'object', code: 201, object: status as unknown as KubeObject };
}

/** Pods that have ended, have not begun, or are ending already. */
function disruptsNothing(pod: Pod): boolean {
  const phase = pod.status?.phase ?? '';
  return ['Succeeded', 'Failed', 'Pending'].includes(phase) || pod.metadata.deletionTimestamp !== undefined;
}

async function evictWithin(ctx: Context, pod: Pod, options: DeleteOptions): Promise<void> {
  const budgets = await budgetsOf(ctx, pod);
  if (budgets.length > 1)
    throw new StatusError(
      500,
      '',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  const [budget] = budgets;
  if (budget === undefined) return remove(ctx, pod, options);
  if (!isFree(pod, budget.object as PodDisruptionBudget)) {
    await spend(ctx, budget.key, pod, options.dryRun);
    return remove(ctx, pod, options);
  }
  // It is free only as long as it is not ready.
  const { resourceVersion } = pod.metadata;
  const preconditions = { resourceVersion, ...options.preconditions };
  try {
    await remove(ctx, pod, { ...options, preconditions });
  } catch (error) {
    if (isReason(error, 'Conflict') && !options.preconditions?.resourceVersion)
      throw stillProcessed(budget.object.metadata.name);
    throw error;
  }
}

async function budgetsOf(ctx: Context, pod: Pod): Promise<Stored[]> {
  const { items } = await ctx.store.list(`${BUDGETS}/${pod.metadata.namespace}/`);
  return items.filter(({ object }) => labelSelector(object['spec']?.selector).matches(pod.metadata.labels));
}

/** A pod that is not ready does not count as healthy, so it may go without cost (KEP-3017). */
function isFree(pod: Pod, { spec, status }: PodDisruptionBudget): boolean {
  if (pod.status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'))
    return false;
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

/** Takes one disruption from the budget. Throws 429 when none is left. */
async function spend(ctx: Context, key: string, pod: Pod, dryRun: boolean): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const budget = ctx.store.get(key);
    if (budget === undefined) return;
    const draft = spent(budget, pod, ctx.clock.now());
    if (dryRun) return;
    try {
      await ctx.store.commit([{ key, object: draft, expected: budget.revision }]);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  const name = key.slice(key.lastIndexOf('/') + 1);
  throw timeout(`couldn't update PodDisruptionBudget "${name}" due to conflicts`, {
    retryAfterSeconds: 10,
  });
}

function spent(budget: Stored, pod: Pod, now: number): KubeObject {
  const { status, metadata } = budget.object as PodDisruptionBudget;
  const { name, generation = 0 } = metadata;
  const { disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0, disruptedPods = {} } = status ?? {};
  if ((status?.observedGeneration ?? 0) < generation) throw stillProcessed(name);
  const gr = { group: 'policy', resource: 'poddisruptionbudget' };
  if (disruptionsAllowed < 0) throw forbidden(gr, name, 'pdb disruptions allowed is negative');
  if (Object.keys(disruptedPods).length > MAX_DISRUPTED)
    throw forbidden(
      gr,
      name,
      'DisruptedPods map too big - too many evictions not confirmed by PDB controller',
    );
  if (disruptionsAllowed === 0)
    throw violation(
      `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
  const draft = draftOf(budget);
  const next = draft['status'];
  next.disruptionsAllowed = disruptionsAllowed - 1;
  next.disruptedPods = { ...disruptedPods, [pod.metadata.name]: timestamp(now) };
  if (next.disruptionsAllowed === 0)
    for (const condition of next.conditions ?? [])
      if (condition.type === 'DisruptionAllowed')
        Object.assign(condition, {
          status: 'False',
          reason: 'InsufficientPods',
          lastTransitionTime: timestamp(now),
        });
  return draft;
}

const stillProcessed = (name: string): StatusError =>
  violation(`The disruption budget ${name} is still being processed by the server.`, 10);

function violation(message: string, retryAfterSeconds?: number): StatusError {
  return new StatusError(429, 'TooManyRequests', VIOLATION, {
    causes: [{ reason: 'DisruptionBudget', message }],
    ...(retryAfterSeconds ? { retryAfterSeconds } : {}),
  });
}

/** Deletes the pod, which first gets a condition that tells why (KEP-3329). */
async function remove(ctx: Context, pod: Pod, options: DeleteOptions): Promise<void> {
  const { namespace = '', name } = pod.metadata;
  const { preconditions } = options;
  if (isOver(pod) || options.dryRun) {
    await removeObject(ctx, namespace, name, options);
    return;
  }
  const marked = await markDisrupted(ctx, pod, preconditions);
  const resourceVersion = preconditions?.resourceVersion ? marked : undefined;
  await removeObject(ctx, namespace, name, {
    ...options,
    preconditions: { ...preconditions, ...(resourceVersion ? { resourceVersion } : {}) },
  });
}

const isOver = ({ status, metadata }: Pod): boolean =>
  status?.phase === 'Succeeded' || status?.phase === 'Failed' || metadata.deletionTimestamp !== undefined;

/** Returns the version of the pod with the condition. Throws 409 if it was not the one that is to go. */
async function markDisrupted(
  ctx: Context,
  { metadata: { namespace = '', name } }: Pod,
  preconditions: DeleteOptions['preconditions'],
): Promise<string | undefined> {
  const { stored } = await readModifyWrite(ctx, keyOf(ctx.resource, namespace, name), (existing) => {
    checkDeletePreconditions(ctx, existing.object, preconditions);
    const { generation } = existing.object.metadata;
    const draft = draftOf(existing);
    draft['status'] ??= {};
    const others = (draft['status'].conditions ?? []).filter((c: any) => c.type !== 'DisruptionTarget');
    others.push({
      type: 'DisruptionTarget',
      status: 'True',
      ...(generation ? { observedGeneration: generation } : {}),
      lastProbeTime: null,
      lastTransitionTime: timestamp(ctx.clock.now()),
      reason: 'EvictionByEvictionAPI',
      message: 'Eviction API: evicting',
    });
    draft['status'].conditions = others;
    return { put: draft };
  });
  return stored.object.metadata.resourceVersion;
}
