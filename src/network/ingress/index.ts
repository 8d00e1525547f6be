/** The Ingress controller of one node: follows what the hub tells, and opens its ports while there is an Ingress. */
import type { Server } from 'node:http';
import type { Logger } from 'pino';
import type { Ingress, Secret } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { Backoff } from '../../client/retry.js';
import type { ObjectSource, ServiceView } from '../dns/view.js';
import { Backends } from './backends.js';
import { Certificates } from './certificates.js';
import { IngressMetrics } from './metrics.js';
import type { IngressProxy } from './proxy.js';
import { byAge, mergeIngresses, type Route, type RoutingTable, routesOf } from './routes.js';

export interface IngressPorts {
  /** 0: not served. */
  http: number;
  https: number;
}

export interface NodeIngressOptions {
  ports: IngressPorts;
  /** Where `/metrics` is served; not at all when 0 or absent. */
  metricsPort?: number;
  /** Told of `ingresses` (those of Keelson's class alone), `secrets`, `services` and `endpointslices`. */
  source: ObjectSource;
  view: Pick<ServiceView, 'service' | 'slices'>;
  /** A line in the log for each request; false when absent. */
  accessLog?: boolean;
  clock: Clock;
  logger: Logger;
  /** A warning for who looks at the Ingress, or at the node when there is none. */
  warn(about: Ingress | undefined, reason: string, message: string): void;
}

const NOTHING: RoutingTable = { hosts: new Map(), fallback: undefined };

/** Make it before `source` is told anything. */
export class NodeIngress {
  readonly #options: NodeIngressOptions;
  readonly #ingresses = new Map<string, Ingress>();
  readonly #metrics = new IngressMetrics();
  readonly #certificates: Certificates;
  readonly #backoff = new Backoff({ initial: 2000, max: 30_000, jitter: 0.1 });
  readonly #listening = new Set<keyof IngressPorts>();
  #routes = NOTHING;
  #proxy: IngressProxy | undefined;
  #settling = Promise.resolve();
  #scheduled = false;
  #cancelRetry = () => {};
  #left: (endpoint: { host: string; port: number; key: string }) => void = () => {};
  readonly #backends: Backends;
  #closed = false;
  #metricsServer: Server | undefined;

  constructor(options: NodeIngressOptions) {
    const { source, view, clock } = options;
    this.#options = options;
    this.#backends = new Backends(
      view,
      source,
      (endpoint) => this.#left(endpoint),
      () => clock.now(),
    );
    this.#certificates = new Certificates({
      secret: (key) => source.get('secrets', key) as Secret | undefined,
      unusable: (ingress, why) => this.#unusable(ingress, why),
    });
    const { metricsPort } = options;
    if (metricsPort)
      this.#settling = this.#serveMetrics(metricsPort).catch((error) => this.#portTaken(metricsPort, error));
    source.on('ingresses', (key, ingress?: Ingress) => {
      if (ingress) this.#ingresses.set(key, ingress);
      else this.#ingresses.delete(key);
      this.#told.delete(key);
      this.#schedule();
    });
    source.on('secrets', (key) => this.#certificates.uses(key) && this.#schedule());
  }

  async #serveMetrics(port: number): Promise<void> {
    const { serveMetrics } = await import('./metrics-server.js');
    this.#metricsServer = await serveMetrics(port, () => this.#metrics.text());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry();
    await this.#settling;
    this.#metricsServer?.close();
    this.#metricsServer?.closeAllConnections();
    await this.#proxy?.close();
  }

  /** Changes that arrive together are taken together. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#apply();
    });
  }

  #apply(): void {
    const ingresses = [...this.#ingresses.values()].sort(byAge);
    this.#routes = mergeIngresses(ingresses);
    this.#metrics.keep(new Set(this.#ingresses.keys()));
    this.#certificates.update(ingresses);
    for (const route of routesOf(this.#routes))
      if (route.service === undefined) this.#refused(route, this.#backends.refusal(route)!);
    this.#settling = this.#settling
      .then(() => this.#settle())
      .catch((error) => {
        this.#options.logger.error({ err: error }, 'the ingress proxy could not be set');
      });
  }

  /** The ports are open while there is an Ingress, and only then. */
  async #settle(): Promise<void> {
    if (this.#closed) return;
    if (this.#ingresses.size === 0) {
      this.#cancelRetry();
      const proxy = this.#proxy;
      this.#proxy = undefined;
      this.#listening.clear();
      await proxy?.close();
      if (proxy) this.#options.logger.info('no Ingress is left: its ports are closed');
      return;
    }
    this.#proxy ??= await this.#open();
    await this.#proxy.certificatesChanged();
    await this.#listen(this.#proxy);
  }

  async #open(): Promise<IngressProxy> {
    const [{ IngressProxy }, { Upstreams }] = await Promise.all([
      import('./proxy.js'),
      import('./upstream.js'),
    ]);
    const upstreams = new Upstreams();
    this.#left = (endpoint) => upstreams.dropIdle(endpoint);
    return new IngressProxy({
      backends: this.#backends,
      upstreams,
      certificates: this.#certificates,
      metrics: this.#metrics,
      routes: () => this.#routes,
      logger: this.#options.logger,
      accessLog: this.#options.accessLog ?? false,
      refused: (route, why) => this.#refused(route, why),
    });
  }

  async #listen(proxy: IngressProxy): Promise<void> {
    const { ports, logger } = this.#options;
    let failed = false;
    for (const protocol of ['http', 'https'] as const) {
      const port = ports[protocol];
      if (port === 0 || this.#listening.has(protocol)) continue;
      try {
        await (protocol === 'http' ? proxy.listenHttp(port) : proxy.listenHttps(port));
        this.#listening.add(protocol);
        logger.info({ port, protocol }, 'Ingresses are served');
      } catch (error) {
        failed = true;
        this.#portTaken(port, error as NodeJS.ErrnoException);
      }
    }
    if (failed) this.#retry();
    else this.#backoff.reset();
  }

  #retry(): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#options.clock.after(this.#backoff.next(), () => this.#apply());
  }

  readonly #warnedOf = new Set<number>();

  /** Told once for each port: it is tried again for as long as it takes. */
  #portTaken(port: number, error: NodeJS.ErrnoException): void {
    if (this.#warnedOf.has(port)) return;
    this.#warnedOf.add(port);
    const why = error.code === 'EADDRINUSE' ? 'another program listens there' : error.message;
    const what = port === this.#options.metricsPort ? 'Metrics of Ingresses' : 'Ingresses';
    const message = `${what} are not served at port ${port} of this node: ${why}`;
    this.#options.logger.warn({ port }, message);
    this.#options.warn(undefined, 'IngressPortUnavailable', message);
  }

  /** What was told of each Ingress, by `namespace/name`, so that it is told once for each of its versions. */
  readonly #told = new Map<string, Set<string>>();

  #refused(route: Route, why: string): void {
    const ingress = this.#ingresses.get(route.ingress);
    const told = this.#told.get(route.ingress) ?? new Set();
    this.#told.set(route.ingress, told);
    if (!ingress || told.has(why)) return;
    told.add(why);
    this.#options.warn(ingress, 'BackendNotServed', `A backend is not served: ${why}`);
  }

  #unusable(ingress: Ingress, why: string): void {
    const { name, namespace } = ingress.metadata;
    this.#options.logger.warn(
      { ingress: `${namespace}/${name}` },
      `a self-made certificate is served: ${why}`,
    );
    this.#options.warn(ingress, 'CertificateUnusable', `A self-made certificate is served: ${why}`);
  }
}
