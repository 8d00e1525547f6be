/** Owner references: who controls an object, and adoption and release by selector. */
import type { LabelSelector, OwnerReference } from '#types';
import { labelSelector } from '../api/machinery/selectors.js';
import { isReason } from '../api/machinery/status.js';
import type { KubeObject } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import type { Client } from '../client/index.js';

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((ref) => ref.controller === true);
}

/** The reference that makes `owner` the controller of its child. */
export function controllerRef(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The informer index that finds an object's children, and the orphans of a namespace. */
export const CONTROLLER_INDEX = 'controller';

/** Values of `CONTROLLER_INDEX`: the controller's uid, or `orphan/<namespace>`. */
export function controllerIndex(object: KubeObject): string[] {
  const ref = controllerOf(object);
  return [ref ? ref.uid : orphansOf(object.metadata.namespace ?? '')];
}

export function orphansOf(namespace: string): string {
  return `orphan/${namespace}`;
}

export interface Claim<O extends KubeObject, T extends KubeObject> {
  client: Client;
  owner: O;
  ownerResource: Resource<O>;
  selector: LabelSelector | undefined;
  resource: Resource<T>;
  /** Children of the owner and orphans of its namespace. */
  candidates: T[];
}

/**
 * Returns the candidates that belong to the owner: matching orphans are adopted, children that no longer
 * match are released (upstream `ControllerRefManager`). Adoption first asks the server whether the owner
 * still exists and is not being deleted. Rejects with the first failure, after all have been tried.
 */
export async function claim<O extends KubeObject, T extends KubeObject>(options: Claim<O, T>): Promise<T[]> {
  const { owner, candidates } = options;
  const selector = labelSelector(options.selector);
  const claimed: T[] = [];
  const changes: Promise<T | undefined>[] = [];
  let mayAdopt: Promise<void> | undefined;
  for (const object of candidates) {
    const ref = controllerOf(object);
    const matches = selector.matches(object.metadata.labels ?? {});
    if (ref !== undefined) {
      if (ref.uid !== owner.metadata.uid) continue;
      if (matches) claimed.push(object);
      else if (owner.metadata.deletionTimestamp === undefined) changes.push(release(options, object));
      continue;
    }
    if (!matches || owner.metadata.deletionTimestamp || object.metadata.deletionTimestamp) continue;
    mayAdopt ??= checkOwner(options);
    changes.push(mayAdopt.then(() => adopt(options, object)));
  }
  if (changes.length === 0) return claimed;
  const settled = await Promise.allSettled(changes);
  for (const result of settled) {
    if (result.status === 'rejected') throw result.reason;
    if (result.value !== undefined) claimed.push(result.value);
  }
  return claimed;
}

async function checkOwner<O extends KubeObject, T extends KubeObject>(options: Claim<O, T>): Promise<void> {
  const { owner, ownerResource, client } = options;
  const { namespace = '', name, uid } = owner.metadata;
  const fresh = await client.of(ownerResource).get(namespace, name);
  if (fresh.metadata.uid !== uid)
    throw new Error(
      `original ${owner.kind} ${namespace}/${name} is gone: got uid ${fresh.metadata.uid}, wanted ${uid}`,
    );
  if (fresh.metadata.deletionTimestamp)
    throw new Error(`${namespace}/${name} has just been deleted at ${fresh.metadata.deletionTimestamp}`);
}

async function adopt<O extends KubeObject, T extends KubeObject>(
  { client, resource, owner }: Claim<O, T>,
  object: T,
): Promise<T | undefined> {
  const { namespace = '', name, uid, resourceVersion, ownerReferences = [] } = object.metadata;
  const references = [...ownerReferences, controllerRef(owner)];
  const patch = { metadata: { ownerReferences: references, uid, resourceVersion } };
  try {
    return await client.of(resource).patch(namespace, name, patch, { type: 'merge' });
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function release<O extends KubeObject, T extends KubeObject>(
  { client, resource, owner }: Claim<O, T>,
  object: T,
): Promise<undefined> {
  const { namespace = '', name, uid, resourceVersion, ownerReferences = [] } = object.metadata;
  const kept = ownerReferences.filter((ref) => ref.uid !== owner.metadata.uid);
  const patch = { metadata: { ownerReferences: kept.length > 0 ? kept : null, uid, resourceVersion } };
  try {
    await client.of(resource).patch(namespace, name, patch, { type: 'merge' });
  } catch (error) {
    // Gone, or another object of the same name: nothing is left to release.
    if (!isReason(error, 'NotFound') && !isReason(error, 'Invalid')) throw error;
  }
  return undefined;
}
