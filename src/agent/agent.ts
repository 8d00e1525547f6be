/** The agent: a node of the cluster. Joins, registers, and runs what the hub says. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Node, Pod, Taint } from '#types';
import type { Clock } from '../api/machinery/clock.js';
import { quantityValue } from '../api/machinery/quantity.js';
import { isReason } from '../api/machinery/status.js';
import { INGRESS_NODE_LABEL } from '../api/resources/networking/ingress-controller.js';
import { LOCAL_PATH_FOLDER } from '../api/storage/annotations.js';
import { Client } from '../client/client.js';
import { EventRecorder } from '../client/event-recorder.js';
import { followServices, type ServiceView } from '../network/dns/index.js';
import { NodeIngress } from '../network/ingress/index.js';
import { BalancerAddresses } from '../network/load-balancer/index.js';
import type { PodNetwork } from '../network/types.js';
import type { LocalImageStore } from '../runtime/images/index.js';
import type { Runtime } from '../runtime/types.js';
import { Csi } from './csi/index.js';
import { NodeDevices } from './devices/index.js';
import { HubConnection } from './hub/connection.js';
import { ImagePuller } from './images/image-puller.js';
import { pulling } from './images/index.js';
import { CpuManager } from './node/cpu/manager.js';
import { readTopology } from './node/cpu/topology.js';
import { addressesOf, capacity, KUBELET_VERSION, ownAddresses, withDevices } from './node/facts.js';
import { Housekeeping } from './node/housekeeping.js';
import { NodeNetworking } from './node/networking.js';
import { NodeRegistration } from './node/registration.js';
import type { NodeSettings } from './node/settings.js';
import { SHUTTING_DOWN, ShutdownManager } from './node/shutdown/manager.js';
import { PluginWatcher } from './plugins/watcher.js';
import { podEvents } from './pods/events.js';
import { PodManager } from './pods/manager.js';
import { PodApi } from './pods/pod-api.js';
import { checkHandler } from './pods/runtime-handler.js';
import { StatusSender } from './pods/status-sender.js';
import { UserRanges } from './pods/user-namespaces.js';
import type { WorkerDeps } from './pods/worker-deps.js';
import { isStatic } from './static/manifests.js';
import { MirrorPods } from './static/mirrors.js';
import { StaticPods } from './static/static-pods.js';
import { serveStream } from './streams/serve.js';
import { LocalPathVolumes } from './volumes/local-path.js';

export interface AgentOptions {
  node: string;
  /** `host:port`. */
  hub: string;
  credentialsDir: string;
  /** Only until there is a certificate. */
  token?: string;
  /** `sha256:<hex>` of the CA's public key. */
  caHash?: string;
  /** Pods' own folders live below. */
  dataDir: string;
  /** What is lost when the machine restarts, as its links are. */
  stateDir: string;
  runtime: Runtime;
  images: LocalImageStore;
  network: PodNetwork;
  clock: Clock;
  logger: Logger;
  /** The addresses to be known by, with a comma between those of two IP families; the machine's own when absent. */
  nodeIp?: string;
  labels?: Record<string, string>;
  taints?: Taint[];
  /** Where Ingresses are served; they are not when absent, or when both are 0. */
  ingress?: { httpPort: number; httpsPort: number; metricsPort?: number; accessLog?: boolean };
  /** The kubelet's folder, as storage drivers know it. */
  kubeletRoot: string;
  /** Notes on which images were pulled with what. */
  pulledDir: string;
  /** The node's resolver configuration, for pods and for the cluster's DNS; /etc/resolv.conf when absent. */
  resolvConf?: string;
  settings: NodeSettings;
}

const REGISTER_RETRY_MS = 1000;
export class Agent {
  readonly #options: AgentOptions;
  readonly #connection: HubConnection;
  readonly #client: Client;
  readonly #recorder: EventRecorder;
  readonly #registration: NodeRegistration;
  readonly #statuses: StatusSender;
  readonly #pods: PodManager;
  readonly #mirrors: MirrorPods;
  readonly #statics: StaticPods;
  readonly #localVolumes: LocalPathVolumes;
  readonly #csi: Csi;
  readonly #devices: NodeDevices;
  readonly #plugins: PluginWatcher;
  #pluginsStarted: Promise<void> | undefined;
  readonly #facts: WorkerDeps['facts'];
  /** Those of the cluster's IP families, in their order, once they are known. */
  #ips: string[];
  readonly #services: ServiceView;
  readonly #networking: NodeNetworking;
  readonly #podApi: PodApi;
  #housekeeping: Housekeeping | undefined;
  #shutdown: ShutdownManager | undefined;
  readonly #ingress: NodeIngress | undefined;
  readonly #balancer: BalancerAddresses;
  /** Whether the API has told of this node. */
  #isKnown = false;
  #registered = () => {};
  #refused = (_error: Error) => {};

