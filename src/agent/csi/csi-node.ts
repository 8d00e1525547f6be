/** Tells the cluster which storage drivers run on the node: its CSINode, and labels and an annotation of its Node. */
import type { CSINode, Node } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { produce } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import type { Client, ResourceRef } from '../../client/client.js';
import type { Driver } from './drivers.js';

const CSI_NODES: ResourceRef<CSINode> = {
  ...{ group: 'storage.k8s.io', version: 'v1', apiVersion: 'storage.k8s.io/v1' },
  ...{ plural: 'csinodes', kind: 'CSINode', namespaced: false },
};
const NODES: ResourceRef<Node> = {
  ...{ group: '', version: 'v1', apiVersion: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
};
const NODE_IDS = 'csi.volume.kubernetes.io/nodeid';

/** Brings what the API says to `drivers`. Rejects if that can't be written. */
export async function writeCsiNode(client: Client, node: Node, drivers: Driver[]): Promise<void> {
  const { name, uid = '' } = node.metadata;
  const csiNodes = client.of(CSI_NODES);
  const spec = { drivers: drivers.map(entry) };
  await writeNode(client, name, drivers);
  try {
    const known = await csiNodes.get('', name);
    const owner = known.metadata.ownerReferences?.[0];
    if (sameJson(known.spec.drivers ?? [], spec.drivers) && owner?.uid === uid) return;
    await csiNodes.update(
      produce(known, (draft) => {
        // A driver's entry can't change: it goes first where it must.
        draft.spec = spec;
        draft.metadata.ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
      }),
    );
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
    await csiNodes.create({
      ...{ apiVersion: 'storage.k8s.io/v1', kind: 'CSINode' },
      ...{ metadata: { name, ownerReferences }, spec },
    });
  }
}

const entry = ({ name, nodeId, topology, maxVolumes }: Driver) => ({
  name,
  nodeID: nodeId,
  topologyKeys: Object.keys(topology).sort(),
  ...(maxVolumes > 0 ? { allocatable: { count: maxVolumes } } : {}),
});

async function writeNode(client: Client, name: string, drivers: Driver[]): Promise<void> {
  const node = await client.of(NODES).get('', name);
  const ids = Object.fromEntries(drivers.map((driver) => [driver.name, driver.nodeId]));
  const text = drivers.length > 0 ? JSON.stringify(ids) : undefined;
  const labels = Object.assign({}, ...drivers.map(({ topology }) => topology)) as Record<string, string>;
  const missing = Object.entries(labels).filter(([key, value]) => node.metadata.labels?.[key] !== value);
  if (node.metadata.annotations?.[NODE_IDS] === text && missing.length === 0) return;
  const metadata = { annotations: { [NODE_IDS]: text ?? null }, labels: Object.fromEntries(missing) };
  await client.of(NODES).patch('', name, { metadata }, { type: 'merge' });
}
