/** The API server: one core that answers requests, reached over TLS or within the process. */
import { setMaxListeners } from 'node:events';
import { systemClock } from '../api/machinery/clock.js';
import { ConfigurationError } from '../auth/configuration-error.js';
import type { User } from '../auth/user.js';
import { clientMeasures } from '../client/measures.js';
import type { Transport } from '../client/transport.js';
import type { NodeStreams } from '../hub/node-streams.js';
import { UsageSampler } from '../hub/usage.js';
import type { Store } from '../store/store.js';
import { builtInAdmission } from './admission/index.js';
import { AdmissionMeasures } from './admission/measures.js';
import { ServiceAddresses } from './admission/service-addresses.js';
import { openAuditor } from './audit/index.js';
import {
  ensureDnsService,
  ensureIngressClass,
  ensureIpAddresses,
  ensureKubernetesService,
  ensureNamespaces,
  ensurePriorityClasses,
  ensureServiceCidr,
  ensureStorageClass,
  keysOfService,
  SERVICE_CIDR_KEY,
  type ServerAddress,
} from './bootstrap.js';
import type { Deps } from './context.js';
import { Aggregator } from './extensions/aggregation/aggregator.js';
import { keepCustom, registerBuiltIn } from './extensions/aggregation/local.js';
import { keepTrust } from './extensions/aggregation/trust.js';
import { Extensions } from './extensions/index.js';
import { flowDumps } from './filters/flow-control/dumps.js';
import { FlowControl, startFlowControl } from './filters/flow-control/index.js';
import { openDashboard } from './http/dashboard.js';
import { serveRequest } from './http/handler.js';
import { type Listener, openListener } from './http/listener.js';
import { serveUpgrade } from './http/upgrade.js';
import { inProcessTransport } from './in-process.js';
import { keep } from './keep.js';
import { Metrics } from './metrics.js';
import { servedHere } from './nonresource/discovery.js';
import { START_CHECKS } from './nonresource/health.js';
import { createNonResource, type NonResource } from './nonresource/index.js';
import type { ApiServerOptions, ListenOptions } from './options.js';
import { reconcilePolicy } from './rbac/reconcile.js';
import { MeasuredStore } from './storage-measures.js';
import { WebhookClient } from './webhooks/index.js';

export type { ApiServerOptions, ListenOptions } from './options.js';

/** How long answers under way may take after `close`. */
const CLOSE_GRACE_MS = 2000;

/** The server's own writes. */
const SERVER: User = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] };

/** Throws ConfigurationError for what is no regular expression. */
function corsPatterns(origins: string[] = []): RegExp[] {
  return origins.map((origin) => {
    try {
      return new RegExp(origin);
    } catch {
      throw new ConfigurationError(`--cors-allowed-origins: ${origin} is no regular expression.`);
    }
  });
}

