/** patch: JSON patch, merge patch and strategic merge patch of an object or its status. */
import { invalid as invalidField } from '../../api/machinery/field.js';
import { badRequest, conflict, invalid, MODIFIED, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch } from '../../api/patch/index.js';
import { typeOfKind } from '../../api/schema/index.js';
import type { Stored } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { bareType, unsupportedBody } from '../http/media-types.js';
import { decodeValue, toDraft } from './body.js';
import { checkIdentity } from './metadata.js';
import { writeObject } from './update.js';
import { groupResource } from './writes.js';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH];

export async function patchObject(ctx: Context): Promise<Result> {
  const { body } = ctx.call;
  const type = body.type === 'none' ? '' : bareType(body.contentType);
  if (!TYPES.includes(type)) throw unsupportedBody(TYPES);
  const patch = parsePatch(ctx, type);
  return writeObject(ctx, (existing) => patched(ctx, type, patch, existing));
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

function patched(ctx: Context, type: string, patch: unknown, existing: Stored): KubeObject {
  const { apiVersion, kind } = ctx.resource;
  const value = apply(ctx, type, patch, existing.object) as KubeObject;
  if (!isMap(value)) throw badRequest('the patched object is not an object');
  checkVersion(ctx, value, existing.object);
  if ((value.kind ?? kind) !== kind || (value.apiVersion ?? apiVersion) !== apiVersion)
    throw badRequest(
      `the API version in the data (${value.apiVersion}) does not match the expected API version (${apiVersion})`,
    );
  const object = toDraft(decodePatched(ctx, value), apiVersion, kind);
  checkIdentity(ctx, object);
  return object;
}

function apply(ctx: Context, type: string, patch: unknown, object: KubeObject): unknown {
  if (type === JSON_PATCH) return applyJsonPatch(object, patch as any);
  if (type === MERGE_PATCH) return applyMergePatch(object, patch as any);
  const schema = typeOfKind(ctx.resource.apiVersion, ctx.resource.kind);
  if (schema === undefined) throw unsupportedBody([JSON_PATCH, MERGE_PATCH]);
  return applyStrategicMergePatch(object, patch as any, schema);
}

/** A patch that names a resourceVersion applies to that version alone. */
function checkVersion(ctx: Context, value: KubeObject, old: KubeObject): void {
  const wanted = value.metadata?.resourceVersion;
  if (wanted && wanted !== old.metadata.resourceVersion)
    throw conflict(groupResource(ctx.resource), ctx.attributes.name, MODIFIED);
}

/** What the schema does not allow is an error of the patch: 422, in upstream's words. */
function decodePatched(ctx: Context, value: KubeObject): KubeObject {
  const { apiVersion, kind } = ctx.resource;
  const warnings = ctx.warnings.length;
  try {
    return decodeValue(ctx, apiVersion, kind, value);
  } catch (error) {
    ctx.warnings.length = warnings;
    if (!(error instanceof StatusError) || error.code !== 400) throw error;
    const why = error.message.replace(/^\S+ in version "[^"]*" cannot be handled as a \S+: /, '');
    throw invalid('', '', '', [invalidField('patch', JSON.stringify(value), why)]);
  }
}
