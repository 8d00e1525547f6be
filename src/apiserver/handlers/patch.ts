/** patch: JSON patch, merge patch and strategic merge patch of an object or its status. */
import { badRequest, conflict, MODIFIED, unsupportedMediaType } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch } from '../../api/patch/index.js';
import { typeOfKind } from '../../api/schema/index.js';
import type { Context, Result } from '../context.js';
import { bareType, unsupportedBody } from '../http/media-types.js';
import { decodeValue, toDraft } from './body.js';
import { checkIdentity } from './metadata.js';
import { writeObject } from './update.js';
import { groupResource } from './writes.js';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const APPLY_PATCHES = ['application/apply-patch+yaml', 'application/apply-patch+cbor'];
const TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH];

/** Reads the request's patch once; what it returns applies it to an object, and gives a decoded draft. Throws 415. */
export function patcher(ctx: Context, apiVersion: string, kind: string): (object: KubeObject) => KubeObject {
  const { body } = ctx.call;
  const type = body.type === 'none' ? '' : bareType(body.contentType);
  if (APPLY_PATCHES.includes(type))
    throw unsupportedMediaType(
      'server-side apply is not served by this server: use client-side apply instead',
    );
  if (!TYPES.includes(type)) throw unsupportedBody(TYPES);
  const patch = parsePatch(ctx, type);
  return (object) => {
    const value = apply(type, patch, object, apiVersion, kind) as KubeObject;
    if (!isMap(value)) throw badRequest('the patched object is not an object');
    checkVersion(ctx, value, object);
    if ((value.kind ?? kind) !== kind || (value.apiVersion ?? apiVersion) !== apiVersion)
      throw badRequest(
        `the API version in the data (${value.apiVersion}) does not match the expected API version (${apiVersion})`,
      );
    const decoded = decodeValue(ctx, apiVersion, kind, { value }, JSON.stringify(value));
    const draft = toDraft(decoded, apiVersion, kind);
    checkIdentity(ctx, draft);
    return draft;
  };
}

export async function patchObject(ctx: Context): Promise<Result> {
  const patch = patcher(ctx, ctx.resource.apiVersion, ctx.resource.kind);
  return writeObject(ctx, (existing) => patch(existing.object));
}

function parsePatch(ctx: Context, type: string): unknown {
  const { body } = ctx.call;
  if (body.type === 'none') throw badRequest('error decoding patch: unexpected end of JSON input');
  let value: unknown;
  try {
    value = body.type === 'object' ? body.value : JSON.parse(body.bytes.toString());
  } catch (error) {
    throw badRequest(`error decoding patch: ${(error as Error).message}`);
  }
  const wanted = type === JSON_PATCH ? Array.isArray(value) : isMap(value);
  if (!wanted)
    throw badRequest(
      `error decoding patch: json: cannot unmarshal into Go value of type ${type === JSON_PATCH ? 'jsonpatch.Patch' : 'map[string]interface {}'}`,
    );
  return value;
}

const isMap = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function apply(type: string, patch: unknown, object: KubeObject, apiVersion: string, kind: string): unknown {
  if (type === JSON_PATCH) return applyJsonPatch(object, patch);
  if (type === MERGE_PATCH) return applyMergePatch(object, patch);
  const schema = typeOfKind(apiVersion, kind);
  if (schema === undefined) throw unsupportedBody([JSON_PATCH, MERGE_PATCH]);
  return applyStrategicMergePatch(object, patch, schema);
}

/** A patch that names a resourceVersion applies to that version alone. */
function checkVersion(ctx: Context, value: KubeObject, old: KubeObject): void {
  const wanted = value.metadata?.resourceVersion;
  if (wanted && wanted !== old.metadata.resourceVersion)
    throw conflict(groupResource(ctx.resource), ctx.attributes.name, MODIFIED);
}
