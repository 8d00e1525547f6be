/** From a request's body to a decoded, defaulted draft of an object. */

import type { CustomKind } from '../../api/extensions/custom-resource.js';
import { badRequest, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { decode, parseJsonStrict, parseYamlStrict, typeOfKind } from '../../api/schema/index.js';
import type { Body, Context } from '../context.js';
import { bareType, offered, PROTOBUF, unsupportedBody } from '../http/media-types.js';

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

/** A body as a JSON value (undefined where there is none), and what strict validation has against its text. */
export interface ParsedBody {
  value: unknown;
  /** Paths of fields that occur twice. */
  duplicates?: readonly string[];
  /** Whole texts of other strict errors. */
  errors?: readonly string[];
}

/** Reads JSON, YAML or protobuf as `apiVersion`/`kind`. Throws 400 and 415. */
export async function parseBody(body: Body, apiVersion: string, kind: string): Promise<ParsedBody> {
  if (body.type === 'none') return { value: undefined };
  if (body.type === 'object') return { value: body.value };
  const { bytes } = body;
  if (bytes.length === 0) return { value: undefined };
  const hasProtobuf = typeOfKind(apiVersion, kind) !== undefined;
  const type = bareType(body.contentType);
  if (type === PROTOBUF && !hasProtobuf) throw unsupportedBody(offered(false));
  try {
    switch (type) {
      case '':
      case 'application/json':
        return parseJsonStrict(bytes.toString());
      case 'application/yaml':
        return await parseYamlStrict(bytes.toString());
      case PROTOBUF: {
        const { decodeProtobuf } = await import('../../api/schema/protobuf/index.js');
        return decodeProtobuf(bytes, { apiVersion, kind });
      }
      default:
        throw unsupportedBody(offered(hasProtobuf));
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    const summary = `${bytes.toString('hex', 0, 30)}${bytes.length > 30 ? ' ...' : ''}`;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${(error as Error).message} (${summary})`,
    );
  }
}

const isObject = (value: unknown): value is Record<string, any> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Decodes the request's object as `apiVersion`/`kind`; a body that leaves those out is taken to be of them.
 * Warnings about unknown fields go to the context. Throws 400.
 */
export async function decodeAs(ctx: Context, apiVersion: string, kind: string): Promise<KubeObject> {
  const parsed = await parseBody(ctx.call.body, apiVersion, kind);
  const { value } = parsed;
  if (value === undefined) throw badRequest('EOF');
  if (!isObject(value)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct { APIVersion string; Kind string }`,
    );
  }
  checkKind(value, apiVersion, kind);
  return toDraft(decodeValue(ctx, apiVersion, kind, parsed), apiVersion, kind);
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

/**
 * Decodes by the schema; unknown fields warn or fail as `fieldValidation` says. `patch` gives the text that led
 * to the value, which errors then blame.
 */
export function decodeValue(
  ctx: Context,
  apiVersion: string,
  kind: string,
  { value, duplicates, errors }: ParsedBody,
  patch?: () => string,
): KubeObject {
  const mode = ctx.call.body.type === 'object' ? 'ignore' : validationMode(ctx.call.query);
  const decoded = decode<KubeObject>(apiVersion, kind, value, {
    mode,
    duplicates,
    errors,
    patch,
    prune: customOf(ctx, apiVersion, kind)?.prune,
  });
  ctx.warnings.push(...decoded.warnings);
  return decoded.object;
}

/** The custom kind that values of this type are of, if any. */
function customOf({ resource }: Context, apiVersion: string, kind: string): CustomKind | undefined {
  return resource.apiVersion === apiVersion && resource.kind === kind ? resource.custom : undefined;
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
