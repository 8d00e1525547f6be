/** scale: the replicas of a workload as an autoscaling/v1 Scale. */
import type { LabelSelector } from '#types';
import { parentEntries, scaleEntries, SCALE_VERSION as VERSION } from '../../api/apply/index.js';
import { invalid as invalidField } from '../../api/machinery/field.js';
import { labelSelector } from '../../api/machinery/selectors.js';
import { invalid } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource, ScalePaths } from '../../api/resources/define.js';
import type { Context, Result } from '../context.js';
import { admissionRequest } from '../handlers/admission.js';
import { applier } from '../handlers/apply.js';
import { decodeAs } from '../handlers/body.js';
import { requireStored } from '../handlers/get.js';
import { SCALE_TARGET, setManagedFields, trackScale } from '../handlers/managed-fields.js';
import { checkIdentity, checkPreconditions, countGeneration, validateChange } from '../handlers/metadata.js';
import { isApply, patcher } from '../handlers/patch.js';
import { draftOf, readModifyWrite } from '../handlers/writes.js';
import { keyOf } from '../keys.js';

export function getScale(ctx: Context): Result {
  return answer(ctx.resource, requireStored(ctx).object);
}

export async function updateScale(ctx: Context): Promise<Result> {
  const scale = await decodeAs(ctx, VERSION, 'Scale');
  checkIdentity(ctx, scale);
  return write(ctx, (old) => tracked(ctx, scale, old));
}

export async function patchScale(ctx: Context): Promise<Result> {
  if (isApply(ctx)) return write(ctx, await applier(ctx, SCALE_TARGET));
  const patch = patcher(ctx, VERSION, 'Scale');
  return write(ctx, (old) => tracked(ctx, patch(old), old));
}

function tracked(ctx: Context, scale: KubeObject, old: KubeObject): KubeObject {
  trackScale(ctx, scale, old);
  return scale;
}

const answer = (resource: Resource, object: KubeObject): Result => ({
  type: 'object',
  code: 200,
  object: scaleOf(resource, object),
});

/** `next` makes a new Scale of the old one, with the managedFields of both. */
async function write(ctx: Context, next: (scale: KubeObject) => KubeObject): Promise<Result> {
  const { resource } = ctx;
  const { namespace, name } = ctx.attributes;
  const { specReplicas } = resource.scale as ScalePaths;
  const { stored } = await readModifyWrite(ctx, keyOf(resource, namespace, name), async (existing) => {
    const { managedFields } = existing.object.metadata;
    const old = scaleOf(resource, existing.object);
    setManagedFields(old, scaleEntries(managedFields, specReplicas));
    const scale = next(old);
    checkPreconditions(ctx, scale, existing.object);
    const request = admissionRequest(ctx, ctx.call.method === 'PATCH' ? 'Patch' : 'Update', {
      object: scale,
      old,
    });
    await ctx.admission.admit(request);
    await ctx.admission.validate(request);
    const replicas = scale['spec']?.replicas ?? 0;
    if (replicas < 0)
      throw invalid('autoscaling', 'Scale', name, [
        invalidField('spec.replicas', replicas, 'must be greater than or equal to 0'),
      ]);
    const draft = draftOf(existing);
    assign(draft, specReplicas, replicas);
    const entries = parentEntries(
      managedFields,
      scale.metadata.managedFields,
      resource.apiVersion,
      specReplicas,
    );
    setManagedFields(draft, entries);
    countGeneration(resource, draft, existing.object);
    validateChange(resource, resource, draft, existing.object);
    return { put: draft };
  });
  return answer(resource, stored.object);
}

export function scaleOf(resource: Resource, object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const paths = resource.scale as ScalePaths;
  const selector = paths.selector.length === 0 ? '' : selectorText(read(object, paths.selector));
  return {
    kind: 'Scale',
    apiVersion: VERSION,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: Number(read(object, paths.specReplicas) ?? 0) },
    status: {
      replicas: Number(read(object, paths.statusReplicas) ?? 0),
      ...(selector === '' ? {} : { selector }),
    },
  };
}

/** A LabelSelector, or the plain map that older kinds have. */
function selectorText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  const isSelector = 'matchLabels' in value || 'matchExpressions' in value;
  return labelSelector((isSelector ? value : { matchLabels: value }) as LabelSelector).toString();
}

function read(object: unknown, path: string[]): unknown {
  return path.reduce((value, field) => (value as Record<string, unknown> | undefined)?.[field], object);
}

function assign(object: Record<string, any>, path: string[], value: unknown): void {
  const last = path.at(-1)!;
  let target = object;
  for (const field of path.slice(0, -1)) {
    target[field] ??= {};
    target = target[field];
  }
  target[last] = value;
}