export class ApiServer {
  readonly #deps: Deps;
  readonly #options: ApiServerOptions;
  readonly #nonResource: NonResource;
  readonly #aggregator: Aggregator;
  readonly #metrics = new Metrics();
  readonly #storage: MeasuredStore;
  readonly #flow: FlowControl;
  readonly #closing = new AbortController();
  readonly #listeners: Listener[] = [];
  readonly #keeping: Promise<void>[] = [];
  #ready = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    // Every open watch listens for the server's end.
    setMaxListeners(0, this.#closing.signal);
    const { serviceCidr, nodePorts = { from: 30000, to: 32767 } } = options;
    this.#storage = new MeasuredStore(options.store);
    const store: Store = this.#storage;
    const streams = () => this.#deps.nodeStreams;
    const reach = {
      store,
      get nodeStreams() {
        return streams();
      },
    };
    const webhooks = new WebhookClient(reach);
    const measures = new AdmissionMeasures();
    this.#deps = {
      store,
      webhooks,
      clock: options.clock ?? systemClock,
      logger: options.logger,
      authorizer: options.authorizer,
      admission: builtInAdmission({
        store,
        authorizer: options.authorizer,
        webhooks,
        measures,
        podSecurity: options.podSecurity,
      }),
      addresses: new ServiceAddresses(store, serviceCidr, nodePorts),
      nodeStreams: options.nodeStreams,
      metrics: options.metrics,
      tokens: options.tokens,
      aggregator: undefined,
      auditor: undefined,
      review: options.review ?? (async (token, audiences) => options.tokens?.review(token, audiences)),
      closing: this.#closing.signal,
    } as Deps;
    this.#flow = new FlowControl({ clock: this.#deps.clock });
    this.#aggregator = new Aggregator({
      reach: this.#deps,
      transport: this.transport(SERVER),
      frontProxy: options.frontProxy,
      clock: this.#deps.clock,
      logger: options.logger,
      closing: this.#closing.signal,
    });
    this.#deps.aggregator = this.#aggregator;
    this.#nonResource = createNonResource({
      version: options.version,
      tokens: options.tokens,
      operations: options.operations ?? {},
      checks: [
        { name: 'ping', check: () => undefined },
        { name: 'log', check: () => undefined },
        { name: 'etcd', check: () => void store.revision },
        { name: 'informer-sync', readyOnly: true, check: () => this.#checkReady() },
        ...START_CHECKS.map((name) => ({ name, check: () => this.#checkReady() })),
        { name: 'shutdown', readyOnly: true, check: () => this.#checkOpen() },
      ],
      metrics: async () =>
        this.#metrics.render([
          ...(await this.#storage.render()),
          ...measures.render(),
          ...clientMeasures(),
          ...this.#flow.metrics.render(this.#flow),
          ...(this.#deps.auditor?.metrics() ?? []),
        ]),
      aggregator: this.#aggregator,
      store,
      debug: options.profiling ? flowDumps(this.#flow) : {},
    });
    this.#deps.extensions = new Extensions(this.#deps, this.transport(SERVER), SERVER);
  }

  /** The hub is made after the API server that it is a client of. */
  setNodeStreams(nodeStreams: NodeStreams): void {
    this.#deps.nodeStreams = nodeStreams;
    this.#deps.metrics ??= new UsageSampler({
      stats: (node, signal) => nodeStreams.stats(node, signal),
      clock: this.#deps.clock,
    });
  }

  /** Makes the namespaces and priority classes that every cluster has; done by `listen` as well. */
  async bootstrap(): Promise<void> {
    const { webhooks: client, clock, logger } = this.#deps;
    this.#deps.auditor ??= await openAuditor(this.#options.audit ?? {}, { client, clock, logger });
    await ensureNamespaces(this.transport(SERVER));
    await reconcilePolicy(this.transport(SERVER));
    await ensurePriorityClasses(this.transport(SERVER));
    await ensureIngressClass(this.transport(SERVER));
    await ensureStorageClass(this.transport(SERVER));
    await this.#ensureAddresses();
    await this.#deps.extensions.start();
    await this.#aggregate();
    this.#ready = true;
  }

  /** The range of Services' addresses, and the addresses that are in use. */
  async #ensureAddresses(): Promise<void> {
    await this.#ensureServiceCidr();
    await ensureIpAddresses(this.transport(SERVER), this.#deps.store);
  }

  #ensureServiceCidr(): Promise<void> {
    return ensureServiceCidr(this.transport(SERVER), this.#options.serviceCidr.split(','));
  }

  /** Registers what is served here, and follows what other servers serve. */
  async #aggregate(): Promise<void> {
    if (this.#keeping.length > 0) return;
    const { store, logger, closing } = this.#deps;
    const { clientCa, frontProxy } = this.#options;
    const transport = this.transport(SERVER);
    this.#keeping.push(keep([SERVICE_CIDR_KEY], () => this.#ensureServiceCidr(), this.#deps));
    await registerBuiltIn(transport, servedHere());
    const kept: { done: Promise<unknown> }[] = [
      await keepCustom(store, transport, logger, closing),
      await this.#aggregator.start(),
      await startFlowControl(this.#flow, { ...this.#deps, transport }),
    ];
    if (clientCa)
      kept.push(
        await keepTrust(store, transport, { clientCa, requestHeaderCa: frontProxy?.ca }, logger, closing),
      );
    for (const { done } of kept)
      this.#keeping.push(
        done.then(
          () => undefined,
          (error) => logger.error({ err: error }, 'the API is no longer kept together with other servers'),
        ),
      );
  }

  /** Opens the TLS port. Rejects if it can't be bound. */
  async listen(options: ListenOptions): Promise<{ port: number }> {
    await this.bootstrap();
    const parts = {
      deps: this.#deps,
      authenticate: this.#options.authenticate,
      onRevoked: this.#options.onRevoked ?? (() => () => {}),
      nonResource: this.#nonResource,
      metrics: this.#metrics,
      flow: this.#flow,
      cors: corsPatterns(this.#options.corsAllowedOrigins),
    };
    const { dashboard } = this.#options;
    const serveDashboard = dashboard === undefined ? () => false : openDashboard(dashboard);
    const listener = await openListener(options, {
      request: (request, response) => {
        if (!serveDashboard(request, response)) void serveRequest(parts, request, response);
      },
      upgrade: (request, socket, head) => void serveUpgrade(parts, request, socket, head),
    });
    this.#listeners.push(listener);
    const address: ServerAddress = {
      address: options.advertise?.address ?? options.host,
      port: options.advertise?.port ?? listener.port,
      clusterIp: this.#deps.addresses.first,
    };
    const ensure = () => ensureKubernetesService(this.transport(SERVER), address);
    await ensure();
    this.#keeping.push(keep(keysOfService('default', 'kubernetes'), ensure, this.#deps));
    const { logger, addresses } = this.#deps;
    const { dns } = addresses;
    if (dns) {
      const ensureDns = () => ensureDnsService(this.transport(SERVER), dns);
      await ensureDns().catch((error) =>
        logger.error({ err: error }, 'the Service of the cluster DNS could not be made'),
      );
      this.#keeping.push(keep(keysOfService('kube-system', 'kube-dns'), ensureDns, this.#deps));
    }
    return { port: listener.port };
  }

  /** Requests of `user` without a network: objects are shared frozen, not copied. */
  transport(user: User): Transport {
    return inProcessTransport(this.#deps, (call) => this.#nonResource(call), user);
  }

  /** Ends watches and streams, lets other answers finish, and closes the ports. The store stays open. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close(CLOSE_GRACE_MS)));
    await Promise.all([...this.#keeping.splice(0), this.#deps.extensions.closed()]);
    await this.#deps.auditor?.close();
    await this.#deps.webhooks.close();
  }

  #checkReady(): void {
    if (!this.#ready) throw new Error('not finished');
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new Error('process is shutting down');
  }
}
