/** pods/binding: puts a pod on a node (upstream `pod/storage.BindingREST`). */
import { timestamp } from '../../api/machinery/clock.js';
import { invalid as invalidField, required } from '../../api/machinery/field.js';
import { badRequest, conflict, invalid } from '../../api/machinery/status.js';
import { deepCopy, type KubeObject } from '../../api/machinery/types.js';
import { pods } from '../../api/resources/core/pod.js';
import type { Resource } from '../../api/resources/define.js';
import type { Context, Result } from '../context.js';
import { admissionRequest } from '../handlers/admission.js';
import { decodeAs } from '../handlers/body.js';
import { groupResource, readModifyWrite } from '../handlers/writes.js';
import { keyOf } from '../keys.js';

export async function bindPod(ctx: Context): Promise<Result> {
  const binding = await decodeAs(ctx, 'v1', 'Binding');
  const { namespace, name } = ctx.attributes;
  checkBinding(ctx, binding);
  const request = admissionRequest(ctx, 'Create', { object: binding });
  await ctx.admission.admit(request);
  await ctx.admission.validate(request);
  await readModifyWrite(ctx, keyOf(ctx.resource, namespace, name), ({ object }) => ({
    put: bound(ctx, object, binding),
  }));
  const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
  return { type: 'object', code: 201, object: success as unknown as KubeObject };
}

/** POST of a Binding to the namespace's `bindings`: the pod is the one that has its name. */
export async function createBinding(ctx: Context): Promise<Result> {
  const { metadata } = await decodeAs(ctx, 'v1', 'Binding');
  if (!metadata.name) throw badRequest('name is required');
  const attributes = { ...ctx.attributes, name: metadata.name };
  return bindPod({ ...ctx, resource: pods as Resource<any>, attributes });
}

function checkBinding({ attributes }: Context, { metadata, target }: KubeObject): void {
  if (metadata.namespace && metadata.namespace !== attributes.namespace)
    throw badRequest('namespace in URL does not match namespace in Binding object');
  if (metadata.name && metadata.name !== attributes.name)
    throw badRequest('name in URL does not match name in Binding object');
  const errors = [
    ...(target?.kind && target.kind !== 'Node'
      ? [invalidField('target.kind', target.kind, 'must be empty or "Node"')]
      : []),
    ...(target?.name ? [] : [required('target.name')]),
  ];
  if (errors.length > 0) throw invalid('', 'Binding', attributes.name, errors);
}

function bound(ctx: Context, pod: KubeObject, { metadata, target }: KubeObject): KubeObject {
  const fail = (why: string) => conflict(groupResource(ctx.resource), pod.metadata.name, why);
  if (metadata.uid && metadata.uid !== pod.metadata.uid)
    throw fail(
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${pod.metadata.uid}`,
    );
  if (pod.metadata.deletionTimestamp)
    throw fail(`pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`);
  if (pod['spec'].nodeName)
    throw fail(`pod ${pod.metadata.name} is already assigned to node "${pod['spec'].nodeName}"`);
  if (pod['spec'].schedulingGates?.length > 0)
    throw fail(`pod ${pod.metadata.name} has non-empty .spec.schedulingGates`);
  const now = timestamp(ctx.clock.now());
  return thaw(pod, (draft) => {
    draft['spec'].nodeName = target.name;
    if (metadata.annotations)
      draft.metadata.annotations = { ...draft.metadata.annotations, ...metadata.annotations };
    if (metadata.labels) draft.metadata.labels = { ...draft.metadata.labels, ...metadata.labels };
    draft['status'] ??= {};
    // The promise is kept (KEP-5278).
    delete draft['status'].nominatedNodeName;
    const others = (draft['status'].conditions ?? []).filter((c: any) => c.type !== 'PodScheduled');
    const generation = pod.metadata.generation;
    others.push({
      type: 'PodScheduled',
      status: 'True',
      ...(generation ? { observedGeneration: generation } : {}),
      lastProbeTime: null,
      lastTransitionTime: now,
    });
    draft['status'].conditions = others;
  });
}

function thaw(object: KubeObject, change: (draft: KubeObject) => void): KubeObject {
  const draft = deepCopy(object);
  change(draft);
  return draft;
}
