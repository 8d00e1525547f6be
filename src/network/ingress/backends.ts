/** Endpoints behind a route, followed from Services and EndpointSlices, and which of them is next. */
import type { EndpointSlice } from '#types';
import type { ObjectSource, ServiceView } from '../dns/view.js';
import type { Route } from './routes.js';

export interface Endpoint {
  host: string;
  port: number;
  /** `host:port`. */
  key: string;
}

export interface Target {
  endpoints: Endpoint[];
  /** `h2c`: HTTP/2 in plain text. */
  protocol: 'http' | 'https' | 'h2c';
}

/** How long an endpoint that could not be reached is passed over while others are there. */
const FAILED_MS = 2000;
/** By a port's appProtocol (KEP-3726, and the names that are in use without a domain). */
const PROTOCOLS: Record<string, Target['protocol']> = {
  https: 'https',
  'kubernetes.io/wss': 'https',
  wss: 'https',
  'kubernetes.io/h2c': 'h2c',
  h2c: 'h2c',
  grpc: 'h2c',
};
const SERVICE_LABEL = 'kubernetes.io/service-name';

export class Backends {
  readonly #view: Pick<ServiceView, 'service' | 'slices'>;
  readonly #now: () => number;
  /** `namespace/service` → port → target, made when first asked for. */
  readonly #targets = new Map<string, Map<string, Target | undefined>>();
  readonly #inFlight = new Map<string, number>();
  readonly #failed = new Map<string, number>();
  #turn = 0;

  /** `left` is told each endpoint that its Service has no more. */
  constructor(
    view: Pick<ServiceView, 'service' | 'slices'>,
    source: Pick<ObjectSource, 'on'>,
    left: (endpoint: Endpoint) => void,
    now: () => number,
  ) {
    this.#view = view;
    this.#now = now;
    const changed = (service: string) => this.#changed(service, left);
    source.on('services', changed);
    source.on('endpointslices', (_, slice?: EndpointSlice, old?: EndpointSlice) => {
      for (const one of [slice, old])
        if (one) changed(`${one.metadata.namespace}/${one.metadata.labels?.[SERVICE_LABEL]}`);
    });
  }

  /** Undefined if there is no such Service or port; without endpoints if none is fit to serve. */
  target({ namespace, service, port }: Route): Target | undefined {
    if (service === undefined) return undefined;
    const key = `${namespace}/${service}`;
    const ports = this.#targets.get(key) ?? new Map<string, Target | undefined>();
    this.#targets.set(key, ports);
    if (!ports.has(`${port}`)) ports.set(`${port}`, this.#resolve(namespace, service, port));
    return ports.get(`${port}`);
  }

  /** The endpoint with the fewest requests under way, in turn among equals; undefined when all were tried. */
  pick({ endpoints }: Target, tried: ReadonlySet<string>): Endpoint | undefined {
    return this.#least(endpoints, tried, false) ?? this.#least(endpoints, tried, true);
  }

  #least(endpoints: Endpoint[], tried: ReadonlySet<string>, evenFailed: boolean): Endpoint | undefined {
    const start = this.#turn++;
    let best: Endpoint | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < endpoints.length; i++) {
      const one = endpoints[(start + i) % endpoints.length]!;
      if (tried.has(one.key) || (!evenFailed && this.#hasFailed(one.key))) continue;
      const load = this.#inFlight.get(one.key) ?? 0;
      if (load < least) [best, least] = [one, load];
    }
    return best;
  }

  /** A request to the endpoint begins; returns what ends it. */
  begin({ key }: Endpoint): () => void {
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#inFlight.get(key) ?? 1) - 1;
      if (left > 0) this.#inFlight.set(key, left);
      else this.#inFlight.delete(key);
    };
  }

  failed({ key }: Endpoint): void {
    this.#failed.set(key, this.#now() + FAILED_MS);
  }

  #hasFailed(key: string): boolean {
    const until = this.#failed.get(key);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#failed.delete(key);
    return false;
  }

  #changed(service: string, left: (endpoint: Endpoint) => void): void {
    const before = this.#targets.get(service);
    if (!before) return;
    this.#targets.delete(service);
    const [namespace = '', name = ''] = service.split('/');
    for (const [port, old] of before) {
      const target = this.target({ ingress: '', namespace, service: name, port });
      const kept = new Set(target?.endpoints.map(({ key }) => key));
      for (const endpoint of old?.endpoints ?? [])
        if (!kept.has(endpoint.key)) {
          this.#failed.delete(endpoint.key);
          left(endpoint);
        }
    }
  }

  #resolve(namespace: string, name: string, port: number | string): Target | undefined {
    const service = this.#view.service(namespace, name);
    const ports = service?.spec?.ports ?? [];
    const found = ports.find((p) => p.name === port) ?? ports.find((p) => `${p.port}` === `${port}`);
    if (!found || service?.spec?.type === 'ExternalName' || (found.protocol ?? 'TCP') !== 'TCP')
      return undefined;
    const protocol = PROTOCOLS[found.appProtocol?.toLowerCase() ?? ''] ?? 'http';
    return { endpoints: usable([...this.#view.slices(namespace, name)], found.name ?? ''), protocol };
  }

  /** Why a route is not served, whatever is ready behind it. */
  refusal({ namespace, service }: Route): string | undefined {
    if (service === undefined) return 'backends other than Services are not served';
    if (this.#view.service(namespace, service)?.spec?.type !== 'ExternalName') return undefined;
    return `the Service ${service} is of type ExternalName: only endpoints within the cluster are served`;
  }
}

/** Those that are ready; if none is, those that still serve while they terminate (KEP-1669). */
function usable(slices: EndpointSlice[], portName: string): Endpoint[] {
  const ready = new Map<string, Endpoint>();
  const draining = new Map<string, Endpoint>();
  for (const slice of slices) {
    const port = slice.ports?.find((p) => (p.name ?? '') === portName)?.port;
    if (port === undefined || slice.addressType === 'FQDN') continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const host = addresses[0];
      if (!host) continue;
      const endpoint = { host, port, key: `${host}:${port}` };
      if (conditions?.ready !== false) ready.set(endpoint.key, endpoint);
      else if (conditions.serving && conditions.terminating) draining.set(endpoint.key, endpoint);
    }
  }
  return [...(ready.size > 0 ? ready : draining).values()];
}
