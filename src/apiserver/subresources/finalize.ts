/** namespaces/finalize: the namespace controller takes a finalizer from the spec; the last one ends the namespace. */
import { deepCopy } from '../../api/machinery/types.js';
import type { Context, Result } from '../context.js';
import { decodeResource } from '../handlers/body.js';
import { checkIdentity, checkPreconditions } from '../handlers/metadata.js';
import { endsWith } from '../handlers/update.js';
import { draftOf, readModifyWrite } from '../handlers/writes.js';
import { keyOf } from '../keys.js';

export async function finalizeNamespace(ctx: Context): Promise<Result> {
  const body = await decodeResource(ctx);
  checkIdentity(ctx, body);
  const { stored } = await readModifyWrite(ctx, keyOf(ctx.resource, '', ctx.attributes.name), (existing) => {
    checkPreconditions(ctx, body, existing.object);
    const draft = draftOf(existing);
    draft['spec'] = { ...draft['spec'], finalizers: deepCopy(body['spec']?.finalizers ?? []) };
    if (draft['spec'].finalizers.length === 0) delete draft['spec'].finalizers;
    return endsWith(draft) ? { remove: draft } : { put: draft };
  });
  return { type: 'object', code: 200, object: stored.object, stored };
}
