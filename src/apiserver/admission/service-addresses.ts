/**
 * Cluster IPs and node ports of Services, handed out from what the stored Services leave free. There is no
 * book besides the Services themselves, so nothing leaks; writes under way hold their claims in memory.
 */
import type { Service } from '#types';
import { type FieldError, index, invalid as invalidField } from '../../api/machinery/field.js';
import { internalError, invalid } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Store } from '../../store/store.js';

export interface NodePortRange {
  /** Both inclusive. */
  from: number;
  to: number;
}

type Ports = NonNullable<NonNullable<Service['spec']>['ports']>;

/** Gives back what a write claimed; called when it is committed or has failed. */
export type EndClaim = () => void;

/** As in upstream's clusters. */
const DNS_OFFSET = 10;
const DNS_SERVICE = 'kube-system/kube-dns';

interface InUse {
  addresses: Set<string>;
  ports: Set<number>;
}

export class ServiceAddresses {
  readonly #store: Store;
  readonly #range: AddressRange;
  readonly #nodePorts: NodePortRange;
  readonly #random: () => number;
  readonly #pending: InUse = { addresses: new Set(), ports: new Set() };
  /** One claim at a time: reading what is in use and taking something must not interleave. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store, cidr: string, nodePorts: NodePortRange, random: () => number = Math.random) {
    this.#store = store;
    this.#range = parseRange(cidr);
    this.#nodePorts = nodePorts;
    this.#random = random;
  }

  /** The first address of the range: that of the `kubernetes` Service. */
  get first(): string {
    return this.#range.at(1);
  }

  /** The tenth address, for the cluster's DNS and nobody else; undefined in a range that is too small. */
  get dns(): string | undefined {
    return this.#range.size > DNS_OFFSET + 1 ? this.#range.at(DNS_OFFSET) : undefined;
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
    const inUse = await this.#inUse(service);
    const taken: InUse = { addresses: new Set(), ports: new Set() };
    const end = () => {
      for (const address of taken.addresses) this.#pending.addresses.delete(address);
      for (const port of taken.ports) this.#pending.ports.delete(port);
    };
    try {
      if (needsIp) this.#takeIp(service, inUse, taken);
      this.#takePorts(service, newPorts, inUse, taken);
      if (needsHealth || missingHealth) this.#takeHealthPort(service, inUse, taken);
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** What other Services have or are about to have. */
  async #inUse(service: Service): Promise<InUse> {
    const { namespace, name } = service.metadata!;
    const addresses = new Set(this.#pending.addresses);
    const ports = new Set(this.#pending.ports);
    // Nodes answer at this address whether or not the Service is there.
    if (this.dns && `${namespace}/${name}` !== DNS_SERVICE) addresses.add(this.dns);
    const { items } = await this.#store.list('core/services/');
    for (const { object } of items) {
      if (object.metadata.namespace === namespace && object.metadata.name === name) continue;
      for (const ip of object['spec']?.clusterIPs ?? []) addresses.add(ip);
      for (const { nodePort } of object['spec']?.ports ?? []) if (nodePort) ports.add(nodePort);
      if (object['spec']?.healthCheckNodePort) ports.add(object['spec'].healthCheckNodePort);
    }
    return { addresses, ports };
  }

  #takeIp(service: Service, inUse: InUse, taken: InUse): void {
    const spec = service.spec!;
    const asked = spec.clusterIPs?.[0] ?? spec.clusterIP;
    const ip = asked || this.#freeIp(inUse.addresses);
    if (asked) {
      const why = !this.#range.contains(asked)
        ? `provided IP is not in the valid range. The range of valid IPs is ${this.#range.cidr}`
        : inUse.addresses.has(asked)
          ? 'provided IP is already allocated'
          : undefined;
      if (why) {
        const error = invalidField(
          'spec.clusterIPs',
          spec.clusterIPs ?? [asked],
          `failed to allocate IP ${asked}: ${why}`,
        );
        throw refuse(service, error);
      }
    }
    this.#pending.addresses.add(ip);
    taken.addresses.add(ip);
    spec.clusterIP = ip;
    spec.clusterIPs = [ip];
    spec.ipFamilies ??= ['IPv4'];
    spec.ipFamilyPolicy ??= 'SingleStack';
  }

  /** Random in the upper part first; the lower part is left to who asks for an address (KEP-3070). */
  #freeIp(inUse: Set<string>): string {
    const { size, at } = this.#range;
    const reserved = Math.min(Math.max(16, Math.floor(size / 16)), 256, size - 2);
    const parts: [number, number][] = [
      [reserved, size - 1],
      [1, reserved],
    ];
    for (const [from, to] of parts) {
      const start = Math.floor(this.#random() * (to - from));
      for (let i = 0; i < to - from; i++) {
        const ip = at(from + ((start + i) % (to - from)));
        if (!inUse.has(ip)) return ip;
      }
    }
    throw internalError(new Error('failed to allocate a serviceIP: range is full'));
  }

  #takePorts(
    service: Service,
    ports: { port: Ports[number]; i: number }[],
    inUse: InUse,
    taken: InUse,
  ): void {
    const byPort = new Map<number, number>();
    for (const port of service.spec!.ports ?? []) if (port.nodePort) byPort.set(port.port, port.nodePort);
    for (const { port, i } of ports) {
      const at = `${index('spec.ports', i)}.nodePort`;
      if (port.nodePort) {
        // One number may serve TCP and UDP of the same Service.
        if (!taken.ports.has(port.nodePort)) this.#checkPort(service, at, port.nodePort, inUse.ports);
      } else {
        port.nodePort = byPort.get(port.port) ?? this.#freePort(inUse.ports, taken.ports);
        byPort.set(port.port, port.nodePort);
      }
      this.#pending.ports.add(port.nodePort);
      taken.ports.add(port.nodePort);
    }
  }

  #takeHealthPort(service: Service, inUse: InUse, taken: InUse): void {
    const spec = service.spec!;
    if (spec.healthCheckNodePort)
      this.#checkPort(service, 'spec.healthCheckNodePort', spec.healthCheckNodePort, inUse.ports);
    else spec.healthCheckNodePort = this.#freePort(inUse.ports, taken.ports);
    this.#pending.ports.add(spec.healthCheckNodePort);
    taken.ports.add(spec.healthCheckNodePort);
  }

