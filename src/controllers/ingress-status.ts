/** Tells in the status of each Ingress of Keelson's class where it is served: the addresses of the nodes that do. */
import type { Ingress, IngressClass, Node } from '#types';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { sameJson } from '../api/machinery/validation.js';
import { ingressClasses, ingresses, nodes } from '../api/resources/index.js';
import { INGRESS_NODE_LABEL, isServed } from '../api/resources/networking/ingress-controller.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { nodeAddresses } from './node-address.js';

export function startIngressStatus(options: ControllersOptions): Controller {
  const context = contextOf(options, 'ingress-status-controller');
  const allIngresses = context.informers.of(ingresses);
  const allClasses = context.informers.of<IngressClass>(ingressClasses);
  const allNodes = context.informers.of(nodes);
  const client = context.client.of(ingresses);

  const reconcile = async (key: string): Promise<void> => {
    const ingress = allIngresses.get(key);
    if (!ingress || ingress.metadata.deletionTimestamp) return;
    if (!isServed(ingress, (name) => allClasses.get(name)?.spec.controller)) return;
    const addresses = servingAddresses(allNodes.list());
    const wanted = addresses.map((ip) => ({ ip }));
    if (sameJson(ingress.status?.loadBalancer?.ingress ?? [], wanted)) return;
    const { namespace = '', name, uid } = ingress.metadata;
    const patch = { metadata: { uid }, status: { loadBalancer: { ingress: wanted } } };
    try {
      await client.patch(namespace, name, patch, { type: 'merge', subresource: 'status' });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  };

  const loop = new WorkLoop(context, [allIngresses.synced, allClasses.synced, allNodes.synced], reconcile, 2);
  const add = (ingress: Ingress) => loop.queue.add(objectKey(ingress));
  const all = () => allIngresses.list().forEach(add);
  let known = '';
  const nodesChanged = () => {
    const now = servingAddresses(allNodes.list()).join();
    if (now === known) return;
    known = now;
    all();
  };
  loop.onClose(
    allIngresses.on({ added: add, updated: (_, ingress) => add(ingress) }),
    allClasses.on({ added: all, updated: all }),
    allNodes.on({ added: nodesChanged, updated: nodesChanged, deleted: nodesChanged }),
  );
  return loop;
}

/** Those of nodes that are ready and serve Ingresses, in order. */
export function servingAddresses(all: Node[]): string[] {
  return all
    .filter(({ metadata }) => metadata.labels?.[INGRESS_NODE_LABEL] === 'true')
    .flatMap((node) => nodeAddresses(node))
    .sort();
}
