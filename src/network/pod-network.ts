/** Pods' links: one bridge a cluster and node, a veth pair a sandbox, and routes to the other nodes. */
import { writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { type NativeError, type NetlinkOperation, type NetworkLink, native } from '../runtime/native.js';
import { ANYWHERE, FAMILIES } from './family.js';
import { closeForeignFirewall, openForeignFirewall } from './foreign-firewall.js';
import { enableForwarding, prepareIpv6 } from './forwarding.js';
import { AddressPool } from './ipam.js';
import { bridgeMac, bridgeName, linkGroup, podMac, routePriority, tableName, vethName } from './names.js';
import { applyLinkTable, applyTable, deleteTables, tablesOf } from './nftables.js';
import { PolicyEnforcer, PolicyEnforcers } from './policy/index.js';
import { type HostPort, hostPortsOf } from './services/host-ports.js';
import { ServiceProxies, ServiceProxy } from './services/index.js';
import type { NetworkConfig, NodeRoute, PodNetwork, PolicyPod, ServiceRules } from './types.js';

/** The kernel keeps who made a route; 75 is not one of the registered protocols. */
const routeProtocol = 75;
/** Marks our links: `keelson <sandbox> <addresses, with commas>`. The kernel is where allocations are kept. */
const aliasPrefix = 'keelson ';

export interface PodNetworkOptions {
  cluster: string;
  /** Not needed: the kernel's links themselves tell which sandbox has which address. */
  stateDir?: string;
  logger?: Logger;
}

/** Makes no kernel object until `setup`. Links are made in the network namespace of this process. */
export function createPodNetwork(options: PodNetworkOptions): PodNetwork {
  return new BridgeNetwork(options);
}

class BridgeNetwork implements PodNetwork {
  private readonly cluster: string;
  private readonly bridge: string;
  private readonly logger: Logger | undefined;
  readonly services: ServiceRules;
  readonly policies: PolicyEnforcers;
  private config: NetworkConfig | undefined;
  /** One of each IP family. */
  private pools: AddressPool[] = [];
  private mtu = 1500;
  private readonly attached = new Map<string, Promise<string[]>>();
  private emptying: Promise<void> = Promise.resolve();
  private nextEmptying: Promise<void> | undefined;

  constructor(options: PodNetworkOptions) {
    this.cluster = options.cluster;
    this.bridge = bridgeName(options.cluster);
    this.logger = options.logger;
    const { cluster, logger } = options;
    const restore = async () => {
      if (this.config) await Promise.all(tablesOf(this.config).map(applyTable));
    };
    const families = () => this.pools.map(({ family }) => family);
    const { IPv4, IPv6 } = FAMILIES;
    this.services = new ServiceProxies(
      {
        IPv4: new ServiceProxy({ cluster, family: IPv4, restore, logger }),
        IPv6: new ServiceProxy({ cluster, family: IPv6, restore, logger }),
      },
      families,
    );
    this.policies = new PolicyEnforcers(
      {
        IPv4: new PolicyEnforcer({ cluster, family: IPv4, logger }),
        IPv6: new PolicyEnforcer({ cluster, family: IPv6, logger }),
      },
      families,
    );
  }

  async setup(asked: NetworkConfig): Promise<void> {
    // All that is made here carries one name, so that it is found at the end.
    const config = { ...asked, cluster: this.cluster };
    this.config = config;
    const [links, routes] = await Promise.all([native.listLinks(''), native.listRoutes('')]);
    const uplink = links.find((link) => link.index === routes.find((r) => r.destination === 'default')?.link);
    this.mtu = config.mtu ?? uplink?.mtu ?? 1500;
    this.pools = config.podCidrs.map(
      (podCidr) => this.pools.find((pool) => pool.podCidr === podCidr) ?? new AddressPool(podCidr),
    );
    await Promise.all([
      this.setupBridge(config.nodeAddresses ?? []),
      this.setupFirewall(config),
      ...this.pools.map(({ family }) => enableForwarding(family)),
    ]);
    this.adoptLinks(links);
  }

  private async setupFirewall(config: NetworkConfig): Promise<void> {
    await Promise.all(tablesOf(config).map(applyTable));
    await applyLinkTable(this.cluster).catch((error) =>
      this.logger?.warn(
        { error: error.message },
        'pods may reach their neighbours by IPv6 link-local addresses',
      ),
    );
    const passing = { name: tableName(this.cluster), bridge: this.bridge, cidrs: config.clusterCidrs };
    const families = this.pools.map(({ family }) => family);
    await openForeignFirewall(passing, families).catch((error) =>
      this.logger?.warn({ error: error.message }, "the machine's own firewall may drop what pods send"),
    );
  }

  private async setupBridge(nodeAddresses: string[]): Promise<void> {
    const others = nodeAddresses.map((address) => `${address}/${address.includes(':') ? 128 : 32}`);
    const wanted = [...this.pools.map(({ gatewayCidr }) => gatewayCidr), ...others];
    await native.netlink('', [
      { op: 'setLink', name: 'lo', up: true },
      {
        op: 'addBridge',
        name: this.bridge,
        mac: bridgeMac(this.cluster),
        mtu: this.mtu,
        group: linkGroup(this.cluster, 'used'),
        ignore: ['EEXIST'],
      },
    ]);
    await prepareIpv6(this.bridge);
    await native.netlink('', [
      ...wanted.map(
        (address): NetlinkOperation => ({
          op: 'addAddress',
          name: this.bridge,
          address,
          // The address that the node's own connections come from is the gateway's.
          deprecated: others.includes(address),
          ignore: ['EEXIST'],
        }),
      ),
      { op: 'setLink', name: this.bridge, up: true, group: linkGroup(this.cluster, 'used') },
    ]);
    // Answers to who used a node port at 127.0.0.1 come back by this link.
    await writeFile(`/proc/sys/net/ipv4/conf/${this.bridge}/route_localnet`, '1').catch((error) =>
      this.logger?.warn({ error: error.message }, 'node ports do not answer at 127.0.0.1'),
    );
    const [links, addresses] = await Promise.all([native.listLinks(''), native.listAddresses('')]);
    const index = links.find((link) => link.name === this.bridge)?.index;
    const stale = addresses.filter(
      ({ link, address }) => link === index && !address.startsWith('fe80:') && !wanted.includes(address),
    );
    await native.netlink(
      '',
      stale.map(({ address }) => ({ op: 'deleteAddress', name: this.bridge, address })),
    );
  }

  /** Ports of the bridge tell which sandbox has which address. */
  private adoptLinks(links: NetworkLink[]): void {
    const bridge = links.find((link) => link.name === this.bridge);
    if (!bridge) return;
    for (const link of links) {
      if (link.master !== bridge.index || !link.alias.startsWith(aliasPrefix)) continue;
      const [sandboxId, ips] = link.alias.slice(aliasPrefix.length).split(' ');
      for (const ip of ips?.split(',') ?? [])
        if (!this.pools.some((pool) => pool.reserve(sandboxId!, ip)))
          this.logger?.warn(
            { sandboxId, ip },
            'a sandbox has an address that is not of this node, or twice in use',
          );
    }
  }

  attach(sandboxId: string, netns: string, pod?: PolicyPod): Promise<string[]> {
    let pending = this.attached.get(sandboxId);
    if (!pending) {
      pending = this.connect(sandboxId, netns, pod);
      this.attached.set(sandboxId, pending);
      pending.catch(() => this.attached.delete(sandboxId));
    }
    return pending;
  }

  private async connect(sandboxId: string, netns: string, pod?: PolicyPod): Promise<string[]> {
    const pools = this.requirePools();
    const fresh = pools.filter((pool) => pool.get(sandboxId) === undefined);
    try {
      const ips = pools.map((pool) => pool.allocate(sandboxId));
      if (pod) await this.policies.isolate(sandboxId, ips, pod);
      await this.connectHost(sandboxId, netns, ips);
      await native.netlink(netns, [
        { op: 'setLink', name: 'lo', up: true },
        // Neighbours are reached by way of the node: only there are a Service's answers translated back.
        ...ips.map(
          (address): NetlinkOperation => ({ op: 'addAddress', name: 'eth0', address, ignore: ['EEXIST'] }),
        ),
        { op: 'setLink', name: 'eth0', up: true },
        ...pools.flatMap(({ gateway, family }): NetlinkOperation[] => [
          { op: 'addRoute', destination: gateway, name: 'eth0' },
          { op: 'addRoute', destination: ANYWHERE[family], gateway, name: 'eth0' },
        ]),
      ]);
      const ports = pod ? hostPortsOf(pod) : [];
      if (ports.length > 0) this.claimPorts(sandboxId, ips, ports);
      return ips;
    } catch (error) {
      await this.removeVeth(sandboxId).catch(() => {});
      this.policies.release(sandboxId);
      for (const pool of fresh) pool.release(sandboxId);
      throw error;
    }
  }

  /** Makes the veth pair, or keeps the one that an earlier attach to the same namespace made. */
  private async connectHost(sandboxId: string, netns: string, ips: string[]): Promise<void> {
    const name = vethName(this.cluster, sandboxId);
    // Born in the group by which it is found at the end, also if this process ends before the next step.
    const group = linkGroup(this.cluster, 'used');
    const mac = podMac(ips[0]!);
    const add: NetlinkOperation[] = [
      { op: 'addVeth', name, peer: 'eth0', netns, mac, mtu: this.mtu, group, master: this.bridge },
    ];
    const configure: NetlinkOperation[] = [
      {
        op: 'setLink',
        name,
        up: true,
        group,
        alias: `${aliasPrefix}${sandboxId} ${ips.join()}`,
        hairpin: true,
      },
    ];
    try {
      await native.netlink('', [...add, ...configure]);
    } catch (error) {
      if ((error as NativeError).code !== 'EEXIST') throw error;
      const links = await native.listLinks(netns);
      const kept = links.some((link) => link.name === 'eth0');
      const renew: NetlinkOperation[] = kept ? [] : [{ op: 'deleteLink', name }, ...add];
      await native.netlink('', [...renew, ...configure]);
    }
  }

  claimPorts(sandboxId: string, ips: string[], ports: HostPort[]): void {
    this.services.hostPortsChanged(sandboxId, { ips, ports });
  }

  async detach(sandboxId: string): Promise<void> {
    await this.attached.get(sandboxId)?.catch(() => {});
    this.attached.delete(sandboxId);
    this.services.hostPortsChanged(sandboxId, undefined);
    await this.removeVeth(sandboxId);
    this.policies.release(sandboxId);
    for (const pool of this.pools) pool.release(sandboxId);
  }

  private async removeVeth(sandboxId: string): Promise<void> {
    const name = vethName(this.cluster, sandboxId);
    const group = linkGroup(this.cluster, 'trash');
    await native.netlink('', [{ op: 'setLink', name, group, ignore: ['ENODEV'] }]);
    await this.emptyTrash();
  }

  /** A deletion takes the kernel some 20 ms, of one link or of many: who asks meanwhile shares the next. */
  private emptyTrash(): Promise<void> {
    this.nextEmptying ??= this.emptying
      .catch(() => {})
      .then(() => {
        this.nextEmptying = undefined;
        this.emptying = deleteGroup(linkGroup(this.cluster, 'trash'));
        return this.emptying;
      });
    return this.nextEmptying;
  }

  async setRoutes(nodes: NodeRoute[]): Promise<void> {
    const wanted = new Map(nodes.map((node) => [node.podCidr, node.address]));
    const own = { protocol: routeProtocol, priority: routePriority(this.cluster) };
    const operations: NetlinkOperation[] = [];
    for (const route of await this.ownRoutes()) {
      if (wanted.get(route.destination) === route.gateway) wanted.delete(route.destination);
      else if (!wanted.has(route.destination))
        operations.push({
          op: 'deleteRoute',
          destination: route.destination,
          ...own,
          ignore: ['ESRCH', 'ENOENT'],
        });
    }
    // A node that is on no link of this one is behind the router: the default route leads there.
    for (const [destination, gateway] of wanted)
      operations.push({ op: 'addRoute', destination, gateway, ...own, ignore: ['ENETUNREACH', 'EINVAL'] });
    await native.netlink('', operations);
  }

  private async ownRoutes() {
    const priority = routePriority(this.cluster);
    const routes = await native.listRoutes('');
    return routes.filter((route) => route.protocol === routeProtocol && route.priority === priority);
  }

  async teardown(): Promise<void> {
    await Promise.all([this.services.close(), this.policies.close()]);
    await this.setRoutes([]);
    await deleteGroup(linkGroup(this.cluster, 'used'));
    await deleteGroup(linkGroup(this.cluster, 'trash'));
    await Promise.all([deleteTables(this.cluster), closeForeignFirewall(tableName(this.cluster))]);
    this.attached.clear();
    this.pools = [];
  }

  private requirePools(): AddressPool[] {
    if (this.pools.length === 0) throw new Error('the pod network is not set up');
    return this.pools;
  }
}

function deleteGroup(group: number): Promise<void> {
  return native.netlink('', [{ op: 'deleteGroup', group, ignore: ['ENODEV'] }]);
}
