/**
 * Cluster IPs and node ports of Services, handed out from what is free: addresses from the ServiceCIDRs where no
 * IPAddress says otherwise, node ports from what the stored Services leave. So nothing leaks; writes under way hold
 * their claims in memory.
 */
import type { IPAddress, Service, ServiceCIDR } from '#types';
import { type FieldError, index, invalid as invalidField } from '../../api/machinery/field.js';
import { canonicalIp } from '../../api/machinery/ip.js';
import { type AddressRange, familyOf, type IpFamily, parsePrefix } from '../../api/machinery/prefix.js';
import { internalError, invalid } from '../../api/machinery/status.js';
import { type KubeObject, objectKey } from '../../api/machinery/types.js';
import { clusterIpsOf, ipAddresses, serviceOfAddress } from '../../api/resources/networking/ip-address.js';
import {
  containsAddress,
  DEFAULT_SERVICE_CIDR,
  isUsable,
  serviceCidrs,
} from '../../api/resources/networking/service-cidr.js';
import type { Store } from '../../store/store.js';
import { keyOf, prefixOf } from '../keys.js';
import { freeNodePort, type NodePortRange, NodePortUsers } from './node-ports.js';
import { completeFamilies } from './service-families.js';
import { freeAddress, parseRanges } from './service-range.js';

type Ports = NonNullable<NonNullable<Service['spec']>['ports']>;

/** Gives back what a write claimed; called when it is committed or has failed. */
export type EndClaim = () => void;

/** As in upstream's clusters. */
const DNS_OFFSET = 10;
const DNS_SERVICE = 'kube-system/kube-dns';

interface Taken {
  /** With the Service that each is for. */
  addresses: Map<string, string>;
  ports: Set<number>;
}

export class ServiceAddresses {
  readonly #store: Store;
  /** Of each IP family of the cluster, its default first. */
  readonly #ranges: AddressRange[];
  readonly #nodePorts: NodePortRange;
  readonly #portUsers: NodePortUsers;
  readonly #random: () => number;
  readonly #pending: Taken = { addresses: new Map(), ports: new Set() };
  /** One claim at a time: reading what is in use and taking something must not interleave. */
  #last: Promise<unknown> = Promise.resolve();

  /** `cidrs`: one range, or one of each IP family. */
  constructor(store: Store, cidrs: string, nodePorts: NodePortRange, random: () => number = Math.random) {
    this.#store = store;
    this.#ranges = parseRanges(cidrs);
    this.#nodePorts = nodePorts;
    this.#portUsers = new NodePortUsers(store);
    this.#random = random;
  }

  /** The first address of the range: that of the `kubernetes` Service. */
  get first(): string {
    return this.#ranges[0]!.at(1);
  }

  /** The tenth address, for the cluster's DNS and nobody else; undefined in a range that is too small. */
  get dns(): string | undefined {
    const [range] = this.#ranges;
    return range!.size > DNS_OFFSET + 1 ? range!.at(DNS_OFFSET) : undefined;
  }

  /** Gives `service` (a draft) its IP families, before it is validated. Throws 422 for what the cluster does not have. */
  complete(service: KubeObject, old: KubeObject | undefined): void {
    const families = this.#ranges.map(({ family }) => family);
    completeFamilies(service as unknown as Service, old as unknown as Service, families);
  }