  #checkPort(service: Service, at: string, port: number, inUse: Set<number>): void {
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
    if (inUse.has(port)) throw refuse(service, invalidField(at, port, 'provided port is already allocated'));
  }

  #freePort(inUse: Set<number>, taken: Set<number>): number {
    const { from, to } = this.#nodePorts;
    const size = to - from + 1;
    const start = Math.floor(this.#random() * size);
    for (let i = 0; i < size; i++) {
      const port = from + ((start + i) % size);
      if (!inUse.has(port) && !taken.has(port)) return port;
    }
    throw internalError(new Error('failed to allocate a nodePort: range is full'));
  }
}

const refuse = (service: Service, error: FieldError) =>
  invalid('', 'Service', service.metadata!.name ?? '', [error]);

const wantsClusterIp = ({ spec }: Service): boolean =>
  spec?.type !== 'ExternalName' && spec?.clusterIP !== 'None' && spec?.clusterIPs?.[0] !== 'None';

const sameIps = ({ spec }: Service, old: Service | undefined): boolean =>
  Boolean(spec?.clusterIP) && spec?.clusterIP === old?.spec?.clusterIP;

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

interface AddressRange {
  cidr: string;
  /** How many addresses there are, the network's own included. */
  size: number;
  at(offset: number): string;
  contains(ip: string): boolean;
}

/** An IPv4 range such as `10.96.0.0/16`. Throws for anything else. */
function parseRange(cidr: string): AddressRange {
  const [address = '', bits = ''] = cidr.split('/');
  const prefix = Number(bits);
  const base = toNumber(address);
  if (base === undefined || !/^\d+$/.test(bits) || prefix < 8 || prefix > 30)
    throw new Error(`service range ${cidr} is not an IPv4 range of 4 to 16 million addresses`);
  const size = 2 ** (32 - prefix);
  const start = base - (base % size);
  return {
    cidr,
    size,
    at: (offset) => toText(start + offset),
    contains: (ip) => {
      const n = toNumber(ip);
      return n !== undefined && n > start && n < start + size - 1;
    },
  };
}

function toNumber(ip: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(ip)?.slice(1).map(Number);
  if (!parts || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

const toText = (n: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');
