/** delete: grace periods, finalizers and preconditions (upstream `registry.Store.Delete`). */
import type { DeleteOptions as V1DeleteOptions } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { invalid as invalidField, notSupported } from '../../api/machinery/field.js';
import { badRequest, conflict, invalid } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { decode } from '../../api/schema/index.js';
import type { Stored } from '../../store/store.js';
import type { Context, Result } from '../context.js';
import { keyOf } from '../keys.js';
import { admissionRequest } from './admission.js';
import { parseBody } from './body.js';
import { integer, isDryRun } from './query.js';
import { addressWrites, isService } from './service-addresses.js';
import { type Change, draftOf, groupResource, readModifyWrite } from './writes.js';

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun: boolean;
}

/** Resources whose delete answers with the object, also when it is gone at once. */
const RETURNS_OBJECT = new Set([
  'pods',
  'persistentvolumeclaims',
  'persistentvolumes',
  'podtemplates',
  'resourcequotas',
  'serviceaccounts',
  'services',
]);

const POLICIES = ['Orphan', 'Background', 'Foreground'];

/** From the body, or where there is none from the query. Throws 400/422. */
export async function deleteOptions(ctx: Context): Promise<DeleteOptions> {
  const { query } = ctx.call;
  const parsed = await parseBody(ctx.call.body, 'meta.k8s.io/v1', 'DeleteOptions');
  if (parsed.value !== undefined && (typeof parsed.value !== 'object' || parsed.value === null))
    throw badRequest('DeleteOptions must be an object');
  const body: V1DeleteOptions =
    parsed.value === undefined ? {} : decode('v1', 'DeleteOptions', parsed.value, { mode: 'ignore' }).object;
  const grace = body.gracePeriodSeconds ?? integer(query, 'gracePeriodSeconds');
  const orphan = body.orphanDependents ?? query.get('orphanDependents') ?? undefined;
  let policy = (body.propagationPolicy ?? query.get('propagationPolicy') ?? undefined) as
    | DeleteOptions['propagationPolicy']
    | undefined;
  if (policy !== undefined && !POLICIES.includes(policy))
    throw invalid('meta.k8s.io', 'DeleteOptions', '', [
      {
        ...notSupported('propagationPolicy', policy, []),
        message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
      },
    ]);
  if (body.propagationPolicy && orphan !== undefined)
    throw invalid('meta.k8s.io', 'DeleteOptions', '', [
      invalidField(
        'propagationPolicy',
        policy,
        'orphanDependents and deletionPropagation cannot be both set',
      ),
    ]);
  if (orphan !== undefined) policy ??= String(orphan) === 'true' ? 'Orphan' : 'Background';
  if (policy === undefined && ctx.resource.orphansByDefault) ctx.warnings.push(ctx.resource.orphansByDefault);
  return {
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(body.preconditions ? { preconditions: body.preconditions } : {}),
    dryRun: isDryRun(query, 'DeleteOptions') || (body.dryRun ?? []).includes('All'),
  };
}

export async function deleteObject(ctx: Context): Promise<Result> {
  const options = await deleteOptions(ctx);
  const { namespace, name } = ctx.attributes;
  const { stored, removed } = await removeObject(ctx, namespace, name, options);
  if (!removed || RETURNS_OBJECT.has(ctx.resource.plural))
    return { type: 'object', code: 200, object: stored.object, stored };
  return { type: 'object', code: 200, object: success(ctx.resource, stored.object) };
}

/** Deletes one object or starts its deletion; `removed` tells whether it is gone. */
export async function removeObject(
  ctx: Context,
  namespace: string,
  name: string,
  options: DeleteOptions,
): Promise<{ stored: Stored; removed: boolean }> {
  const key = keyOf(ctx.resource, namespace, name);
  return readModifyWrite(
    ctx,
    key,
    async (existing) => {
      checkDeletePreconditions(ctx, existing.object, options.preconditions);
      await admitDelete(ctx, namespace, name, existing.object, options);
      const change = deletion(ctx.resource, existing, options, ctx.clock.now());
      if (!isService(ctx.resource) || 'put' in change) return change;
      return { ...change, also: addressWrites(ctx, undefined, existing.object) };
    },
    options.dryRun,
  );
}

async function admitDelete(
  ctx: Context,
  namespace: string,
  name: string,
  old: KubeObject,
  { dryRun, gracePeriodSeconds, propagationPolicy, preconditions }: DeleteOptions,
): Promise<void> {
  const request = admissionRequest(ctx, 'Delete', { old, dryRun });
  const asked = { ...request, namespace, name, subresource: '' };
  Object.assign(asked.options!, {
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(propagationPolicy && { propagationPolicy }),
    ...(preconditions && { preconditions }),
  });
  await ctx.admission.admit(asked);
  await ctx.admission.validate(asked);
}

