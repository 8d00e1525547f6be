/** What the server itself keeps in `metadata`: identity, times, generation, finalizers (upstream `rest.BeforeCreate`, `BeforeUpdate`). */
import { randomUUID } from 'node:crypto';
import { timestamp } from '../../api/machinery/clock.js';
import type { FieldError } from '../../api/machinery/field.js';
import { badRequest, conflict, invalid, MODIFIED, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { sameJson, validateObjectMeta, validateObjectMetaUpdate } from '../../api/machinery/validation.js';
import type { Resource } from '../../api/resources/define.js';
import type { Context } from '../context.js';
import { groupResource } from './writes.js';

/** Gives a new object's namespace from the request, or checks that it is the same. */
export function takeNamespace(ctx: Context, object: KubeObject): void {
  if (!ctx.resource.namespaced) return;
  const { namespace } = ctx.attributes;
  object.metadata.namespace ||= namespace;
  if (object.metadata.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** Fills what every new object gets, and drops what a client may not give. */
export function stampNew(resource: Resource, object: KubeObject, now: number): void {
  const { metadata } = object;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(now);
  if (resource.generation) metadata.generation = 1;
  else delete metadata.generation;
}

/** Only what is stored may not have a version already: a dry run takes it (upstream's `DryRunnableStorage`). Throws 500. */
export function dropVersion({ metadata }: KubeObject, dryRun: boolean): void {
  if (!dryRun && metadata.resourceVersion && metadata.resourceVersion !== '0')
    throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
  delete metadata.resourceVersion;
}

/** Checks that a body is of the object that the URL names. Throws 400. */
export function checkIdentity(ctx: Context, object: KubeObject): void {
  const { name, namespace } = ctx.attributes;
  const { metadata } = object;
  if (!metadata.name)
    throw badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    );
  if (metadata.name !== name)
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  if (!ctx.resource.namespaced) return;
  if (metadata.namespace && metadata.namespace !== namespace)
    throw badRequest(
      `the namespace of the object (${metadata.namespace}) does not match the namespace on the request (${namespace})`,
    );
  metadata.namespace = namespace;
}

/** The client's own idea of uid and version must be those of the stored object, where it has one. Throws 409. */
export function checkPreconditions(ctx: Context, object: KubeObject, old: KubeObject): void {
  const { uid, resourceVersion } = object.metadata;
  const gr = groupResource(ctx.resource);
  if (uid && uid !== old.metadata.uid) {
    const key = `/registry/${ctx.resource.plural}/${ctx.attributes.namespace ? `${ctx.attributes.namespace}/` : ''}${ctx.attributes.name}`;
    throw conflict(
      gr,
      ctx.attributes.name,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  if (resourceVersion && resourceVersion !== '0' && resourceVersion !== old.metadata.resourceVersion)
    throw conflict(gr, ctx.attributes.name, MODIFIED);
}

/** Carries over what an update can't change and lets empty fields stand for the old ones. */
export function keepSystemFields(object: KubeObject, old: KubeObject): void {
  const [next, before] = [object.metadata, old.metadata];
  delete next.selfLink;
  next.uid ||= before.uid;
  next.creationTimestamp ||= before.creationTimestamp;
  next.generateName ||= before.generateName;
  if (next.generateName === undefined) delete next.generateName;
  restore(next, before, 'generation');
  restore(next, before, 'deletionTimestamp');
  if (before.deletionGracePeriodSeconds !== undefined && before.deletionGracePeriodSeconds !== null)
    next.deletionGracePeriodSeconds ??= before.deletionGracePeriodSeconds;
  else delete next.deletionGracePeriodSeconds;
}

function restore<T extends object>(target: T, source: T, field: keyof T): void {
  if (source[field] === undefined) delete target[field];
  else target[field] = source[field];
}

/** Counts up `generation` if anything but metadata and status changed. */
export function countGeneration(resource: Resource, object: KubeObject, old: KubeObject): void {
  if (!resource.generation) return;
  const next = counted(resource, object);
  const before = counted(resource, old);
  if (!sameJson(next, before)) object.metadata.generation = (old.metadata.generation ?? 0) + 1;
}

/** A custom object's status counts unless it is a subresource. */
function counted({ custom, hasStatus }: Resource, object: KubeObject): object {
  const { metadata: _, status, ...rest } = object;
  return custom && !hasStatus ? { ...rest, status } : rest;
}

/** Everything that is wrong with a new object, as one 422. */
export function validateNew(resource: Resource, object: KubeObject): void {
  refuseIf(resource, object, [
    ...validateObjectMeta(object.metadata, resource),
    ...(resource.validate?.(object) ?? []),
    ...(resource.validateCreate?.(object) ?? []),
  ]);
}

/** Everything that is wrong with an update, as one 422. */
export function validateChange(
  resource: Resource,
  rules: Pick<Resource, 'validate' | 'validateUpdate'>,
  object: KubeObject,
  old: KubeObject,
): void {
  refuseIf(resource, object, [
    ...validateObjectMeta(object.metadata, resource),
    ...validateObjectMetaUpdate(object.metadata, old.metadata),
    ...(rules.validate?.(object) ?? []),
    ...(rules.validateUpdate?.(object, old) ?? []),
  ]);
}

function refuseIf({ group, kind }: Resource, object: KubeObject, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(group, kind, object.metadata.name ?? '', errors);
}

/** Some kinds are never overwritten blindly: their updates must name the version they change. Throws 422. */
export function checkUnconditional({ resource }: Context, object: KubeObject): void {
  const { resourceVersion } = object.metadata;
  if (resource.unconditionalUpdate || (resourceVersion && resourceVersion !== '0')) return;
  refuseIf(resource, object, [
    {
      type: 'FieldValueInvalid',
      field: 'metadata.resourceVersion',
      message: 'Invalid value: 0x0: must be specified for an update',
    },
  ]);
}
