/** Server-side apply: the request's configuration, and what it makes of an object. */
import { applyConfiguration, type Target } from '../../api/apply/index.js';
import { badRequest, conflict } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { parseJsonStrict, parseYamlStrict } from '../../api/schema/index.js';
import type { Context } from '../context.js';
import { decodeValue, toDraft, validationMode } from './body.js';
import { applyOptions, setManagedFields } from './managed-fields.js';
import { checkIdentity } from './metadata.js';
import { groupResource } from './writes.js';

/** Reads the configuration once; what it returns applies it to an object, or to none. Throws 400, 422. */
export async function applier(
  ctx: Context,
  target: Target,
): Promise<(live: KubeObject | undefined) => KubeObject> {
  const options = applyOptions(ctx);
  const { value, errors } = await parseConfiguration(ctx);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest(
      'error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal into Go value of type map[string]interface {}',
    );
  return (live) => {
    const applied = applyConfiguration(target, live, value as KubeObject, options);
    refuseDuplicates(ctx, errors);
    const { managedFields, ...metadata } = applied.metadata;
    checkUid(ctx, live, metadata.uid);
    const plain = { ...applied, metadata };
    const decoded = decodeValue(ctx, target.apiVersion, target.kind, { value: plain });
    const draft = toDraft(decoded, target.apiVersion, target.kind);
    checkIdentity(ctx, draft);
    setManagedFields(draft, managedFields);
    return draft;
  };
}

interface Configuration {
  value: unknown;
  /** About keys that the text has twice. */
  errors: readonly string[];
}

async function parseConfiguration({ call: { body } }: Context): Promise<Configuration> {
  if (body.type === 'object') return { value: body.value, errors: [] };
  const text = body.type === 'none' ? '' : body.bytes.toString();
  try {
    if (!text.trimStart().startsWith('{')) return await parseYamlStrict(text);
    const json = parseJsonStrict(text);
    return json.duplicates.length === 0 ? { value: json.value, errors: [] } : await parseYamlStrict(text);
  } catch (error) {
    throw badRequest(`error decoding YAML: ${(error as Error).message}`);
  }
}

/** A configuration may have no field twice, as `fieldValidation` says. */
function refuseDuplicates(ctx: Context, errors: readonly string[]): void {
  if (errors.length === 0) return;
  const mode = validationMode(ctx.call.query);
  const texts = errors.map((error) => `error converting YAML to JSON: ${error}`);
  if (mode === 'strict') throw badRequest(`error strict decoding YAML: ${texts.join(', ')}`);
  if (mode === 'warn') ctx.warnings.push(...texts);
}

/** A configuration with a uid is of an object that is there. */
function checkUid(ctx: Context, live: KubeObject | undefined, uid: string | undefined): void {
  if (live !== undefined || !uid) return;
  throw conflict(
    groupResource(ctx.resource),
    ctx.attributes.name,
    `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
  );
}
