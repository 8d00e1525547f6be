/** The cluster's nftables table: forwarding, masquerade, Services. One `nft` run for each set-up, none for a pod. */
import { spawn } from 'node:child_process';
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

/** Idempotent: chains of others in the same table stay as they are. */
export function tableRules(config: NetworkConfig): string {
  const table = `inet ${tableName(config.cluster)}`;
  const bridge = bridgeName(config.cluster);
  return `
add table ${table}
add chain ${table} postrouting { type nat hook postrouting priority srcnat; policy accept; }
add chain ${table} forward { type filter hook forward priority filter; policy accept; }
flush chain ${table} postrouting
flush chain ${table} forward
add rule ${table} postrouting ip saddr ${config.podCidr} ip daddr != ${config.clusterCidr} masquerade
add rule ${table} forward iifname "${bridge}" accept
add rule ${table} forward oifname "${bridge}" accept
`;
}

/**
 * Pods' frames reach no neighbour past the node's IPv4: by IPv6's link-local addresses they would pass every policy.
 * (Bridges lead IPv4 on by themselves after translation, where br_netfilter is loaded.)
 */
const linkRules = (cluster: string): string => `
add table bridge ${tableName(cluster)}
add chain bridge ${tableName(cluster)} forward { type filter hook forward priority filter; policy accept; }
flush chain bridge ${tableName(cluster)} forward
add rule bridge ${tableName(cluster)} forward iifname "${VETH_PREFIX}*" ether type != ip drop
`;

/** @throws Error on a kernel that filters no bridges. */
export const applyLinkTable = (cluster: string): Promise<void> => nft(linkRules(cluster));

export async function applyTable(config: NetworkConfig): Promise<void> {
  const services = serviceRules(
    `inet ${tableName(config.cluster)}`,
    config.clusterCidr,
    bridgeName(config.cluster),
  );
  await nft(tableRules(config) + services);
}

/** Of the machine that nodes with network namespaces of their own run on; `own`: what is not masqueraded. */
export async function applyNodeTable(cluster: string, nodeCidr: string, own: string[]): Promise<void> {
  const table = `inet ${nodeTableName(cluster)}`;
  const bridge = nodeBridgeName(cluster);
  await nft(`
add table ${table}
add chain ${table} postrouting { type nat hook postrouting priority srcnat; policy accept; }
add chain ${table} forward { type filter hook forward priority filter; policy accept; }
flush chain ${table} postrouting
flush chain ${table} forward
add rule ${table} postrouting ip saddr ${nodeCidr} ip daddr != { ${[nodeCidr, ...own].join(', ')} } masquerade
add rule ${table} forward iifname "${bridge}" accept
add rule ${table} forward oifname "${bridge}" accept
`);
}

export async function deleteTables(cluster: string): Promise<void> {
  await remove(tableName(cluster), policyTableName(cluster));
  const links = `bridge ${tableName(cluster)}`;
  await nft(`add table ${links}\ndelete table ${links}\n`).catch(() => {});
}

export const deleteNodeTable = (cluster: string): Promise<void> => remove(nodeTableName(cluster));

/** Adding first makes deleting a table that is not there no error. */
async function remove(...names: string[]): Promise<void> {
  await nft(names.map((name) => `add table inet ${name}\ndelete table inet ${name}\n`).join(''));
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
