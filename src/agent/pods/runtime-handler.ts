/** Which ways to run containers a node has: RuntimeClasses name them as handlers. */
import type { Pod, RuntimeClass } from '#types';
import type { Client, ResourceRef } from '../../client/client.js';

const CLASSES: ResourceRef<RuntimeClass> = {
  ...{ group: 'node.k8s.io', version: 'v1', apiVersion: 'node.k8s.io/v1' },
  ...{ plural: 'runtimeclasses', kind: 'RuntimeClass', namespaced: false },
};

/** Names of the one way that there is: the project's own, and that of the OCI runtime that manifests mostly ask for. */
export const HANDLERS = ['keelson', 'runc'];

/** Rejects in the words of upstream's kubelet when the class is missing or its handler is none of this node. */
export async function checkHandler(client: Client, { spec }: Pod): Promise<void> {
  const name = spec.runtimeClassName ?? '';
  const { handler } = await client
    .of(CLASSES)
    .get('', name)
    .catch((error) => {
      throw new Error(`failed to get runtime class: ${(error as Error).message}`);
    });
  if (!HANDLERS.includes(handler))
    throw new Error(
      `rpc error: code = Unknown desc = RuntimeHandler ${JSON.stringify(handler)} not supported`,
    );
}
