/** Who wrote which field: keeps `metadata.managedFields` of everything that is created and updated. */
import { SCALE_VERSION, sameButTimes, type Target, trackUpdate } from '../../api/apply/index.js';
import type { CustomKind } from '../../api/extensions/custom-resource.js';
import { timestamp } from '../../api/machinery/clock.js';
import { type FieldError, forbidden, invalid, required, tooLong } from '../../api/machinery/field.js';
import { invalid as invalidObject } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import type { Resource } from '../../api/resources/define.js';
import { resources } from '../../api/resources/index.js';
import type { Context } from '../context.js';
import { boolean } from './query.js';
import { resetFields } from './reset-fields.js';

const MAX_BYTES = 128;

/** Sets the managedFields of a new object. */
export function trackCreate(ctx: Context, object: KubeObject): void {
  const target = targetOf(ctx.resource, '');
  setManagedFields(object, trackUpdate(target, undefined, object, writerOf(ctx, 'CreateOptions')));
}

/** Sets the managedFields of a new object that the server itself makes; `now` in ms. */
export function trackOwn(resource: Resource, object: KubeObject, manager: string, now: number): void {
  const writer = { manager, now: timestamp(now) };
  setManagedFields(object, trackUpdate(targetOf(resource, ''), undefined, object, writer));
}

/** Sets the managedFields of an object that is to take the place of `old`. */
export function trackChange(ctx: Context, object: KubeObject, old: KubeObject): void {
  const target = targetOf(ctx.resource, ctx.attributes.subresource);
  setManagedFields(object, trackUpdate(target, old, object, writerOf(ctx, optionsKind(ctx))));
}

const optionsKind = ({ call }: Context): string =>
  call.method === 'PATCH' ? 'PatchOptions' : 'UpdateOptions';

export function setManagedFields(
  object: KubeObject,
  entries: KubeObject['metadata']['managedFields'] | undefined,
): void {
  if (entries === undefined) delete object.metadata.managedFields;
  else object.metadata.managedFields = entries;
}

const writerOf = (ctx: Context, optionsKind: string) => ({
  manager: fieldManager(ctx, optionsKind) || fromUserAgent(ctx.call.header('user-agent') ?? ''),
  now: timestamp(ctx.clock.now()),
});

/** The `fieldManager` parameter; '' where there is none. Throws 422. */
function fieldManager(ctx: Context, optionsKind: string): string {
  const name = ctx.call.query.get('fieldManager') ?? '';
  if (name === '') return name;
  const errors = fieldManagerErrors(name);
  if (errors.length > 0) throw invalidObject('meta.k8s.io', optionsKind, '', errors);
  return name;
}

function fieldManagerErrors(name: string): FieldError[] {
  const errors: FieldError[] = [];
  if (Buffer.byteLength(name) > MAX_BYTES) errors.push(tooLong('fieldManager', MAX_BYTES));
  let at = 0;
  for (const character of name) {
    if (!isPrintable(character))
      errors.push(
        invalid('fieldManager', name, `invalid character ${codePoint(character)} (at position ${at})`),
      );
    at += Buffer.byteLength(character);
  }
  return errors;
}

const isPrintable = (character: string): boolean => !/[\p{C}\p{Z}]/u.test(character) || character === ' ';

const codePoint = (character: string): string =>
  `U+${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}`;

const agents = new Map<string, string>();
const MAX_AGENTS = 1000;

/** `kubectl/v1.36.0 (linux/amd64)` is `kubectl`. */
function fromUserAgent(agent: string): string {
  let name = agents.get(agent);
  if (name !== undefined) return name;
  name = '';
  for (const character of agent.split('/', 1)[0] as string) {
    if (!isPrintable(character)) continue;
    if (Buffer.byteLength(name + character) > MAX_BYTES) break;
    name += character;
  }
  if (agents.size >= MAX_AGENTS) agents.clear();
  agents.set(agent, name);
  return name;
}

/** The managedFields of a Scale that is to take the place of `old`. */
export function trackScale(ctx: Context, scale: KubeObject, old: KubeObject): void {
  setManagedFields(scale, trackUpdate(SCALE_TARGET, old, scale, writerOf(ctx, optionsKind(ctx))));
}

export const SCALE_TARGET: Target = { apiVersion: SCALE_VERSION, kind: 'Scale', subresource: 'scale' };

/** What of the query of an apply its handler needs. Throws 422. */
export function applyOptions(ctx: Context): { manager: string; force: boolean; now: string } {
  const { query } = ctx.call;
  const manager = query.get('fieldManager') ?? '';
  const errors =
    manager === '' ? [required('fieldManager', 'is required for apply patch')] : fieldManagerErrors(manager);
  if (errors.length > 0) throw invalidObject('meta.k8s.io', 'PatchOptions', '', errors);
  return { manager, force: boolean(query, 'force') ?? false, now: timestamp(ctx.clock.now()) };
}

/** Only an apply can be forced. Throws 422. */
export function refuseForce({ call }: Context): void {
  if (call.query.get('force') === null) return;
  const error = forbidden('force', 'may not be specified for non-apply patch');
  throw invalidObject('meta.k8s.io', 'PatchOptions', '', [error]);
}

const targets = new Map<string, Target>();

/** What of a resource a write of it or of one of its subresources can own. */
export function targetOf(resource: Resource, subresource: string): Target {
  if (resource.custom) return customTarget(resource, resource.custom, subresource);
  const id = `${resource.apiVersion}/${resource.plural}/${subresource}`;
  let target = targets.get(id);
  if (target === undefined) {
    const { apiVersion, kind, group, plural } = resource;
    const otherVersions = resources
      .filter((r) => r.group === group && r.plural === plural && r.apiVersion !== apiVersion)
      .map((r) => r.apiVersion);
    target = { apiVersion, kind, subresource, filter: resetFields(resource, subresource), otherVersions };
    targets.set(id, target);
  }
  return target;
}

function customTarget(resource: Resource, { shape, definition }: CustomKind, subresource: string): Target {
  const { apiVersion, kind } = resource;
  const otherVersions = [...definition.versions.keys()].filter((version) => version !== apiVersion);
  return { apiVersion, kind, subresource, filter: resetFields(resource, subresource), otherVersions, shape };
}

/**
 * Whether a write changes nothing, or nothing but times in managedFields: it is not worth a new version. The sets in
 * managedFields are made of empty maps, which elsewhere are the same as nothing.
 */
export function isUnchanged(object: KubeObject, old: KubeObject): boolean {
  const { metadata, ...rest } = object;
  const { metadata: oldMetadata, ...oldRest } = old;
  return (
    sameJson(rest, oldRest) &&
    sameJson({ ...metadata, managedFields: null }, { ...oldMetadata, managedFields: null }) &&
    sameButTimes(metadata.managedFields, oldMetadata.managedFields)
  );
}
