/** The one way into the store: commits of created, changed and deleted objects, dry runs included. */
import { alreadyExists, conflict, MODIFIED, notFound, StatusError } from '../../api/machinery/status.js';
import { deepCopy, deepFreeze, type GroupResource, type KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { ConflictError, type Key, type Store, type Stored, type Write } from '../../store/store.js';
import type { Context } from '../context.js';
import { isUnchanged } from './managed-fields.js';
import { isDryRun } from './query.js';

/** Lost races within the server before a writer gives up. */
const ATTEMPTS = 50;

export const groupResource = (resource: Pick<Resource, 'group' | 'plural'>): GroupResource => ({
  group: resource.group,
  resource: resource.plural,
});

/** A version that was never written: what a dry run answers. */
function unwritten(key: Key, revision: number, object: KubeObject): Stored {
  const frozen = deepFreeze(object);
  return {
    key,
    revision,
    object: frozen,
    json: Buffer.from(JSON.stringify(frozen)),
    encodings: new Map(),
  };
}

/** Writes a new object, together with what `also` gives for each attempt. Throws 409 if there is one. */
export async function commitCreate(
  ctx: Context,
  key: Key,
  object: KubeObject,
  also: () => Promise<Write[]>,
): Promise<Stored> {
  const existing = ctx.store.get(key);
  if (existing) throw existsError(ctx, existing);
  for (let attempt = 1; ; attempt++) {
    const others = await also();
    if (isDryRun(ctx.call.query)) return unwritten(key, 0, object);
    try {
      const [stored] = await ctx.store.commit([{ key, object, expected: 0 }, ...others]);
      return stored!;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (error.key === key || ctx.store.get(key) || attempt === ATTEMPTS)
        throw existsError(ctx, ctx.store.get(key));
    }
  }
}

function existsError(ctx: Context, existing: Stored | undefined): StatusError {
  const name = existing?.object.metadata.name ?? ctx.attributes.name;
  const error = alreadyExists(groupResource(ctx.resource), name);
  if (!existing?.object.metadata.deletionTimestamp) return error;
  return new StatusError(
    error.code,
    error.reason,
    `object is being deleted: ${error.message}`,
    error.details,
  );
}

/** What a change makes of an object: the next version, or its end with a last state for watchers. */
export type Change = ({ put: KubeObject } | { remove: KubeObject }) & { also?: Write[] };

/**
 * Applies `change` to the newest version until the commit wins. `change` gets the stored version and returns
 * a draft of its own; it throws to give up (a client's own resourceVersion no longer fits). No-op changes
 * write nothing. Throws 404 if the object is gone.
 */
export async function readModifyWrite(
  ctx: Context,
  key: Key,
  change: (existing: Stored) => Change | Promise<Change>,
  dryRun = isDryRun(ctx.call.query, 'UpdateOptions'),
): Promise<{ stored: Stored; removed: boolean }> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const existing = ctx.store.get(key);
    if (existing === undefined)
      throw notFound(groupResource(ctx.resource), key.slice(key.lastIndexOf('/') + 1));
    const next = await change(existing);
    try {
      return await commitChange(ctx.store, existing, next, dryRun);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  throw conflict(groupResource(ctx.resource), key.slice(key.lastIndexOf('/') + 1), MODIFIED);
}

async function commitChange(
  store: Store,
  existing: Stored,
  next: Change,
  dryRun: boolean,
): Promise<{ stored: Stored; removed: boolean }> {
  const { key, revision } = existing;
  if ('remove' in next) {
    const write: Write = { key, object: null, expected: revision, last: next.remove };
    if (!dryRun) await store.commit([write, ...(next.also ?? [])]);
    return { stored: unwritten(key, revision, next.remove), removed: true };
  }
  next.put.metadata.resourceVersion = existing.object.metadata.resourceVersion;
  if (isUnchanged(next.put, existing.object)) return { stored: existing, removed: false };
  if (dryRun) return { stored: unwritten(key, revision, next.put), removed: false };
  const [stored] = await store.commit([{ key, object: next.put, expected: revision }, ...(next.also ?? [])]);
  return { stored: stored!, removed: false };
}

/** A draft of a stored object. */
export const draftOf = (stored: Stored): KubeObject => deepCopy(stored.object);
