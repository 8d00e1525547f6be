/** The node's part in the cluster's network: set up when the API says which addresses its pods have, then kept as told. */
import type { Logger } from 'pino';
import type { Node } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { Backoff, sleep } from '../../client/retry.js';
import { ClusterDns, type ServiceView } from '../../network/dns/index.js';
import type { NodeRoute, PodNetwork } from '../../network/types.js';
import type { Welcome } from '../../rpc/hub.js';
import type { NodeObjects } from '../hub/objects.js';

const NOT_READY =
  'container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:the node has no podCIDR yet';
/** How long a container is not told to end while Services still lead to it. */
const WITHDRAWAL_MS = 250;

export interface NetworkingDeps {
  network: PodNetwork;
  objects: NodeObjects;
  services: ServiceView;
  clock: Clock;
  logger: Logger;
  /** For the cluster's DNS; /etc/resolv.conf when absent. */
  resolvConf: string | undefined;
  /** `notReady` is another. */
  changed(): void;
}

export class NodeNetworking {
  /** Resolves once pods can be connected. */
  readonly ready: Promise<void>;
  /** Why pods can't be connected yet. */
  notReady: string | undefined = NOT_READY;
  readonly #deps: NetworkingDeps;
  readonly #abort = new AbortController();
  #welcome: Welcome | undefined;
  #dns: ClusterDns | undefined;
  #up = () => {};
  #isUp = false;
  #setup: Promise<void> | undefined;
  #routing: Promise<void> = Promise.resolve();

  constructor(deps: NetworkingDeps) {
    this.#deps = deps;
    this.ready = new Promise((resolve) => {
      this.#up = resolve;
    });
    const { objects, network } = deps;
    const { services, policies } = network;
    objects.on('services', (key, object) => services.serviceChanged(key, object));
    objects.on('endpointslices', (key, object) => services.sliceChanged(key, object));
    objects.on('networkpolicies', (key, object) => policies.policyChanged(key, object));
    objects.on('policypeers', (key, object) => policies.peersChanged(key, object));
    objects.on('noderoutes', () => this.#routesChanged());
  }

  /** What the control plane says of the cluster. */
  connected(welcome: Welcome): void {
    this.#welcome = welcome;
  }

  /** The Node tells which addresses its pods get. */
  nodeChanged({ metadata, spec }: Node): void {
    const zone = metadata.labels?.['topology.kubernetes.io/zone'];
    this.#deps.network.services.setNode({ name: metadata.name, zone });
    const { podCIDR, podCIDRs = podCIDR ? [podCIDR] : [] } = spec ?? {};
    if (podCIDRs.length > 0) this.#setup ??= this.#setUp(podCIDRs);
  }

  /** Resolves once no Service leads to the pod, or after a moment: the control plane tells within milliseconds. */
  async withdrawn(uid: string): Promise<void> {
    const { clock, network } = this.#deps;
    const waiting = new AbortController();
    await Promise.race([network.services.withdrawn(uid), sleep(clock, WITHDRAWAL_MS, waiting.signal)]);
    waiting.abort();
  }

  /** First of all: what follows policies ends. */
  stop(): Promise<void> {
    this.#abort.abort();
    return this.#deps.network.policies.close();
  }

  /** When no pod needs it any more. */
  async close(): Promise<void> {
    await this.#deps.network.services.close();
    await this.#dns?.close();
  }

  async #setUp(podCidrs: string[]): Promise<void> {
    const { network, logger, clock, changed } = this.#deps;
    const backoff = new Backoff({ initial: 500, max: 30_000, jitter: 0.1 });
    const { cluster = '', clusterCidr = '', clusterDns } = this.#welcome ?? {};
    const nodeAddresses = clusterDns ? [clusterDns] : [];
    while (!this.#abort.signal.aborted) {
      try {
        await network.setup({ cluster, podCidrs, clusterCidrs: clusterCidr.split(','), nodeAddresses });
        if (clusterDns) await this.#startDns(clusterDns);
        this.notReady = undefined;
        this.#up();
        changed();
        this.#isUp = true;
        this.#routesChanged();
        void this.#startServices();
        void this.#startPolicies();
        return;
      } catch (error) {
        logger.error({ err: error }, 'the network could not be set up');
        this.notReady = `container runtime network not ready: ${(error as Error).message}`;
        changed();
        await sleep(clock, backoff.next(), this.#abort.signal);
      }
    }
  }

  async #startDns(address: string): Promise<void> {
    const { clock, logger, resolvConf, services } = this.#deps;
    const domain = this.#welcome?.clusterDomain || 'cluster.local';
    this.#dns ??= new ClusterDns({
      ...{ address, domain, view: services, resolvConf, clock },
      logger: logger.child({ component: 'dns' }),
    });
    await this.#dns.start();
  }

  /** Not before all are known: the first transaction replaces what an earlier agent left. */
  async #startServices(): Promise<void> {
    const { objects, network } = this.#deps;
    await Promise.all([objects.synced('services'), objects.synced('endpointslices')]);
    if (!this.#abort.signal.aborted) network.services.start();
  }

  async #startPolicies(): Promise<void> {
    const { objects, network } = this.#deps;
    await Promise.all([objects.synced('networkpolicies'), objects.synced('policypeers')]);
    if (!this.#abort.signal.aborted) network.policies.start();
  }

  /** One change of routes at a time; each sets all that are known then. */
  #routesChanged(): void {
    if (!this.#isUp) return;
    const { network, logger, objects } = this.#deps;
    this.#routing = this.#routing
      .then(() => {
        const others = objects.list<KubeObject & { routes: NodeRoute[] }>('noderoutes');
        return network.setRoutes(others.flatMap(({ routes }) => routes));
      })
      .catch((error) => logger.error({ err: error }, 'routes to other nodes could not be set'));
  }
}
