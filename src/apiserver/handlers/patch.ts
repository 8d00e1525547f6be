/** patch: JSON patch, merge patch, strategic merge patch and server-side apply of an object or its status. */
import { badRequest, conflict, isReason, MODIFIED } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch, goText } from '../../api/patch/index.js';
import { parseJsonStrict, typeOfKind } from '../../api/schema/index.js';
import type { Context, Result } from '../context.js';
import { authorize } from '../filters/authorize.js';
import { bareType, unsupportedBody } from '../http/media-types.js';
import { keyOf } from '../keys.js';
import { applier } from './apply.js';
import { decodeValue, toDraft } from './body.js';
import { storeNew } from './create.js';
import { refuseForce, targetOf } from './managed-fields.js';
import { checkIdentity } from './metadata.js';
import { writeObject } from './update.js';
import { groupResource } from './writes.js';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const APPLY_PATCH = 'application/apply-patch+yaml';
const TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH];

const typeOf = ({ call: { body } }: Context): string =>
  body.type === 'none' ? '' : bareType(body.contentType);

export const isApply = (ctx: Context): boolean => typeOf(ctx) === APPLY_PATCH;

/** Reads the request's patch once; what it returns applies it to an object, and gives a decoded draft. Throws 415. */
export function patcher(ctx: Context, apiVersion: string, kind: string): (object: KubeObject) => KubeObject {
  const type = typeOf(ctx);
  if (!TYPES.includes(type)) throw unsupportedBody(TYPES);
  refuseForce(ctx);
  const { patch, errors } = parsePatch(ctx, type);
  const ownsAll = changesManagedFields(type, patch);
  return (object) => {
    const value = apply(type, patch, ownsAll ? object : bareOf(object), apiVersion, kind) as KubeObject;
    if (!isMap(value)) throw badRequest('the patched object is not an object');
    checkVersion(ctx, value, object);
    if ((value.kind ?? kind) !== kind || (value.apiVersion ?? apiVersion) !== apiVersion)
      throw badRequest(
        `the API version in the data (${value.apiVersion}) does not match the expected API version (${apiVersion})`,
      );
    const blamed = () => (type === STRATEGIC_PATCH ? goText(patch) : JSON.stringify(value));
    const decoded = decodeValue(ctx, apiVersion, kind, { value, errors }, blamed);
    const draft = toDraft(decoded, apiVersion, kind);
    checkIdentity(ctx, draft);
    return draft;
  };
}

export async function patchObject(ctx: Context): Promise<Result> {
  if (isApply(ctx)) return applyObject(ctx);
  const patch = patcher(ctx, ctx.resource.apiVersion, ctx.resource.kind);
  return writeObject(ctx, (existing) => patch(existing.object));
}

/** Changes the object, or creates it if there is none: whichever it is once the write is made. */
async function applyObject(ctx: Context): Promise<Result> {
  const { namespace, name, subresource } = ctx.attributes;
  const apply = await applier(ctx, targetOf(ctx.resource, subresource));
  const key = keyOf(ctx.resource, namespace, name);
  for (;;) {
    const creates = subresource === '' && ctx.store.get(key) === undefined;
    try {
      if (creates) return await applyNew(ctx, apply(undefined));
      return await writeObject(ctx, (existing) => apply(existing.object), { applied: true });
    } catch (error) {
      const changed = ctx.store.get(key) === undefined ? 'NotFound' : 'AlreadyExists';
      if (subresource !== '' || !isReason(error, changed) || creates === (changed === 'NotFound'))
        throw error;
    }
  }
}

/** Who may patch may not create with that alone. */
async function applyNew(ctx: Context, object: KubeObject): Promise<Result> {
  await authorize(ctx.authorizer, { ...ctx.attributes, verb: 'create' });
  delete object.metadata.resourceVersion;
  return storeNew(ctx, object);
}

/** Most patches leave the managedFields alone, and need no copy of them. */
function bareOf(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as KubeObject['metadata'] };
}

function changesManagedFields(type: string, patch: any): boolean {
  if (type !== JSON_PATCH) return patch.metadata === null || patch.metadata?.managedFields !== undefined;
  const pointsThere = (pointer: unknown) =>
    typeof pointer === 'string' &&
    (pointer.startsWith('/metadata/managedFields') || ['', '/metadata'].includes(pointer));
  return patch.some((op: any) => pointsThere(op?.path) || pointsThere(op?.from));
}

interface ParsedPatch {
  patch: any;
  /** What strict validation has against its text. */
  errors: string[];
}

/** Throws 400. */
function parsePatch({ call: { body } }: Context, type: string): ParsedPatch {
  const refuse = (why: string) => badRequest(type === STRATEGIC_PATCH ? why : `error decoding patch: ${why}`);
  if (body.type === 'none') throw refuse('unexpected end of JSON input');
  let value: unknown;
  let duplicates: string[] = [];
  try {
    if (body.type === 'object') value = body.value;
    else ({ value, duplicates } = parseJsonStrict(body.bytes.toString()));
  } catch (error) {
    throw refuse((error as Error).message);
  }
  const found = duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`);
  if (type !== JSON_PATCH) {
    if (!isMap(value)) throw refuse(mismatch(value, 'map[string]interface {}'));
    return { patch: value, errors: found };
  }
  if (!Array.isArray(value)) throw refuse(mismatch(value, '[]handlers.jsonPatchOp'));
  return { patch: value, errors: [...unknownMembers(value), ...found].map((text) => `json patch ${text}`) };
}

/** Go's words for a value that is not of the type. */
function mismatch(value: unknown, type: string): string {
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  return `json: cannot unmarshal ${value === null ? 'null' : kind} into Go value of type ${type}`;
}

const OPERATION = new Set(['op', 'path', 'from', 'value']);

const unknownMembers = (operations: unknown[]): string[] =>
  operations.flatMap((operation, i) =>
    Object.keys(isMap(operation) ? (operation as object) : {})
      .filter((name) => !OPERATION.has(name))
      .map((name) => `unknown field "[${i}].${name}"`),
  );

const isMap = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function apply(type: string, patch: unknown, object: KubeObject, apiVersion: string, kind: string): unknown {
  if (type === JSON_PATCH) return applyJsonPatch(object, patch);
  if (type === MERGE_PATCH) return applyMergePatch(object, patch);
  const schema = typeOfKind(apiVersion, kind);
  if (schema === undefined) throw unsupportedBody([JSON_PATCH, MERGE_PATCH, APPLY_PATCH]);
  return applyStrategicMergePatch(object, patch, schema);
}

/** A patch that names a resourceVersion applies to that version alone. */
function checkVersion(ctx: Context, value: KubeObject, old: KubeObject): void {
  const wanted = value.metadata?.resourceVersion;
  if (wanted && wanted !== old.metadata.resourceVersion)
    throw conflict(groupResource(ctx.resource), ctx.attributes.name, MODIFIED);
}
