/** The ReplicaSets of a Deployment: which is the new one, how it is made, how they are resized. */
import type { Deployment, ReplicaSet } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { deepFreeze } from '../../api/machinery/types.js';
import { replicaSets } from '../../api/resources/index.js';
import type { Context } from '../context.js';
import { controllerOf, controllerRef } from '../owners.js';
import { withRevision, withSizes } from './annotations.js';
import { maxSurge, newSetReplicas, oldestFirst, replicasOf } from './arithmetic.js';
import { equalTemplates, HASH_LABEL, templateHash } from './hash.js';

/** The ReplicaSet of the current template; the oldest if there are several. */
export function findNewSet(d: Deployment, sets: ReplicaSet[]): ReplicaSet | undefined {
  return oldestFirst(sets).find((rs) => equalTemplates(rs.spec.template ?? {}, d.spec.template));
}

/** Another object has the name that the new ReplicaSet needs: `collisionCount` must go up. */
export class HashCollision extends Error {}

/** The ReplicaSet of the current template as it is to be created. */
export function newSetOf(d: Deployment, old: ReplicaSet[], revision: number): ReplicaSet {
  const hash = templateHash(d.spec.template, d.status?.collisionCount);
  const labels = { ...d.spec.template.metadata?.labels, [HASH_LABEL]: hash };
  const sizes = withSizes({}, replicasOf(d), replicasOf(d) + maxSurge(d));
  return deepFreeze({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${d.metadata.name}-${hash}`,
      namespace: d.metadata.namespace,
      labels: { ...labels },
      annotations: withRevision(d, sizes, revision),
      ownerReferences: [controllerRef(d)],
    },
    spec: {
      replicas: newSetReplicas(d, old, 0),
      ...(d.spec.minReadySeconds ? { minReadySeconds: d.spec.minReadySeconds } : {}),
      selector: {
        ...d.spec.selector,
        matchLabels: { ...d.spec.selector.matchLabels, [HASH_LABEL]: hash },
      },
      template: { ...d.spec.template, metadata: { ...d.spec.template.metadata, labels } },
    },
  }) as ReplicaSet;
}

/** Creates the new ReplicaSet, or finds it if it was made before. Rejects with HashCollision. */
export async function createNewSet(
  context: Context,
  d: Deployment,
  wanted: ReplicaSet,
): Promise<{ set: ReplicaSet; created: boolean }> {
  const client = context.client.of(replicaSets);
  try {
    return { set: await client.create(wanted), created: true };
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const { namespace = '', name } = wanted.metadata;
    const found = await client.get(namespace, name);
    const ours = controllerOf(found)?.uid === d.metadata.uid;
    if (!ours || !equalTemplates(found.spec.template ?? {}, d.spec.template))
      throw new HashCollision(error.message);
    return { set: found, created: false };
  }
}

/** Brings annotations and minReadySeconds of the new ReplicaSet up to date. */
export async function refreshNewSet(
  context: Context,
  d: Deployment,
  rs: ReplicaSet,
  revision: number,
): Promise<ReplicaSet> {
  const current = rs.metadata.annotations ?? {};
  const annotations = withRevision(d, current, revision);
  const minReadySeconds = d.spec.minReadySeconds ?? 0;
  if (annotations === current && (rs.spec.minReadySeconds ?? 0) === minReadySeconds) return rs;
  return context.client.of(replicaSets).update({
    ...rs,
    metadata: { ...rs.metadata, annotations },
    spec: { ...rs.spec, minReadySeconds },
  });
}

/** Gives a ReplicaSet a size, and the Deployment's sizes as annotations; tells of it in an event. */
export async function resize(
  context: Context,
  d: Deployment,
  rs: ReplicaSet,
  replicas: number,
): Promise<ReplicaSet> {
  const before = rs.spec.replicas ?? 1;
  const current = rs.metadata.annotations ?? {};
  const annotations = withSizes(current, replicasOf(d), replicasOf(d) + maxSurge(d));
  if (before === replicas && annotations === current) return rs;
  const updated = await context.client.of(replicaSets).update({
    ...rs,
    metadata: { ...rs.metadata, annotations },
    spec: { ...rs.spec, replicas },
  });
  if (before !== replicas) tellOfScaling(context, d, rs.metadata.name, before, replicas);
  return updated;
}

export function tellOfScaling(context: Context, d: Deployment, set: string, from: number, to: number): void {
  const direction = to > from ? 'up' : 'down';
  const message = `Scaled ${direction} replica set ${set} from ${from} to ${to}`;
  context.events.event(d, 'Normal', 'ScalingReplicaSet', message);
}
