/** The cluster's nftables tables: forwarding, masquerade, Services. One `nft` run for each set-up, none for a pod. */
import { spawn } from 'node:child_process';
import { familyOf } from '../api/machinery/prefix.js';
import { FAMILIES, type Family } from './family.js';
import {
  bridgeName,
  nodeBridgeName,
  nodeTableName,
  policyTableName,
  tableName,
  VETH_PREFIX,
} from './names.js';
import { serviceRules } from './services/layout.js';
import type { NetworkConfig } from './types.js';

/** What a table is made for: one IP family of a cluster. */
export interface TableConfig {
  cluster: string;
  family: Family;
  podCidr: string;
  clusterCidr: string;
}

export const tablesOf = ({ cluster, podCidrs, clusterCidrs }: NetworkConfig): TableConfig[] =>
  podCidrs.flatMap((podCidr) => {
    const family = FAMILIES[familyOf(podCidr)];
    const clusterCidr = clusterCidrs.find((cidr) => familyOf(cidr) === family.name);
    return clusterCidr === undefined ? [] : [{ cluster, family, podCidr, clusterCidr }];
  });

/** Idempotent: chains of others in the same table stay as they are. */
export function tableRules({
  cluster,
  family: { table: kind, nft },
  podCidr,
  clusterCidr,
}: TableConfig): string {
  const table = `${kind} ${tableName(cluster)}`;
  const bridge = bridgeName(cluster);
  return `
add table ${table}
add chain ${table} postrouting { type nat hook postrouting priority srcnat; policy accept; }
add chain ${table} forward { type filter hook forward priority filter; policy accept; }
flush chain ${table} postrouting
flush chain ${table} forward
add rule ${table} postrouting ${nft} saddr ${podCidr} ${nft} daddr != ${clusterCidr} masquerade
add rule ${table} forward iifname "${bridge}" accept
add rule ${table} forward oifname "${bridge}" accept
`;
}

/**
 * Pods' frames reach no neighbour past the node: by IPv6's link-local addresses they would pass every policy. (Bridges
 * lead packets on by themselves after translation, where br_netfilter is loaded.)
 */
const linkRules = (cluster: string): string => `
add table bridge ${tableName(cluster)}
add chain bridge ${tableName(cluster)} forward { type filter hook forward priority filter; policy accept; }
flush chain bridge ${tableName(cluster)} forward
add rule bridge ${tableName(cluster)} forward iifname "${VETH_PREFIX}*" ether type != { ip, ip6 } drop
add rule bridge ${tableName(cluster)} forward iifname "${VETH_PREFIX}*" ip6 daddr { fe80::/10, ff00::/8 } drop
add rule bridge ${tableName(cluster)} forward iifname "${VETH_PREFIX}*" ip6 saddr fe80::/10 drop
`;

/** @throws Error on a kernel that filters no bridges. */
export const applyLinkTable = (cluster: string): Promise<void> => nft(linkRules(cluster));

export async function applyTable(config: TableConfig): Promise<void> {
  const { cluster, family, clusterCidr } = config;
  const table = `${family.table} ${tableName(cluster)}`;
  await nft(tableRules(config) + serviceRules(family, table, clusterCidr, bridgeName(cluster)));
}

/** Of the machine that nodes with network namespaces of their own run on; `own`: what is not masqueraded, of the same family. */
export async function applyNodeTable(cluster: string, nodeCidr: string, own: string[]): Promise<void> {
  const { table: kind, nft: ip } = FAMILIES[familyOf(nodeCidr)];
  const table = `${kind} ${nodeTableName(cluster)}`;
  const bridge = nodeBridgeName(cluster);
  await nft(`
add table ${table}
add chain ${table} postrouting { type nat hook postrouting priority srcnat; policy accept; }
add chain ${table} forward { type filter hook forward priority filter; policy accept; }
flush chain ${table} postrouting
flush chain ${table} forward
add rule ${table} postrouting ${ip} saddr ${nodeCidr} ${ip} daddr != { ${[nodeCidr, ...own].join(', ')} } masquerade
add rule ${table} forward iifname "${bridge}" accept
add rule ${table} forward oifname "${bridge}" accept
`);
}

export async function deleteTables(cluster: string): Promise<void> {
  await remove('inet', tableName(cluster), policyTableName(cluster));
  // Of kinds that not every kernel has.
  await remove('ip6', tableName(cluster), policyTableName(cluster)).catch(() => {});
  await remove('bridge', tableName(cluster)).catch(() => {});
}

export async function deleteNodeTable(cluster: string): Promise<void> {
  await remove('inet', nodeTableName(cluster));
  await remove('ip6', nodeTableName(cluster)).catch(() => {});
}

/** Adding first makes deleting a table that is not there no error. */
async function remove(kind: string, ...names: string[]): Promise<void> {
  await nft(names.map((name) => `add table ${kind} ${name}\ndelete table ${kind} ${name}\n`).join(''));
}

function nft(script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let problem = '';
    child.stderr.on('data', (chunk) => {
      problem += chunk;
    });
    child.stdin.on('error', () => {});
    child.on('error', (error) => reject(new Error(`cannot run nft: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`nft failed: ${problem.trim()}`));
    });
    child.stdin.end(script);
  });
}
