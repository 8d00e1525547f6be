/** Several nodes on one machine: each in a network namespace of its own, on a bridge of the cluster. */
import { writeFile } from 'node:fs/promises';
import { type NetlinkOperation, native } from '../runtime/native.js';
import { formatAddress, parseCidr } from './cidr.js';
import { closeForeignFirewall, openForeignFirewall } from './foreign-firewall.js';
import { linkGroup, nodeBridgeName, nodeLinkName } from './names.js';
import { applyNodeTable, deleteNodeTable } from './nftables.js';

export interface NodeNetworkOptions {
  cluster: string;
  /** Nodes' addresses, such as `10.180.0.0/24`; the first is the bridge's. */
  nodeCidr: string;
  /** All pods of the cluster. */
  clusterCidr: string;
}

export interface NodeNetwork {
  /** The bridge's address: where nodes reach this machine. */
  gateway: string;
  /** The address of the node that counts so, from 0. */
  address(index: number): string;
  /** Bridge, forwarding, masquerade: idempotent. */
  setup(): Promise<void>;
  /** The namespace at `netns`, joined to the bridge as `eth0`: idempotent. */
  attach(node: string, netns: string, address: string): Promise<void>;
}

const MNT_DETACH = 2;

export function createNodeNetwork(options: NodeNetworkOptions): NodeNetwork {
  const { cluster, nodeCidr, clusterCidr } = options;
  const { base, length, size } = parseCidr(nodeCidr);
  const bridge = nodeBridgeName(cluster);
  const group = linkGroup(cluster, 'nodes');
  const gateway = formatAddress(base + 1);
  return {
    gateway,
    address(index) {
      if (index >= size - 3) throw new Error(`${nodeCidr} has no room for another node`);
      return formatAddress(base + 2 + index);
    },
    async setup() {
      await native.netlink('', [
        { op: 'addBridge', name: bridge, ignore: ['EEXIST'] },
        { op: 'addAddress', name: bridge, address: `${gateway}/${length}`, ignore: ['EEXIST'] },
        { op: 'setLink', name: bridge, up: true, group },
      ]);
      await Promise.all([
        writeFile('/proc/sys/net/ipv4/ip_forward', '1'),
        applyNodeTable(cluster, nodeCidr, [clusterCidr]),
        openForeignFirewall(cluster, bridge),
      ]);
    },
    async attach(node, netns, address) {
      const name = nodeLinkName(cluster, node);
      await native.createNetworkNamespace(netns);
      const there = await native.listLinks(netns);
      const operations: NetlinkOperation[] = there.some((link) => link.name === 'eth0')
        ? []
        : [
            // One whose other end was in a namespace that is gone.
            { op: 'deleteLink', name, ignore: ['ENODEV'] },
            { op: 'addVeth', name, peer: 'eth0', netns, master: bridge },
          ];
      await native.netlink('', [...operations, { op: 'setLink', name, up: true, group }]);
      await native.netlink(netns, [
        { op: 'setLink', name: 'lo', up: true },
        { op: 'addAddress', name: 'eth0', address: `${address}/${length}`, ignore: ['EEXIST'] },
        { op: 'setLink', name: 'eth0', up: true },
        { op: 'addRoute', destination: 'default', gateway, name: 'eth0' },
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
  await Promise.all([deleteNodeTable(cluster), closeForeignFirewall(cluster, bridge)]);
  // The bridge last: it tells that there is something to remove.
  await native.netlink('', [{ op: 'deleteGroup', group: linkGroup(cluster, 'nodes'), ignore: ['ENODEV'] }]);
}
