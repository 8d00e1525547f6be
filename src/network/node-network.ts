/** Several nodes on one machine: each in a network namespace of its own, on a bridge of the cluster. */

import { familyOf, parsePrefix } from '../api/machinery/prefix.js';
import { MNT_DETACH, type NetlinkOperation, native } from '../runtime/native.js';
import { ANYWHERE } from './family.js';
import { closeForeignFirewall, openForeignFirewall } from './foreign-firewall.js';
import { enableForwarding, prepareIpv6 } from './forwarding.js';
import { linkGroup, nodeBridgeName, nodeLinkName, nodeTableName } from './names.js';
import { applyNodeTable, deleteNodeTable } from './nftables.js';

export interface NodeNetworkOptions {
  cluster: string;
  /** Nodes' addresses, such as `10.180.0.0/24`, one range of each IP family; the first address is the bridge's. */
  nodeCidrs: string[];
  /** All pods of the cluster: one range of each IP family that they have. */
  clusterCidrs: string[];
}

export interface NodeNetwork {
  /** The bridge's address in the first range: where nodes reach this machine. */
  gateway: string;
  /** The addresses of the node that counts so, from 0: one of each range. */
  addresses(index: number): string[];
  /** Bridge, forwarding, masquerade: idempotent. */
  setup(): Promise<void>;
  /** The namespace at `netns`, joined to the bridge as `eth0`: idempotent. */
  attach(node: string, netns: string, addresses: string[]): Promise<void>;
}

export function createNodeNetwork(options: NodeNetworkOptions): NodeNetwork {
  const { cluster, nodeCidrs, clusterCidrs } = options;
  const ranges = nodeCidrs.map((text) => ({ ...parsePrefix(text), text }));
  const bridge = nodeBridgeName(cluster);
  const group = linkGroup(cluster, 'nodes');
  return {
    gateway: ranges[0]!.at(1),
    addresses: (index) =>
      ranges.map(({ at, size, text }) => {
        if (index >= size - 3) throw new Error(`${text} has no room for another node`);
        return at(2 + index);
      }),
    async setup() {
      await native.netlink('', [{ op: 'addBridge', name: bridge, group, ignore: ['EEXIST'] }]);
      await prepareIpv6(bridge);
      await native.netlink('', [
        ...ranges.map(
          ({ at, length }): NetlinkOperation => ({
            ...{ op: 'addAddress', name: bridge, address: `${at(1)}/${length}`, ignore: ['EEXIST'] },
          }),
        ),
        { op: 'setLink', name: bridge, up: true, group },
      ]);
      await Promise.all([
        ...ranges.map(({ family }) => enableForwarding(family)),
        ...ranges.map(({ text, family }) =>
          applyNodeTable(
            cluster,
            text,
            clusterCidrs.filter((cidr) => familyOf(cidr) === family),
          ),
        ),
        openForeignFirewall(
          { name: nodeTableName(cluster), bridge },
          ranges.map(({ family }) => family),
        ),
      ]);
    },
    async attach(node, netns, addresses) {
      const name = nodeLinkName(cluster, node);
      await native.createNetworkNamespace(netns);
      const there = await native.listLinks(netns);
      const operations: NetlinkOperation[] = there.some((link) => link.name === 'eth0')
        ? []
        : [
            // One whose other end was in a namespace that is gone.
            { op: 'deleteLink', name, ignore: ['ENODEV'] },
            { op: 'addVeth', name, peer: 'eth0', netns, group, master: bridge },
          ];
      await native.netlink('', [...operations, { op: 'setLink', name, up: true, group }]);
      await native.netlink(netns, [
        { op: 'setLink', name: 'lo', up: true },
        ...ranges.map(
          ({ length }, i): NetlinkOperation => ({
            ...{ op: 'addAddress', name: 'eth0', address: `${addresses[i]}/${length}`, ignore: ['EEXIST'] },
          }),
        ),
        { op: 'setLink', name: 'eth0', up: true },
        ...ranges.map(
          ({ family, at }): NetlinkOperation => ({
            ...{ op: 'addRoute', destination: ANYWHERE[family], gateway: at(1), name: 'eth0' },
          }),
        ),
      ]);
    },
  };
}

/** Removes a node's link and namespace; the file `netns` stays, as a mark that the node had one. Idempotent. */
export async function releaseNode(cluster: string, node: string, netns: string): Promise<void> {
  const name = nodeLinkName(cluster, node);
  await native.netlink('', [{ op: 'deleteLink', name, ignore: ['ENODEV'] }]);
  // It may be mounted more than once, or not at all.
  try {
    for (;;) await native.umount(netns, MNT_DETACH);
  } catch (error) {
    if (!['EINVAL', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Removes bridge, links and table of a cluster, if there are any. */
export async function removeNodeNetwork(cluster: string): Promise<void> {
  const bridge = nodeBridgeName(cluster);
  const links = await native.listLinks('');
  if (!links.some((link) => link.name === bridge)) return;
  await Promise.all([deleteNodeTable(cluster), closeForeignFirewall(nodeTableName(cluster))]);
  // The bridge last: it tells that there is something to remove.
  await native.netlink('', [{ op: 'deleteGroup', group: linkGroup(cluster, 'nodes'), ignore: ['ENODEV'] }]);
}
