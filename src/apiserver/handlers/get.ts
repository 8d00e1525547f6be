/** get: one object as it is now. */
import { notFound } from '../../api/machinery/status.js';
import type { Stored } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { keyOf } from '../keys.js';
import { readVersion, tooLargeResourceVersion } from './query.js';

/** The newest version of what the request names. Throws 404. */
export function requireStored(ctx: Context): Stored {
  const { namespace, name } = ctx.attributes;
  const stored = ctx.store.get(keyOf(ctx.resource, namespace, name));
  if (stored === undefined)
    throw notFound({ group: ctx.resource.group, resource: ctx.resource.plural }, name);
  return stored;
}

export function getObject(ctx: Context): Result {
  const requested = readVersion(ctx.call.query.get('resourceVersion') ?? '') ?? 0;
  const { revision } = ctx.store;
  if (requested > revision) throw tooLargeResourceVersion(requested, revision);
  const stored = requireStored(ctx);
  return { type: 'object', code: 200, object: stored.object, stored };
}
