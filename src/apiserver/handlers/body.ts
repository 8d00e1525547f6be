/** From a request's body to a decoded, defaulted draft of an object. */
import { badRequest } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { decode } from '../../api/schema/index.js';
import type { Body, Context } from '../context.js';
import { bareType, OFFERED, unsupportedBody } from '../http/media-types.js';

export type ValidationMode = 'strict' | 'warn' | 'ignore';

/** What to do about unknown fields, as `fieldValidation` asks; upstream's default is to warn. */
export function validationMode(query: URLSearchParams): ValidationMode {
  const value = query.get('fieldValidation') ?? '';
  switch (value) {
    case '':
    case 'Warn':
      return 'warn';
    case 'Strict':
      return 'strict';
    case 'Ignore':
      return 'ignore';
    default:
      throw badRequest(
        `fieldValidation: Unsupported value: ${JSON.stringify(value)}: supported values: "", "Ignore", "Strict", "Warn"`,
      );
  }
}

/** The JSON value of a body, or undefined where there is none. `kind` is named in errors. */
export async function parseBody(body: Body, kind: string): Promise<unknown> {
  if (body.type === 'none') return undefined;
  if (body.type === 'object') return body.value;
  if (body.bytes.length === 0) return undefined;
  const type = bareType(body.contentType);
  if (type === '' || type === 'application/json') return parseJson(body.bytes, kind);
  if (type !== 'application/yaml') throw unsupportedBody(OFFERED);
  return parseYaml(body.bytes, kind);
}

const unrecognized = (kind: string, why: string, bytes: Buffer) =>
  badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${why} (${bytes.toString('hex', 0, 30)}${bytes.length > 30 ? ' ...' : ''})`,
  );

export function parseJson(bytes: Buffer, kind: string): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw unrecognized(kind, (error as Error).message, bytes);
  }
}

export async function parseYaml(bytes: Buffer, kind: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    return parse(bytes.toString(), { maxAliasCount: 100 });
  } catch (error) {
    throw unrecognized(kind, (error as Error).message, bytes);
  }
}

const isObject = (value: unknown): value is Record<string, any> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Decodes the request's object as `apiVersion`/`kind`; a body that leaves those out is taken to be of them.
 * Warnings about unknown fields go to the context. Throws 400.
 */
export async function decodeAs(ctx: Context, apiVersion: string, kind: string): Promise<KubeObject> {
  const value = await parseBody(ctx.call.body, kind);
  if (value === undefined) throw badRequest('EOF');
  if (!isObject(value)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct { APIVersion string; Kind string }`,
    );
  }
  checkKind(value, apiVersion, kind);
  return toDraft(decodeValue(ctx, apiVersion, kind, value), apiVersion, kind);
}

function checkKind(value: Record<string, any>, apiVersion: string, kind: string): void {
  const givenKind = value['kind'] || kind;
  const givenVersion = value['apiVersion'] || apiVersion;
  const short = String(givenVersion).split('/').pop();
  if (givenKind !== kind) {
    throw badRequest(
      `${givenKind} in version ${JSON.stringify(short)} cannot be handled as a ${kind}: converting (${short}.${givenKind}) to (${short}.${kind}): unknown conversion`,
    );
  }
  if (givenVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${givenVersion}) does not match the expected API version (${apiVersion})`,
    );
  }
}

/** Decodes by the schema; unknown fields warn or fail as `fieldValidation` says. */
export function decodeValue(ctx: Context, apiVersion: string, kind: string, value: unknown): KubeObject {
  const mode = ctx.call.body.type === 'object' ? 'ignore' : validationMode(ctx.call.query);
  const { object, warnings } = decode<KubeObject>(apiVersion, kind, value, { mode });
  ctx.warnings.push(...warnings);
  return object;
}

/** The object with `apiVersion`, `kind` and `metadata` first, as the store's JSON begins. */
export function toDraft(object: KubeObject, apiVersion: string, kind: string): KubeObject {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  return { apiVersion, kind, metadata: { ...(metadata ?? {}) } as KubeObject['metadata'], ...rest };
}

/** The request's object for its resource. */
export function decodeResource(ctx: Context, resource: Resource = ctx.resource): Promise<KubeObject> {
  return decodeAs(ctx, resource.apiVersion, resource.kind);
}
