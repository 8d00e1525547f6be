/** What DNS needs to know of the cluster, kept from what the hub tells. */
import type { EndpointSlice, Service } from '#types';

/** An endpoint's own name below its Service. */
export interface NamedEndpoint {
  namespace: string;
  service: string;
  /** Its host name, or its address with dashes. */
  hostname: string;
}

export interface ServiceView {
  /** Whether everything has been told once; until then an unknown name may well exist. */
  readonly synced: boolean;
  /** Seconds since the epoch of the last change. */
  readonly serial: number;
  hasNamespace(namespace: string): boolean;
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): Iterable<EndpointSlice>;
  serviceByIp(ip: string): Service | undefined;
  /** Those that are ready. */
  endpointsByIp(ip: string): NamedEndpoint[];
}

type Listener = (key: string, object: any | undefined, old: any | undefined) => void;

/** Where objects come from: what the agent keeps of the hub's messages. Keys are `namespace/name`. */
export interface ObjectSource {
  get(resource: string, key: string): any | undefined;
  on(resource: string, listener: Listener): void;
  synced(resource: string): Promise<void>;
}

const SERVICE_LABEL = 'kubernetes.io/service-name';
const RESOURCES = ['namespaces', 'services', 'endpointslices'];

export const isHeadless = ({ spec }: Service): boolean => spec?.clusterIP === 'None';

export function endpointHostname(hostname: string | undefined, ip: string): string {
  return hostname || ip.replace(/[.:]/g, '-');
}

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

/** Upstream: an unknown state counts as ready. */
export function isReady(endpoint: Endpoint, service: Service | undefined): boolean {
  return endpoint.conditions?.ready !== false || service?.spec?.publishNotReadyAddresses === true;
}

/** Follows `source` from its first object on: make it before the source is told anything. */
export function followServices(source: ObjectSource, now: () => number = Date.now): ServiceView {
  return new SourceView(source, now);
}

class SourceView implements ServiceView {
  synced = false;
  serial: number;
  private readonly slicesOf = new Map<string, Map<string, EndpointSlice>>();
  /** Address → key of the Service. */
  private readonly services = new Map<string, string>();
  /** Address → slices that hold it. */
  private readonly holders = new Map<string, Set<EndpointSlice>>();

  constructor(
    private readonly source: ObjectSource,
    now: () => number,
  ) {
    const seconds = () => Math.floor(now() / 1000);
    this.serial = seconds();
    const follow = (resource: string, apply: Listener) =>
      source.on(resource, (...change) => {
        apply(...change);
        this.serial = seconds();
      });
    follow('services', (key, object, old) => this.serviceChanged(key, object, old));
    follow('endpointslices', (key, object, old) => this.sliceChanged(key, object, old));
    void Promise.all(RESOURCES.map((resource) => source.synced(resource))).then(() => {
      this.synced = true;
    });
  }

  hasNamespace(namespace: string): boolean {
    return this.source.get('namespaces', namespace) !== undefined;
  }

  service(namespace: string, name: string): Service | undefined {
    return this.source.get('services', `${namespace}/${name}`);
  }

  slices(namespace: string, service: string): Iterable<EndpointSlice> {
    return this.slicesOf.get(`${namespace}/${service}`)?.values() ?? [];
  }

  serviceByIp(ip: string): Service | undefined {
    const key = this.services.get(ip);
    return key === undefined ? undefined : this.source.get('services', key);
  }

  endpointsByIp(ip: string): NamedEndpoint[] {
    const found = new Map<string, NamedEndpoint>();
    for (const slice of this.holders.get(ip) ?? []) {
      const [namespace, service] = [slice.metadata?.namespace ?? '', serviceOf(slice)];
      const owner = this.service(namespace, service);
      if (!owner) continue;
      for (const endpoint of slice.endpoints ?? []) {
        if (!endpoint.addresses.includes(ip) || !isReady(endpoint, owner)) continue;
        const hostname = endpointHostname(endpoint.hostname, ip);
        found.set(`${hostname}.${service}.${namespace}`, { namespace, service, hostname });
      }
    }
    return [...found.values()];
  }

  private serviceChanged(key: string, object: Service | undefined, old: Service | undefined): void {
    for (const ip of addressesOf(old)) if (this.services.get(ip) === key) this.services.delete(ip);
    for (const ip of addressesOf(object)) this.services.set(ip, key);
  }

  private sliceChanged(key: string, slice: EndpointSlice | undefined, old: EndpointSlice | undefined): void {
    if (old) {
      remove(this.slicesOf, `${old.metadata?.namespace}/${serviceOf(old)}`, key);
      for (const ip of heldBy(old)) remove(this.holders, ip, old);
    }
    if (!slice || serviceOf(slice) === '') return;
    const service = `${slice.metadata?.namespace}/${serviceOf(slice)}`;
    const slices = this.slicesOf.get(service) ?? new Map<string, EndpointSlice>();
    this.slicesOf.set(service, slices.set(key, slice));
    for (const ip of heldBy(slice)) this.holders.set(ip, (this.holders.get(ip) ?? new Set()).add(slice));
  }
}

const serviceOf = (slice: EndpointSlice): string => slice.metadata?.labels?.[SERVICE_LABEL] ?? '';

function addressesOf(service: Service | undefined): string[] {
  const { clusterIPs, clusterIP } = service?.spec ?? {};
  return (clusterIPs ?? [clusterIP ?? '']).filter((ip) => ip !== '' && ip !== 'None');
}

const heldBy = (slice: EndpointSlice): string[] => (slice.endpoints ?? []).flatMap((one) => one.addresses);

/** Leaves no empty collection behind. */
function remove<K>(from: Map<string, { delete(key: K): boolean; size: number }>, at: string, key: K): void {
  const inner = from.get(at);
  inner?.delete(key);
  if (inner?.size === 0) from.delete(at);
}
