/** What admission is told of a request. */
import type { KubeObject } from '../../api/machinery/types.js';
import type { AdmissionRequest } from '../admission/admission.js';
import type { Context } from '../context.js';
import { boolean, isDryRun } from './query.js';

export type Operation = 'Create' | 'Update' | 'Patch' | 'Delete';

const OPERATIONS = { Create: 'CREATE', Update: 'UPDATE', Patch: 'UPDATE', Delete: 'DELETE' } as const;

/** The request that `ctx` is about, on its object or on what a subresource takes and makes. */
export function admissionRequest(
  ctx: Context,
  as: Operation,
  { object, old, dryRun }: { object?: KubeObject; old?: KubeObject; dryRun?: boolean },
): AdmissionRequest {
  const { attributes, resource, call, warnings, annotate } = ctx;
  const { subresource, namespace, name } = attributes;
  const kind = `${as}Options`;
  const tried = dryRun ?? isDryRun(call.query, kind);
  return {
    operation: OPERATIONS[as],
    resource,
    subresource,
    namespace,
    name: name || (object?.metadata?.name ?? ''),
    object,
    old,
    user: call.user,
    dryRun: tried,
    options: writeOptions(call.query, kind, tried),
    warnings,
    ...(annotate && { annotate }),
  };
}

function writeOptions(query: URLSearchParams, kind: string, dryRun: boolean): Record<string, unknown> {
  const given = (name: string) => (query.get(name) ? { [name]: query.get(name) } : {});
  return {
    kind,
    apiVersion: 'meta.k8s.io/v1',
    ...(dryRun && { dryRun: ['All'] }),
    ...(kind === 'PatchOptions' &&
      boolean(query, 'force') !== undefined && { force: boolean(query, 'force') }),
    ...given('fieldManager'),
    ...given('fieldValidation'),
  };
}
