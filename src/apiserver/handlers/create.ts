/** create: a new object, its name generated where asked for. */

import { isReason } from '../../api/machinery/status.js';
import { deepCopy, type KubeObject } from '../../api/machinery/types.js';
import { generateName } from '../../client/names.js';
import type { Stored } from '../../store/store.js';
import { type AdmissionRequest, bookedWrites } from '../admission/admission.js';
import type { Context, Result } from '../context.js';
import { keyOfObject } from '../keys.js';
import { admissionRequest } from './admission.js';
import { decodeResource } from './body.js';
import { trackCreate } from './managed-fields.js';
import { dropVersion, stampNew, takeNamespace, validateNew } from './metadata.js';
import { isDryRun } from './query.js';
import { addressWrites, isService } from './service-addresses.js';
import { commitCreate } from './writes.js';

/** Tries with new names when a generated one is taken. */
const NAME_ATTEMPTS = 8;

/** Kinds whose creator tells the first status. */
const KEEPS_STATUS = new Set(['Node']);

export async function createObject(ctx: Context): Promise<Result> {
  const object = await decodeResource(ctx);
  return storeNew(ctx, object, () => trackCreate(ctx, object));
}

/** From a decoded object to a stored one; `track` sets its managedFields once it has its defaults. */
export async function storeNew(ctx: Context, object: KubeObject, track?: () => void): Promise<Result> {
  const { resource } = ctx;
  if (resource.hasStatus && !KEEPS_STATUS.has(resource.kind)) delete object['status'];
  takeNamespace(ctx, object);
  resource.defaults?.(object);
  track?.();
  const request = admissionRequest(ctx, 'Create', { object });
  await ctx.admission.admit(request);
  stampNew(resource, object, ctx.clock.now());
  resource.prepareForCreate?.(object);
  if (resource.deprecation) ctx.warnings.push(resource.deprecation);
  const stored = await createNamed(ctx, request, object);
  return { type: 'object', code: 201, object: stored.object, stored };
}

async function createNamed(ctx: Context, request: AdmissionRequest, object: KubeObject): Promise<Stored> {
  const { metadata } = object;
  const generated = !metadata.name && Boolean(metadata.generateName);
  // Validation tells that it is missing; what else is derived from it need not.
  metadata.name ??= '';
  for (let attempt = 1; ; attempt++) {
    const draft = generated ? deepCopy(object) : object;
    if (generated) draft.metadata.name = generateName(metadata.generateName!);
    ctx.resource.complete?.(draft);
    if (isService(ctx.resource)) ctx.addresses.complete(draft, undefined);
    validateNew(ctx.resource, draft);
    if (attempt === 1) ctx.warnings.push(...(ctx.resource.warnings?.(draft, undefined) ?? []));
    request.object = draft;
    request.name = draft.metadata.name;
    request.bookings = [];
    await ctx.admission.validate(request);
    dropVersion(draft, isDryRun(ctx.call.query));
    try {
      return await withAddresses(ctx, request, draft);
    } catch (error) {
      if (!generated || attempt === NAME_ATTEMPTS || !isReason(error, 'AlreadyExists')) throw error;
    }
  }
}

/** Services get their addresses just before they are written, and give them back if that fails. */
async function withAddresses(ctx: Context, request: AdmissionRequest, object: KubeObject): Promise<Stored> {
  const key = keyOfObject(ctx.resource, object);
  if (!isService(ctx.resource)) return commitCreate(ctx, key, object, () => bookedWrites(request));
  const end = await ctx.addresses.claim(object, undefined);
  const also = async () => [...(await bookedWrites(request)), ...addressWrites(ctx, object, undefined)];
  try {
    return await commitCreate(ctx, key, object, also);
  } finally {
    end();
  }
}
