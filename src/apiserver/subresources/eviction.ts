/** pods/eviction: a delete that respects PodDisruptionBudgets (upstream `pod/storage.EvictionREST`). */
import type { PodDisruptionBudget } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { labelSelector } from '../../api/machinery/selectors.js';
import { badRequest, internalError, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { ConflictError, type Stored } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { decodeAs } from '../handlers/body.js';
import { type DeleteOptions, removeObject } from '../handlers/delete.js';
import { requireStored } from '../handlers/get.js';
import { isDryRun } from '../handlers/query.js';
import { draftOf } from '../handlers/writes.js';

const BUDGETS = 'policy/poddisruptionbudgets';
const ATTEMPTS = 10;

export async function evictPod(ctx: Context): Promise<Result> {
  const eviction = await decodeAs(ctx, 'policy/v1', 'Eviction');
  const { namespace, name } = ctx.attributes;
  if (eviction.metadata.name !== undefined && eviction.metadata.name !== name)
    throw badRequest('name in URL does not match name in Eviction object');
  const { object: pod } = requireStored(ctx);
  const dryRun = isDryRun(ctx.call.query) || (eviction['deleteOptions']?.dryRun ?? []).includes('All');
  const options: DeleteOptions = { ...eviction['deleteOptions'], dryRun };
  if (needsBudget(pod)) await spendBudget(ctx, pod, dryRun);
  await removeObject(ctx, namespace, name, options);
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
  return { type: 'object', code: 201, object: status as unknown as KubeObject };
}

/** Pods that have ended, have not begun, or are ending already disrupt nothing. */
function needsBudget(pod: KubeObject): boolean {
  const phase = pod['status']?.phase;
  return !['Succeeded', 'Failed', 'Pending'].includes(phase) && !pod.metadata.deletionTimestamp;
}

async function spendBudget(ctx: Context, pod: KubeObject, dryRun: boolean): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const budgets = await budgetsOf(ctx, pod);
    if (budgets.length === 0) return;
    if (budgets.length > 1)
      throw internalError(
        new Error(
          'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
        ),
      );
    const budget = budgets[0]!;
    const draft = spent(budget, pod, ctx.clock.now());
    if (dryRun) return;
    try {
      await ctx.store.commit([{ key: budget.key, object: draft, expected: budget.revision }]);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  throw new StatusError(429, 'TooManyRequests', "couldn't update PodDisruptionBudget due to conflicts", {
    retryAfterSeconds: 10,
  });
}

async function budgetsOf(ctx: Context, pod: KubeObject): Promise<Stored[]> {
  const { items } = await ctx.store.list(`${BUDGETS}/${pod.metadata.namespace}/`);
  return items.filter(({ object }) => labelSelector(object['spec']?.selector).matches(pod.metadata.labels));
}

function spent(budget: Stored, pod: KubeObject, now: number): KubeObject {
  const { spec, status, metadata } = budget.object as unknown as PodDisruptionBudget;
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    throw violation(`The disruption budget ${metadata?.name} is still being processed by the server.`, 10);
  if (!spec || (status?.disruptionsAllowed ?? 0) <= 0)
    throw violation(
      `The disruption budget ${metadata?.name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`,
    );
  const draft = draftOf(budget);
  draft['status'].disruptionsAllowed -= 1;
  draft['status'].disruptedPods = { ...draft['status'].disruptedPods, [pod.metadata.name]: timestamp(now) };
  return draft;
}

function violation(message: string, retryAfterSeconds?: number): StatusError {
  return new StatusError(
    429,
    'TooManyRequests',
    "Cannot evict pod as it would violate the pod's disruption budget.",
    {
      causes: [{ reason: 'DisruptionBudget', message }],
      ...(retryAfterSeconds ? { retryAfterSeconds } : {}),
    },
  );
}
