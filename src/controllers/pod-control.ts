/** Creates pods from a template and deletes them, with the events that tell of it (upstream `RealPodControl`). */
import type { Pod, PodTemplateSpec } from '#types';
import { isReason } from '../api/machinery/status.js';
import { deepFreeze, type KubeObject } from '../api/machinery/types.js';
import { pods } from '../api/resources/index.js';
import type { Context } from './context.js';
import { controllerRef } from './owners.js';

/** A new pod of `owner`, named after it, or as `generateName` says, with a random end. */
export function podFromTemplate(
  template: PodTemplateSpec,
  owner: KubeObject,
  generateName = `${owner.metadata.name}-`,
): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return deepFreeze({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName,
      namespace: owner.metadata.namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerRef(owner)],
    },
    spec: template.spec,
  }) as unknown as Pod;
}

/** Whether the server refused to create something because its namespace is being deleted. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    isReason(error, 'Forbidden') &&
    error.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating') === true
  );
}

/** Creates a pod; rejects, after a FailedCreate event, when the server refuses. */
export async function createPod(
  context: Context,
  template: PodTemplateSpec,
  owner: KubeObject,
  generateName?: string,
): Promise<void> {
  try {
    const created = await context.client.of(pods).create(podFromTemplate(template, owner, generateName));
    context.events.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
  } catch (error) {
    if (!isNamespaceTerminating(error))
      context.events.event(owner, 'Warning', 'FailedCreate', `Error creating: ${(error as Error).message}`);
    throw error;
  }
}

/** Deletes a pod. Rejects with NotFound when it is gone already, and after a FailedDelete event otherwise. */
export async function deletePod(context: Context, pod: Pod, owner: KubeObject): Promise<void> {
  const { namespace = '', name, uid } = pod.metadata;
  try {
    await context.client
      .of(pods)
      .delete(namespace, name, uid === undefined ? {} : { preconditions: { uid } });
    context.events.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
  } catch (error) {
    if (!isReason(error, 'NotFound'))
      context.events.event(owner, 'Warning', 'FailedDelete', `Error deleting: ${(error as Error).message}`);
    throw error;
  }
}