  /** Fills the addresses that `service` (a draft) lacks. Throws 422 for one that it asks for and can't have. */
  claim(service: KubeObject, old: KubeObject | undefined): Promise<EndClaim> {
    const claimed = this.#last.then(() =>
      this.#claim(service as unknown as Service, old as unknown as Service),
    );
    this.#last = claimed.catch(() => undefined);
    return claimed;
  }

  async #claim(service: Service, old: Service | undefined): Promise<EndClaim> {
    const needsIp = wantsClusterIp(service) && !sameIps(service, old);
    const newPorts = portsToClaim(service, old);
    const needsHealth =
      wantsHealthPort(service) && service.spec!.healthCheckNodePort !== old?.spec?.healthCheckNodePort;
    const missingHealth = wantsHealthPort(service) && !service.spec!.healthCheckNodePort;
    if (!needsIp && newPorts.length === 0 && !needsHealth && !missingHealth) return () => {};
    const cidrs = needsIp ? await this.#usableCidrs() : [];
    const needsPorts = newPorts.length > 0 || needsHealth || missingHealth;
    if (needsPorts) await this.#portUsers.refresh();
    const taken: Taken = { addresses: new Map(), ports: new Set() };
    const end = () => {
      for (const address of taken.addresses.keys()) this.#pending.addresses.delete(address);
      for (const port of taken.ports) this.#pending.ports.delete(port);
    };
    try {
      if (needsIp) this.#takeIps(service, old, cidrs, taken);
      this.#takePorts(service, newPorts, taken);
      if (needsHealth || missingHealth) this.#takeHealthPort(service, taken);
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** The cluster's own range comes first. */
  async #usableCidrs(): Promise<ServiceCIDR[]> {
    const { items } = await this.#store.list(prefixOf(serviceCidrs, ''));
    const usable = items.map(({ object }) => object as unknown as ServiceCIDR).filter(isUsable);
    const rank = ({ metadata }: ServiceCIDR) => (metadata.name === DEFAULT_SERVICE_CIDR ? 0 : 1);
    return usable.sort((a, b) => rank(a) - rank(b));
  }

  /** Whether the address is another's, or about to be. */
  #isTaken(ip: string, service: string): boolean {
    // Nodes answer at this address whether or not the Service is there.
    if (ip === this.dns && service !== DNS_SERVICE) return true;
    const stored = this.#store.get(keyOf(ipAddresses, '', ip));
    const user = stored ? serviceOfAddress(stored.object as IPAddress) : this.#pending.addresses.get(ip);
    return (stored !== undefined || user !== undefined) && user !== service;
  }

  /** Whether a Service other than `service` has the port, or one is about to have it. */
  #isPortTaken(port: number, service?: string): boolean {
    return this.#pending.ports.has(port) || this.#portUsers.isUsed(port, service);
  }

  /** One of each of its families: those that it has stay. */
  #takeIps(service: Service, old: Service | undefined, cidrs: ServiceCIDR[], taken: Taken): void {
    const { spec } = service;
    const key = objectKey(service);
    const before = old ? clusterIpsOf(old) : [];
    const ips = (spec.ipFamilies as IpFamily[]).map((family, i) => {
      const asked = spec.clusterIPs?.[i];
      if (asked && before.includes(asked)) return asked;
      const ip = asked ? this.#askedIp(service, asked, cidrs) : this.#freeIp(key, family, cidrs);
      this.#pending.addresses.set(ip, key);
      taken.addresses.set(ip, key);
      return ip;
    });
    spec.clusterIP = ips[0]!;
    spec.clusterIPs = ips;
  }

  #askedIp(service: Service, asked: string, cidrs: ServiceCIDR[]): string {
    const ip = canonicalIp(asked) ?? asked;
    const why = !cidrs.some((cidr) => containsAddress(cidr, ip))
      ? 'the provided network does not match the current range'
      : this.#isTaken(ip, objectKey(service))
        ? 'provided IP is already allocated'
        : undefined;
    if (!why) return ip;
    const { clusterIPs = [asked] } = service.spec;
    throw refuse(
      service,
      invalidField('spec.clusterIPs', clusterIPs, `failed to allocate IP ${asked}: ${why}`),
    );
  }

  #freeIp(service: string, family: IpFamily, cidrs: ServiceCIDR[]): string {
    for (const { spec } of cidrs)
      for (const cidr of spec!.cidrs ?? []) {
        if (familyOf(cidr) !== family) continue;
        const ip = freeAddress(parsePrefix(cidr), (at) => this.#isTaken(at, service), this.#random);
        if (ip !== undefined) return ip;
      }
    throw internalError(new Error('failed to allocate a serviceIP: range is full'));
  }

  #takePorts(service: Service, ports: { port: Ports[number]; i: number }[], taken: Taken): void {
    const byPort = new Map<number, number>();
    for (const port of service.spec!.ports ?? []) if (port.nodePort) byPort.set(port.port, port.nodePort);
    for (const { port, i } of ports) {
      const at = `${index('spec.ports', i)}.nodePort`;
      if (port.nodePort) {
        // One number may serve TCP and UDP of the same Service.
        if (!taken.ports.has(port.nodePort)) this.#checkPort(service, at, port.nodePort);
      } else {
        port.nodePort = byPort.get(port.port) ?? this.#freePort();
        byPort.set(port.port, port.nodePort);
      }
      this.#pending.ports.add(port.nodePort);
      taken.ports.add(port.nodePort);
    }
  }

  #takeHealthPort(service: Service, taken: Taken): void {
    const spec = service.spec!;
    if (spec.healthCheckNodePort)
      this.#checkPort(service, 'spec.healthCheckNodePort', spec.healthCheckNodePort);
    else spec.healthCheckNodePort = this.#freePort();
    this.#pending.ports.add(spec.healthCheckNodePort);
    taken.ports.add(spec.healthCheckNodePort);
  }

  #checkPort(service: Service, at: string, port: number): void {
    const { from, to } = this.#nodePorts;
    if (port < from || port > to)
      throw refuse(
        service,
        invalidField(
          at,
          port,
          `provided port is not in the valid range. The range of valid ports is ${from}-${to}`,
        ),
      );
    if (this.#isPortTaken(port, objectKey(service)))
      throw refuse(service, invalidField(at, port, 'provided port is already allocated'));
  }

  #freePort(): number {
    const port = freeNodePort(this.#nodePorts, (one) => this.#isPortTaken(one), this.#random);
    if (port === undefined) throw internalError(new Error('failed to allocate a nodePort: range is full'));
    return port;
  }
}

const refuse = (service: Service, error: FieldError) =>
  invalid('', 'Service', service.metadata!.name ?? '', [error]);

const wantsClusterIp = ({ spec }: Service): boolean =>
  spec?.type !== 'ExternalName' && spec?.clusterIP !== 'None' && spec?.clusterIPs?.[0] !== 'None';

/** Whether it has one of each of its families already. */
const sameIps = ({ spec }: Service, old: Service | undefined): boolean =>
  old !== undefined &&
  (spec.clusterIPs ?? []).every((ip) => clusterIpsOf(old).includes(ip)) &&
  spec.clusterIPs?.length === spec.ipFamilies?.length;

const wantsHealthPort = ({ spec }: Service): boolean =>
  spec?.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

function wantsNodePorts({ spec }: Service): boolean {
  if (spec?.type === 'NodePort') return true;
  return spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false;
}

/** Ports that need a node port, or ask for one that the Service did not have. */
function portsToClaim(service: Service, old: Service | undefined): { port: Ports[number]; i: number }[] {
  const before = new Set((old?.spec?.ports ?? []).map((port) => port.nodePort).filter(Boolean));
  return (service.spec?.ports ?? [])
    .map((port, i) => ({ port, i }))
    .filter(({ port }) => (port.nodePort ? !before.has(port.nodePort) : wantsNodePorts(service)));
}
