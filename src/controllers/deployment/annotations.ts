/** What a Deployment writes on its ReplicaSets and itself: revisions, sizes, copied annotations. */
import type { Deployment, ReplicaSet } from '#types';
import type { KubeObject } from '../../api/machinery/types.js';

export const REVISION = 'deployment.kubernetes.io/revision';
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
const MAX_HISTORY_CHARS = 2000;

/** Annotations of a Deployment that its ReplicaSets do not get. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);

type Annotations = Record<string, string>;

function numberAnnotation(object: KubeObject, name: string): number | undefined {
  const text = object.metadata.annotations?.[name];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** The revision of a Deployment or ReplicaSet; 0 when it has none. */
export function revisionOf(object: KubeObject): number {
  return numberAnnotation(object, REVISION) ?? 0;
}

export function maxRevision(sets: ReplicaSet[]): number {
  return sets.reduce((max, rs) => Math.max(max, revisionOf(rs)), 0);
}

export function desiredReplicas(rs: ReplicaSet): number | undefined {
  return numberAnnotation(rs, DESIRED_REPLICAS);
}

export function maxReplicas(rs: ReplicaSet): number | undefined {
  return numberAnnotation(rs, MAX_REPLICAS);
}

/** `annotations` with the sizes of the Deployment, or the same object if they are there already. */
export function withSizes(annotations: Annotations, desired: number, max: number): Annotations {
  if (annotations[DESIRED_REPLICAS] === String(desired) && annotations[MAX_REPLICAS] === String(max))
    return annotations;
  return { ...annotations, [DESIRED_REPLICAS]: String(desired), [MAX_REPLICAS]: String(max) };
}

/**
 * The annotations of the new ReplicaSet: those of the Deployment, and `revision` if it is higher than what
 * the ReplicaSet has (a rollback); its former revision goes to the history. Returns the same object if
 * nothing changes.
 */
export function withRevision(d: Deployment, annotations: Annotations, revision: number): Annotations {
  const next = { ...annotations };
  for (const [name, value] of Object.entries(d.metadata.annotations ?? {}))
    if (!NOT_COPIED.has(name)) next[name] = value;
  const old = annotations[REVISION];
  if (old === undefined || Number(old) < revision) {
    next[REVISION] = String(revision);
    if (old !== undefined) next[REVISION_HISTORY] = history(annotations[REVISION_HISTORY], old);
  }
  const changed = Object.keys(next).some((name) => next[name] !== annotations[name]);
  return changed ? next : annotations;
}

function history(former: string | undefined, revision: string): string {
  const revisions = former ? [...former.split(','), revision] : [revision];
  while (revisions.length > 1 && revisions.join().length > MAX_HISTORY_CHARS) revisions.shift();
  return revisions.join();
}
