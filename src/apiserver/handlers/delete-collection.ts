/** deletecollection: deletes what a list with the same selectors would show. */
import { isReason } from '../../api/machinery/status.js';
import type { Context, Result } from '../context.js';
import { deleteOptions, removeObject } from './delete.js';
import { listObjects } from './list.js';

export async function deleteCollection(ctx: Context): Promise<Result> {
  const options = await deleteOptions(ctx);
  const listed = await listObjects(ctx);
  if (listed.type !== 'list') return listed;
  for (const { object } of listed.page.items) {
    const { namespace, name } = object.metadata;
    try {
      await removeObject(ctx, namespace ?? '', name, options);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
  return listed;
}
