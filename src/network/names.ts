/** Names of the kernel objects a cluster makes on a node. Link names have at most 15 characters. */
import { createHash } from 'node:crypto';
import { addressBytes } from '../api/machinery/prefix.js';

const hash = (text: string, length: number) =>
  createHash('sha256').update(text).digest('hex').slice(0, length);

/** `kl-<cluster>`, or a short form of it with a hash. */
export function bridgeName(cluster: string): string {
  const plain = `kl-${cluster}`;
  return plain.length <= 15 ? plain : `kl-${cluster.slice(0, 5)}-${hash(cluster, 6)}`;
}

export const VETH_PREFIX = 'klv';

/** The host's end of a sandbox's veth pair. */
export function vethName(cluster: string, sandboxId: string): string {
  return `${VETH_PREFIX}${hash(`${cluster}/${sandboxId}`, 12)}`;
}

export function tableName(cluster: string): string {
  return `keelson-${cluster}`;
}

/** Fixed, so that it does not change with the bridge's ports. */
export function bridgeMac(cluster: string): string {
  return `0a:4b:${hash(`mac/${cluster}`, 8).match(/../g)!.join(':')}`;
}

/** Follows from the address, so that neighbours' caches stay right when the address is used again. */
export function podMac(ip: string): string {
  return `0a:58:${addressBytes(ip).subarray(-4).toString('hex').match(/../g)!.join(':')}`;
}

/** Metric of a cluster's routes: tells them from those of another cluster on the same machine. */
export function routePriority(cluster: string): number {
  return 0x4b0000 + Number.parseInt(hash(cluster, 4), 16);
}

/** The bridge on this machine that joins nodes with network namespaces of their own. */
export function nodeBridgeName(cluster: string): string {
  const plain = `kln-${cluster}`;
  return plain.length <= 15 ? plain : `kln-${cluster.slice(0, 4)}-${hash(cluster, 6)}`;
}

/** The host's end of a node's veth pair. */
export function nodeLinkName(cluster: string, node: string): string {
  return `kln${hash(`${cluster}/${node}`, 12)}`;
}

/** No cluster is named with an underscore: the table is nobody else's. */
export function nodeTableName(cluster: string): string {
  return `keelson_nodes-${cluster}`;
}

/** What NetworkPolicies allow. No cluster is named with an underscore: the table is nobody else's. */
export function policyTableName(cluster: string): string {
  return `keelson_policies-${cluster}`;
}

/** Link group of a cluster's pods, of what is about to be deleted, or of its nodes. */
export function linkGroup(cluster: string, kind: 'used' | 'trash' | 'nodes'): number {
  return 0x40000000 + Number.parseInt(hash(`${kind}/${cluster}`, 7), 16);
}