/** Throws 409 unless the object is the one that the client means. */
export function checkDeletePreconditions(
  { resource }: Context,
  { metadata }: KubeObject,
  preconditions: DeleteOptions['preconditions'],
): void {
  const check = (
    field: string,
    wanted: string | undefined | null,
    actual: string | undefined,
    why: string,
  ) => {
    if (wanted === undefined || wanted === null || wanted === actual) return;
    if (isNamespace(resource))
      throw conflict(
        groupResource(resource),
        metadata.name,
        `Precondition failed: ${field} in precondition: ${wanted}, ${field} in object meta: ${actual}`,
      );
    throw conflict(
      { group: resource.group, resource: resource.kind },
      metadata.name,
      `the ${field} in the precondition (${wanted}) does not match the ${field} in record (${actual}). The object might have been ${why}`,
    );
  };
  check('UID', preconditions?.uid, metadata.uid, 'deleted and then recreated');
  check('ResourceVersion', preconditions?.resourceVersion, metadata.resourceVersion, 'modified');
}

const isNamespace = ({ kind, group }: Resource): boolean => kind === 'Namespace' && group === '';

/** What a delete request makes of an object now. Pure but for `now` (ms). */
export function deletion(resource: Resource, existing: Stored, options: DeleteOptions, now: number): Change {
  const draft = draftOf(existing);
  if (isNamespace(resource)) return endNamespace(draft, now);
  const { metadata } = draft;
  const grace = resource.deletion?.gracePeriodSeconds(existing.object, options.gracePeriodSeconds);
  if (metadata.deletionTimestamp && grace !== undefined && !shorten(draft, options.gracePeriodSeconds))
    return { put: draft };
  if (!metadata.deletionTimestamp) {
    setFinalizers(draft, policyOf(resource, draft, options));
    resource.prepareForDelete?.(draft, now);
  }
  const pending = (metadata.finalizers?.length ?? 0) > 0;
  if (!metadata.deletionTimestamp && grace !== undefined && grace > 0) {
    markDeleting(draft, now, grace);
    return { put: draft };
  }
  const left = metadata.deletionTimestamp ? (metadata.deletionGracePeriodSeconds ?? 0) : 0;
  if (left > 0) return { put: draft };
  if (!pending) {
    if (grace !== undefined) markDeleting(draft, now, 0);
    return { remove: draft };
  }
  markDeleting(draft, now, 0);
  return { put: draft };
}

/** A second delete may only bring the end nearer. Returns whether it did. */
function shorten({ metadata }: KubeObject, requested: number | undefined): boolean {
  const current = metadata.deletionGracePeriodSeconds ?? 0;
  if (requested === undefined || requested >= current) return current === 0 && requested === 0;
  const start = Date.parse(String(metadata.deletionTimestamp)) - current * 1000;
  const seconds = requested < 0 ? 1 : requested;
  metadata.deletionTimestamp = timestamp(start + seconds * 1000);
  metadata.deletionGracePeriodSeconds = seconds;
  return true;
}

function markDeleting({ metadata }: KubeObject, now: number, seconds: number): void {
  if (!metadata.deletionTimestamp) {
    metadata.deletionTimestamp = timestamp(now + seconds * 1000);
    if (metadata.generation) metadata.generation += 1;
  }
  metadata.deletionGracePeriodSeconds = seconds;
}

/** What the client asks for, else what the object says, else what its kind's default is where it is not Background. */
function policyOf(
  { orphansByDefault }: Resource,
  { metadata }: KubeObject,
  { propagationPolicy }: DeleteOptions,
): DeleteOptions['propagationPolicy'] {
  if (propagationPolicy || orphansByDefault === undefined) return propagationPolicy;
  const told = metadata.finalizers?.some((f) => f === 'orphan' || f === 'foregroundDeletion');
  return told ? undefined : 'Orphan';
}

/** The finalizers by which the garbage collector learns what to do with dependents. */
function setFinalizers({ metadata }: KubeObject, policy: DeleteOptions['propagationPolicy']): void {
  if (policy === undefined) return;
  const others = (metadata.finalizers ?? []).filter((f) => f !== 'orphan' && f !== 'foregroundDeletion');
  if (policy === 'Orphan') others.push('orphan');
  if (policy === 'Foreground') others.push('foregroundDeletion');
  if (others.length > 0) metadata.finalizers = others;
  else delete metadata.finalizers;
}

/** A namespace is Terminating until its spec's finalizers are gone. */
function endNamespace(draft: KubeObject, now: number): Change {
  const { metadata } = draft;
  if (!metadata.deletionTimestamp) {
    markDeleting(draft, now, 0);
    delete metadata.deletionGracePeriodSeconds;
    draft['status'] = { ...draft['status'], phase: 'Terminating' };
  }
  const pending = (draft['spec']?.finalizers?.length ?? 0) + (metadata.finalizers?.length ?? 0);
  return pending > 0 ? { put: draft } : { remove: draft };
}

/** The Status that tells of an object that is gone. */
export function success(resource: Resource, object: KubeObject): KubeObject {
  const { name, uid } = object.metadata;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name,
      ...(resource.group === '' ? {} : { group: resource.group }),
      kind: resource.plural,
      uid,
    },
  } as unknown as KubeObject;
}
