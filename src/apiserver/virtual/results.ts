/** Results of reads whose objects are made when somebody asks. */
import { deepFreeze, type KubeObject } from '../../api/machinery/types.js';
import type { Stored } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { keyOf } from '../keys.js';

export const single = (object: KubeObject): Result => ({ type: 'object', code: 200, object });

export const page = (ctx: Context, objects: KubeObject[]): Result => ({
  type: 'list',
  page: { items: objects.map((object) => asStored(ctx, object)), revision: ctx.store.revision },
});

/** In the form that lists are written from. */
function asStored(ctx: Context, object: KubeObject): Stored {
  const { name, namespace = '' } = object.metadata;
  const frozen = deepFreeze(object);
  return {
    key: keyOf(ctx.resource, namespace, name),
    revision: ctx.store.revision,
    object: frozen,
    json: Buffer.from(JSON.stringify(frozen)),
    encodings: new Map(),
  };
}
