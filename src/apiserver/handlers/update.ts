/** update: a whole new object in place of the old one, or of its status. */
import { deepCopy, type KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import type { Stored } from '../../store/store.js';
import { type AdmissionRequest, bookedWrites } from '../admission/admission.js';
import type { Context, Result } from '../context.js';
import { keyOf } from '../keys.js';
import { admissionRequest } from './admission.js';
import { decodeResource } from './body.js';
import { trackChange } from './managed-fields.js';
import {
  checkIdentity,
  checkPreconditions,
  checkUnconditional,
  countGeneration,
  keepSystemFields,
  validateChange,
} from './metadata.js';
import { addressWrites, isService } from './service-addresses.js';
import { type Change, readModifyWrite } from './writes.js';

export async function updateObject(ctx: Context): Promise<Result> {
  const [given, bare] = withoutManagedFields(ctx);
  const body = await decodeResource(bare);
  checkIdentity(ctx, body);
  checkUnconditional(ctx, body);
  return writeObject(ctx, ({ object: { metadata } }) => {
    const draft = deepCopy(body);
    if (given !== undefined && given !== metadata.managedFields)
      draft.metadata.managedFields = deepCopy(given);
    return draft;
  });
}

/** Within the process objects come back with the very managedFields that are stored: no need to decode them. */
function withoutManagedFields(ctx: Context): [KubeObject['metadata']['managedFields'], Context] {
  const { body } = ctx.call;
  const value = body.type === 'object' ? (body.value as KubeObject | undefined) : undefined;
  if (body.type !== 'object' || !value?.metadata?.managedFields) return [undefined, ctx];
  const { managedFields, ...metadata } = value.metadata;
  const bare = { ...body, value: { ...value, metadata } };
  return [managedFields, { ...ctx, call: { ...ctx.call, body: bare } }];
}

/**
 * Replaces the stored object by what `next` makes of it: the path of update and patch alike.
 * `next` may be called again after a lost race and returns a draft; an apply's has its managedFields already.
 */
export async function writeObject(
  ctx: Context,
  next: (existing: Stored) => KubeObject | Promise<KubeObject>,
  { applied = false } = {},
): Promise<Result> {
  const { namespace, name } = ctx.attributes;
  const key = keyOf(ctx.resource, namespace, name);
  let ended: (() => void) | undefined;
  try {
    const { stored } = await readModifyWrite(ctx, key, async (existing) => {
      ended?.();
      ended = undefined;
      const { change, end } = await prepare(ctx, existing, await next(existing), applied);
      ended = end;
      return change;
    });
    return { type: 'object', code: 200, object: stored.object, stored };
  } finally {
    ended?.();
  }
}

async function prepare(
  ctx: Context,
  existing: Stored,
  object: KubeObject,
  applied: boolean,
): Promise<{ change: Change; end?: () => void }> {
  const { resource } = ctx;
  const { subresource } = ctx.attributes;
  const old = existing.object;
  checkPreconditions(ctx, object, old);
  resource.defaults?.(object);
  if (!applied) trackChange(ctx, object, old);
  const as = ctx.call.method === 'PATCH' ? 'Patch' : 'Update';
  await ctx.admission.admit(admissionRequest(ctx, as, { object, old }));
  keepSystemFields(object, old);
  const draft = takeChange(resource, subresource, object, old);
  if (isService(resource) && subresource === '') ctx.addresses.complete(draft, old);
  if (subresource !== 'status') countGeneration(resource, draft, old);
  validate(resource, subresource, draft, old);
  if (subresource === '') ctx.warnings.push(...(resource.warnings?.(draft, old) ?? []));
  const request: AdmissionRequest = { ...admissionRequest(ctx, as, { object: draft, old }), bookings: [] };
  await ctx.admission.validate(request);
  const isEnd = endsWith(draft);
  const also = isEnd ? [] : await bookedWrites(request);
  const change: Change = isEnd ? { remove: draft, also } : { put: draft, also };
  if (!isService(resource) || (subresource !== '' && !isEnd)) return { change };
  const end = isEnd ? undefined : await ctx.addresses.claim(draft, old);
  also.push(...addressWrites(ctx, isEnd ? undefined : draft, old));
  return { change, end };
}

/** What of the client's object goes into the store, by the strategy of the (sub)resource. */
function takeChange(
  resource: Resource,
  subresource: string,
  object: KubeObject,
  old: KubeObject,
): KubeObject {
  if (subresource === 'status') return takeStatus(resource, object, old);
  if (subresource !== '') {
    resource.updates[subresource]?.prepareForUpdate?.(object, old);
    return object;
  }
  if (resource.hasStatus) {
    if (old['status'] === undefined) delete object['status'];
    else object['status'] = deepCopy(old['status']);
  }
  resource.prepareForUpdate?.(object, old);
  return object;
}

/** The stored object with a new status; labels, annotations and finalizers may come along with it. */
function takeStatus(resource: Resource, object: KubeObject, old: KubeObject): KubeObject {
  const { apiVersion, kind, metadata: _, status: _old, ...rest } = old;
  const { metadata } = object;
  const draft: KubeObject = { apiVersion, kind, metadata, ...deepCopy(rest), status: object['status'] };
  if (draft['status'] === undefined) delete draft['status'];
  if (old.metadata.ownerReferences) draft.metadata.ownerReferences = deepCopy(old.metadata.ownerReferences);
  else delete draft.metadata.ownerReferences;
  resource.prepareForStatusUpdate?.(draft, old);
  return draft;
}

function validate(resource: Resource, subresource: string, draft: KubeObject, old: KubeObject): void {
  const rules =
    subresource === ''
      ? { validate: resource.validate, validateUpdate: resource.validateUpdate }
      : {
          validateUpdate:
            subresource === 'status'
              ? resource.validateStatusUpdate
              : resource.updates[subresource]?.validateUpdate,
        };
  validateChange(resource, rules, draft, old);
}

/** An object that waits only for its last finalizer ends with it (upstream `ShouldDeleteDuringUpdate`). */
export function endsWith(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (!deletionTimestamp || (finalizers?.length ?? 0) > 0) return false;
  if (object.kind === 'Namespace' && (object['spec']?.finalizers?.length ?? 0) > 0) return false;
  return (deletionGracePeriodSeconds ?? 0) === 0;
}