  constructor(options: AgentOptions) {
    const { node, clock, logger, runtime, images, network, dataDir } = options;
    this.#options = options;
    this.#ips = options.nodeIp?.split(',') ?? ownAddresses();
    const facts = { name: node, dataDir, settings: options.settings, images };
    this.#connection = new HubConnection({
      node,
      hub: options.hub,
      dir: options.credentialsDir,
      token: options.token,
      caHash: options.caHash,
      version: KUBELET_VERSION,
      clock,
      logger: logger.child({ component: 'hub' }),
      connected: (welcome) => {
        this.#networking.connected(welcome);
        this.#ips = addressesOf(this.#ips, welcome.clusterCidr ?? '');
        Object.assign(this.#facts, {
          domain: welcome.clusterDomain || 'cluster.local',
          server: welcome.clusterDns ?? '',
          ips: this.#ips,
        });
        this.#statuses.connected();
        this.#register();
      },
      disconnected: () => this.#registration.disconnected(),
      refused: (error) => {
        this.#refused(error);
        logger.error({ why: error.message }, 'the control plane refuses this node');
      },
      ordered: (order, dial) => serveStream(order, dial, { runtime, pods: this.#pods, logger, node: facts }),
    });
    const { objects } = this.#connection;
    this.#services = followServices(objects);
    this.#client = new Client(this.#connection.transport);
    this.#recorder = new EventRecorder(this.#client, { component: 'kubelet', host: node, clock, logger });
    this.#ingress = this.#serveIngresses();
    this.#balancer = new BalancerAddresses({
      ...{ node, addresses: this.#ips, stateDir: options.stateDir, source: objects },
      logger: logger.child({ component: 'load-balancer' }),
    });
    this.#facts = {
      name: node,
      ips: this.#ips,
      allocatable: {},
      domain: 'cluster.local',
      server: '',
      memoryCapacity: 1,
      whole: {},
      resolvConf: options.resolvConf,
    };
    this.#networking = new NodeNetworking({
      ...{ network, objects, clock, logger, services: this.#services, resolvConf: options.resolvConf },
      changed: () => this.#registration.changed(),
    });
    const isConnected = () => this.#connection.isConnected;
    this.#statuses = new StatusSender(this.#client, isConnected, clock, logger);
    this.#podApi = new PodApi({ client: this.#client, isConnected, clock, logger });
    const localPathDir = join(dataDir, 'local-path');
    this.#localVolumes = new LocalPathVolumes({
      ...{ node, objects, dir: localPathDir },
      logger: logger.child({ component: 'volumes' }),
    });
    this.#csi = new Csi({
      ...{ node, objects, clock, client: this.#client, root: options.kubeletRoot },
      logger: logger.child({ component: 'csi' }),
      inUseChanged: () => this.#registration.changed(),
      driversChanged: () => this.#pods.storageChanged(),
    });
    this.#devices = new NodeDevices({
      ...{ node, root: options.kubeletRoot, clock, client: this.#client },
      logger: logger.child({ component: 'devices' }),
      pods: () =>
        this.#pods
          .list()
          .filter((worker) => worker.isActive)
          .map(({ pod }) => pod),
      changed: () => {
        this.#registration.changed();
        this.#pods.devicesChanged();
      },
    });
    this.#plugins = new PluginWatcher({
      ...{ dir: join(options.kubeletRoot, 'plugins_registry'), clock },
      handlers: { CSIPlugin: this.#csi.drivers, ...this.#devices.handlers },
      logger: logger.child({ component: 'plugins' }),
    });
    this.#registration = new NodeRegistration({
      client: this.#client,
      clock,
      logger,
      input: (previous, now) => ({
        name: node,
        ips: this.#ips,
        labels: { ...options.labels, [INGRESS_NODE_LABEL]: `${this.#ingress !== undefined}` },
        annotations: { [LOCAL_PATH_FOLDER]: localPathDir },
        volumesInUse: this.#csi.volumes.inUse,
        taints: options.taints ?? [],
        capacity: withDevices(capacity(dataDir, options.settings), this.#devices.amounts()),
        images: images.list(),
        pressures: this.#housekeeping?.pressures ?? new Set(),
        notReady: this.#shutdown?.isShuttingDown ? SHUTTING_DOWN : this.#networking.notReady,
        previous,
        now,
      }),
    });
    const event = podEvents(this.#recorder);
    const secret = (namespace: string, name: string) => objects.get<any>('secrets', `${namespace}/${name}`);
    this.#pods = new PodManager({
      ...{ runtime, images, network, objects, clock, logger: logger.child({ component: 'pods' }), event },
      puller: new ImagePuller({
        ...{ images, clock, event, secret, pulled: () => this.#registration.changed() },
        ...pulling(options, this.#podApi),
      }),
      localVolumes: this.#localVolumes,
      csi: this.#csi.volumes,
      devices: this.#devices,
      cpus: new CpuManager({
        ...{ settings: options.settings.cpus, topology: readTopology(), runtime },
        file: join(dataDir, 'cpu_manager_state'),
        logger: logger.child({ component: 'cpus' }),
      }),
      podsDir: join(dataDir, 'pods'),
      facts: this.#facts,
      networkReady: this.#networking.ready,
      users: new UserRanges(runtime),
      settings: options.settings,
      isShuttingDown: () => this.#shutdown?.isShuttingDown ?? false,
      pressures: () => this.#housekeeping?.pressures ?? [],
      token: (pod, audience, seconds) => this.#podApi.token(pod, audience, seconds),
      checkHandler: (pod) => checkHandler(this.#client, pod),
      staticOf: (uid) => this.#mirrors.staticOf(uid),
      setStatus: (pod, status) =>
        isStatic(pod) ? this.#mirrors.setStatus(pod, status) : this.#statuses.set(pod, status),
      statusSent: (uid) =>
        this.#statics.has(uid) ? this.#mirrors.statusSent(uid) : this.#statuses.sent(uid),
      confirmDeleted: (pod) => this.#podApi.confirmDeleted(pod),
      withdrawn: async (pod) => {
        if (isConnected()) await this.#networking.withdrawn(pod.metadata.uid!);
      },
      gone: (uid) => {
        this.#statuses.forget(uid);
        this.#pods.remove(uid);
        this.#statics.gone(uid);
      },
    });
    this.#mirrors = new MirrorPods({
      ...{ node, objects, clock, client: this.#client, isConnected },
      logger: logger.child({ component: 'static-pods' }),
      setStatus: (mirror, status) => this.#statuses.set(mirror, status),
      statusSent: (uid) => this.#statuses.sent(uid),
    });
    this.#statics = new StaticPods({
      ...{ path: options.settings.manifests ?? join(dataDir, 'manifests'), node, clock },
      logger: logger.child({ component: 'static-pods' }),
      add: (pod) => {
        this.#mirrors.set(pod);
        this.#pods.addStatic(pod);
      },
      remove: (pod) => {
        this.#mirrors.remove(pod);
        this.#pods.get(pod.metadata.uid!)?.forget();
      },
    });
    objects.on('nodes', (key, object: Node | undefined) => key === node && this.#nodeChanged(object));
  }

  /** Of this node; undefined when there is none of that UID. */
  podOf(uid: string): Pod | undefined {
    return this.#pods.get(uid)?.pod;
  }

  /** Why pods can't be connected yet. */
  get networkNotReady(): string | undefined {
    return this.#networking.notReady;
  }

  /** Resolves once the node is registered; rejects if it is refused. */
  async start(): Promise<void> {
    const { dataDir, runtime } = this.#options;
    await mkdir(join(dataDir, 'pods'), { recursive: true, mode: 0o750 });
    const machine = capacity(dataDir, this.#options.settings);
    Object.assign(this.#facts, {
      allocatable: machine.allocatable,
      memoryCapacity: machine.memory,
      whole: machine.whole,
    });
    await this.#csi.volumes.recover();
    await this.#devices.recover();
    await runtime.recover();
    await this.#pods.recover();
    await this.#startStaticPods();
    this.#housekeeping = this.#keepHouse();
    this.#shutdown = new ShutdownManager({
      ...{ periods: this.#options.settings.shutdown, clock: this.#options.clock },
      logger: this.#options.logger.child({ component: 'shutdown' }),
      pods: () => this.#pods.list(),
      changed: () => this.#registration.changed(),
      event: (reason, message) => this.#event('Normal', reason, message),
    });
    const registered = new Promise<void>((resolve, reject) => {
      this.#registered = resolve;
      this.#refused = reject;
    });
    await this.#connection.start();
    await registered;
  }

  /** The agent is about to be closed, maybe since the machine shuts down. */
  async ending(): Promise<void> {
    await this.#shutdown?.agentEnds();
  }

  /** `stopPods` ends what runs; else it runs on for the next agent. */
  async close({ stopPods }: { stopPods: boolean }): Promise<void> {
    this.#shutdown?.close();
    this.#podApi.close();
    this.#statics.close();
    this.#mirrors.close();
    this.#registration.close();
    this.#housekeeping?.close();
    await this.#networking.stop();
    await this.#pods.close({ stopPods });
    await this.#localVolumes.close();
    await this.#pluginsStarted;
    await this.#plugins.close();
    this.#csi.close();
    await this.#devices.close();
    await this.#networking.close();
    await this.#ingress?.close();
    await this.#balancer.close();
    await this.#recorder.close();
    await this.#connection.close();
  }

  async #startStaticPods(): Promise<void> {
    const left = this.#pods
      .list()
      .map(({ pod }) => pod)
      .filter(isStatic);
    for (const pod of left) this.#mirrors.set(pod);
    await this.#statics.start(left);
  }

  #keepHouse(): Housekeeping {
    const { dataDir, stateDir, runtime, images, clock, logger, settings } = this.#options;
    return new Housekeeping({
      ...{ dataDir, stateDir, runtime, images, clock, logger, settings },
      pods: () => this.#pods.list(),
      podsMemory: () => quantityValue(this.#facts.whole['memory']),
      changed: () => this.#registration.changed(),
      warn: (reason, message) => this.#event('Warning', reason, message),
      evicted: (pod, { message, annotations }) =>
        this.#recorder.event(pod, 'Warning', 'Evicted', message, { annotations }),
    });
  }

  /** About the node. */
  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    const regarding = this.#connection.objects.get<Node>('nodes', this.#options.node);
    if (regarding) this.#recorder.event(regarding, type, reason, message);
  }

  /** A refusal is final; anything else is tried again for as long as the hub is there. */
  async #register(): Promise<void> {
    const { clock, logger } = this.#options;
    try {
      await this.#registration.connected();
      this.#pluginsStarted ??= this.#startPlugins();
      this.#mirrors.connected();
      this.#registered();
    } catch (error) {
      logger.error({ err: error }, 'the node could not be registered');
      if (isReason(error, 'Forbidden') || isReason(error, 'Invalid')) this.#refused(error);
      else clock.after(REGISTER_RETRY_MS, () => this.#connection.isConnected && this.#register());
    }
  }

  /** The Node is in the API: from now on plugins are taken. */
  async #startPlugins(): Promise<void> {
    await this.#csi.registered();
    const failed = (err: unknown) => this.#options.logger.error({ err }, 'no plugins can register');
    await Promise.all([this.#plugins.start().catch(failed), this.#devices.start().catch(failed)]);
  }

  /** The Node tells which addresses its pods get. */
  #nodeChanged(node: Node | undefined): void {
    this.#registration.observed(node);
    // It owns them.
    if (node && !this.#isKnown) this.#mirrors.connected();
    this.#isKnown = node !== undefined;
    if (node) this.#networking.nodeChanged(node);
  }

  #serveIngresses(): NodeIngress | undefined {
    const { ingress, clock, logger, node } = this.#options;
    if (!ingress?.httpPort && !ingress?.httpsPort) return undefined;
    return new NodeIngress({
      ports: { http: ingress.httpPort, https: ingress.httpsPort },
      metricsPort: ingress.metricsPort,
      accessLog: ingress.accessLog,
      source: this.#connection.objects,
      view: this.#services,
      clock,
      logger: logger.child({ component: 'ingress' }),
      warn: (about, reason, message) => {
        const regarding = about ?? this.#connection.objects.get<Node>('nodes', node);
        if (regarding) this.#recorder.event(regarding, 'Warning', reason, message);
      },
    });
  }
}
