/** The agent: a node of the cluster. Joins, registers, and runs what the hub says. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Node, Pod, Taint } from '#types';
import type { Clock } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';
import type { KubeObject } from '../api/machinery/types.js';
import { INGRESS_NODE_LABEL } from '../api/resources/networking/ingress-controller.js';
import { LOCAL_PATH_FOLDER } from '../api/storage/annotations.js';
import { Client } from '../client/client.js';
import { EventRecorder } from '../client/event-recorder.js';
import { Backoff, sleep } from '../client/retry.js';
import { ClusterDns, followServices, type ServiceView } from '../network/dns/index.js';
import { NodeIngress } from '../network/ingress/index.js';
import { BalancerAddresses } from '../network/load-balancer/index.js';
import type { NodeRoute, PodNetwork } from '../network/types.js';
import type { Welcome } from '../rpc/hub.js';
import type { LocalImageStore } from '../runtime/images/index.js';
import type { Runtime } from '../runtime/types.js';
import { Csi } from './csi/index.js';
import { HubConnection } from './hub/connection.js';
import { LogRotation } from './logs/rotation.js';
import { EvictionManager } from './node/eviction/manager.js';
import { observe } from './node/eviction/observe.js';
import { reclaimDisk } from './node/eviction/reclaim.js';
import { capacity, KUBELET_VERSION, ownAddress } from './node/facts.js';
import { ImageGc } from './node/image-gc.js';
import { imagesInUse } from './node/images-in-use.js';
import { NodeRegistration } from './node/registration.js';
import type { NodeSettings } from './node/settings.js';
import { podEvents } from './pods/events.js';
import { ImagePuller } from './pods/image-puller.js';
import { PodManager } from './pods/manager.js';
import { checkHandler } from './pods/runtime-handler.js';
import { PODS, StatusSender } from './pods/status-sender.js';
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
  /** The address to be known by; the machine's own when absent. */
  nodeIp?: string;
  labels?: Record<string, string>;
  taints?: Taint[];
  /** Where Ingresses are served; they are not when absent, or when both are 0. */
  ingress?: { httpPort: number; httpsPort: number; metricsPort?: number; accessLog?: boolean };
  /** The kubelet's folder, as storage drivers know it. */
  kubeletRoot: string;
  /** The node's resolver configuration, for pods and for the cluster's DNS; /etc/resolv.conf when absent. */
  resolvConf?: string;
  settings: NodeSettings;
}

const NETWORK_NOT_READY =
  'container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:the node has no podCIDR yet';
const CONFIRM_RETRY_MS = 1000;
/** How long a container is not told to end while Services still lead to it. */
const WITHDRAWAL_MS = 250;
const REGISTER_RETRY_MS = 1000;
const SERVICE_ACCOUNTS = {
  ...{
    group: '',
    version: 'v1',
    apiVersion: 'v1',
    plural: 'serviceaccounts',
    kind: 'ServiceAccount',
    namespaced: true,
  },
};

export class Agent {
  readonly #options: AgentOptions;
  readonly #abort = new AbortController();
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
  readonly #facts: WorkerDeps['facts'];
  readonly #ip: string;
  readonly #services: ServiceView;
  #rotation: LogRotation | undefined;
  #evictions: EvictionManager | undefined;
  #imageGc: ImageGc | undefined;
  readonly #ingress: NodeIngress | undefined;
  readonly #balancer: BalancerAddresses;
  #dns: ClusterDns | undefined;
  #welcome: Welcome | undefined;
  #networkUp = () => {};
  #networkSetup: Promise<void> | undefined;
  #notReady: string | undefined = NETWORK_NOT_READY;
  #isNetworkUp = false;
  /** Whether the API has told of this node. */
  #isKnown = false;
  #routing: Promise<void> = Promise.resolve();
  #registered = () => {};
  #refused = (_error: Error) => {};

  constructor(options: AgentOptions) {
    const { node, clock, logger, runtime, images, network, dataDir } = options;
    this.#options = options;
    this.#ip = options.nodeIp ?? ownAddress();
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
      connected: (welcome) => this.#connected(welcome),
      disconnected: () => this.#registration.disconnected(),
      ordered: (order, dial) => serveStream(order, dial, { runtime, pods: this.#pods, logger, node: facts }),
    });
    const { objects } = this.#connection;
    this.#services = followServices(objects);
    this.#client = new Client(this.#connection.transport);
    this.#recorder = new EventRecorder(this.#client, { component: 'kubelet', host: node, clock, logger });
    this.#ingress = this.#serveIngresses();
    this.#balancer = new BalancerAddresses({
      ...{ node, address: this.#ip, stateDir: options.stateDir, source: objects },
      logger: logger.child({ component: 'load-balancer' }),
    });
    this.#facts = {
      name: node,
      ip: this.#ip,
      allocatable: {},
      domain: 'cluster.local',
      server: '',
      memoryCapacity: 1,
      whole: {},
      resolvConf: options.resolvConf,
    };
    const isConnected = () => this.#connection.isConnected;
    this.#statuses = new StatusSender(this.#client, isConnected, clock, logger);
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
    this.#registration = new NodeRegistration({
      client: this.#client,
      clock,
      logger,
      input: (previous, now) => ({
        name: node,
        ip: this.#ip,
        labels: { ...options.labels, [INGRESS_NODE_LABEL]: `${this.#ingress !== undefined}` },
        annotations: { [LOCAL_PATH_FOLDER]: localPathDir },
        volumesInUse: this.#csi.volumes.inUse,
        taints: options.taints ?? [],
        capacity: capacity(dataDir, options.settings),
        images: images.list(),
        pressures: this.#evictions?.conditions ?? new Set(),
        notReady: this.#notReady,
        previous,
        now,
      }),
    });
    const event = podEvents(this.#recorder);
    const secret = (namespace: string, name: string) => objects.get<any>('secrets', `${namespace}/${name}`);
    this.#pods = new PodManager({
      ...{ runtime, images, network, objects, clock, logger: logger.child({ component: 'pods' }), event },
      puller: new ImagePuller({ images, clock, event, secret, pulled: () => this.#registration.changed() }),
      localVolumes: this.#localVolumes,
      csi: this.#csi.volumes,
      podsDir: join(dataDir, 'pods'),
      facts: this.#facts,
      networkReady: new Promise((resolve) => {
        this.#networkUp = resolve;
      }),
      users: new UserRanges(runtime),
      settings: options.settings,
      pressures: () => this.#evictions?.conditions ?? [],
      token: (pod, audience, seconds) => this.#token(pod, audience, seconds),
      checkHandler: (pod) => checkHandler(this.#client, pod),
      staticOf: (uid) => this.#mirrors.staticOf(uid),
      setStatus: (pod, status) =>
        isStatic(pod) ? this.#mirrors.setStatus(pod, status) : this.#statuses.set(pod, status),
      statusSent: (uid) =>
        this.#statics.has(uid) ? this.#mirrors.statusSent(uid) : this.#statuses.sent(uid),
      confirmDeleted: (pod) => this.#confirmDeleted(pod),
      withdrawn: (pod) => this.#withdrawn(pod),
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
    const { services } = network;
    objects.on('services', (key, object) => services.serviceChanged(key, object));
    objects.on('endpointslices', (key, object) => services.sliceChanged(key, object));
    const { policies } = network;
    objects.on('networkpolicies', (key, object) => policies.policyChanged(key, object));
    objects.on('policypeers', (key, object) => policies.peersChanged(key, object));
    objects.on('noderoutes', () => this.#routesChanged());
    objects.on('nodes', (key, object: Node | undefined) => key === node && this.#nodeChanged(object));
  }

  /** Of this node; undefined when there is none of that UID. */
  podOf(uid: string): Pod | undefined {
    return this.#pods.get(uid)?.pod;
  }

  /** Why pods can't be connected yet. */
  get networkNotReady(): string | undefined {
    return this.#notReady;
  }

  /** Resolves once the node is registered; rejects if it is refused. */
  async start(): Promise<void> {
    const { dataDir, runtime, clock, logger } = this.#options;
    await mkdir(join(dataDir, 'pods'), { recursive: true, mode: 0o750 });
    const machine = capacity(dataDir, this.#options.settings);
    Object.assign(this.#facts, {
      allocatable: machine.allocatable,
      memoryCapacity: machine.memory,
      whole: machine.whole,
    });
    await this.#csi.volumes.recover();
    await runtime.recover();
    await this.#pods.recover();
    await this.#startStaticPods();
    this.#rotation = new LogRotation({
      ...this.#options.settings.logs,
      runtime,
      clock,
      logger: logger.child({ component: 'logs' }),
    });
    this.#evictions = this.#watchResources();
    this.#imageGc = this.#collectImages();
    const registered = new Promise<void>((resolve, reject) => {
      this.#registered = resolve;
      this.#refused = reject;
    });
    await this.#connection.start();
    await registered;
  }

  /** `stopPods` ends what runs; else it runs on for the next agent. */
  async close({ stopPods }: { stopPods: boolean }): Promise<void> {
    this.#abort.abort();
    this.#statics.close();
    this.#mirrors.close();
    this.#registration.close();
    this.#rotation?.close();
    this.#evictions?.close();
    this.#imageGc?.close();
    await this.#options.network.policies.close();
    await this.#pods.close({ stopPods });
    await this.#localVolumes.close();
    await this.#csi.close();
    await this.#options.network.services.close();
    await this.#dns?.close();
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

  #watchResources(): EvictionManager {
    const { dataDir, stateDir, runtime, images, clock, logger, settings } = this.#options;
    return new EvictionManager({
      ...{ settings: settings.eviction, runtime, clock, logger: logger.child({ component: 'evictions' }) },
      pods: () => this.#pods.list(),
      observe: () => observe(dataDir),
      reclaimDisk: async () => {
        const dropBuildSteps = () => images.dropSteps(() => true);
        await reclaimDisk({ runtime, images, inUse: () => imagesInUse(stateDir, dataDir), dropBuildSteps });
        this.#registration.changed();
      },
      changed: () => this.#registration.changed(),
      event: (reason, message) => this.#warn(reason, message),
      evicted: (pod, { message, annotations }) =>
        this.#recorder.event(pod, 'Warning', 'Evicted', message, { annotations }),
    });
  }

  #collectImages(): ImageGc {
    const { dataDir, stateDir, images, clock, logger, settings } = this.#options;
    return new ImageGc({
      ...{ settings: settings.imageGc, images, clock, logger: logger.child({ component: 'images' }) },
      inUse: () => imagesInUse(stateDir, dataDir),
      disk: () => observe(dataDir)['imagefs.available']!,
      dropBuildSteps: () => images.dropSteps((usedAt) => clock.now() - usedAt > settings.imageGc.minAgeMs),
      changed: () => this.#registration.changed(),
      event: (reason, message) => this.#warn(reason, message),
    });
  }

  /** About the node. */
  #warn(reason: string, message: string): void {
    const regarding = this.#connection.objects.get<Node & KubeObject>('nodes', this.#options.node);
    if (regarding) this.#recorder.event(regarding, 'Warning', reason, message);
  }

  #connected(welcome: Welcome): void {
    this.#welcome = welcome;
    Object.assign(this.#facts, {
      domain: welcome.clusterDomain || 'cluster.local',
      server: welcome.clusterDns ?? '',
    });
    this.#statuses.connected();
    this.#register();
  }

  /** A refusal is final; anything else is tried again for as long as the hub is there. */
  async #register(): Promise<void> {
    const { clock, logger } = this.#options;
    try {
      await this.#registration.connected();
      this.#csi.registered();
      this.#mirrors.connected();
      this.#registered();
    } catch (error) {
      logger.error({ err: error }, 'the node could not be registered');
      if (isReason(error, 'Forbidden') || isReason(error, 'Invalid')) this.#refused(error);
      else clock.after(REGISTER_RETRY_MS, () => this.#connection.isConnected && this.#register());
    }
  }

  /** The Node tells which addresses its pods get. */
  #nodeChanged(node: Node | undefined): void {
    this.#registration.observed(node);
    // It owns them.
    if (node && !this.#isKnown) this.#mirrors.connected();
    this.#isKnown = node !== undefined;
    if (node) {
      const zone = node.metadata.labels?.['topology.kubernetes.io/zone'];
      this.#options.network.services.setNode({ name: node.metadata.name, zone });
    }
    const podCidr = node?.spec?.podCIDR;
    if (podCidr) this.#networkSetup ??= this.#setUpNetwork(podCidr);
  }

  async #setUpNetwork(podCidr: string): Promise<void> {
    const { network, logger, clock } = this.#options;
    const backoff = new Backoff({ initial: 500, max: 30_000, jitter: 0.1 });
    const { cluster = '', clusterCidr = '', clusterDns } = this.#welcome ?? {};
    const nodeAddresses = clusterDns ? [clusterDns] : [];
    while (!this.#abort.signal.aborted) {
      try {
        await network.setup({ cluster, podCidr, clusterCidr, nodeAddresses });
        if (clusterDns) await this.#startDns(clusterDns);
        this.#notReady = undefined;
        this.#networkUp();
        this.#registration.changed();
        this.#isNetworkUp = true;
        this.#routesChanged();
        void this.#startServices();
        void this.#startPolicies();
        return;
      } catch (error) {
        logger.error({ err: error }, 'the network could not be set up');
        this.#notReady = `container runtime network not ready: ${(error as Error).message}`;
        this.#registration.changed();
        await sleep(clock, backoff.next(), this.#abort.signal);
      }
    }
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

  async #startDns(address: string): Promise<void> {
    const { clock, logger, resolvConf } = this.#options;
    this.#dns ??= new ClusterDns({
      ...{ address, domain: this.#facts.domain, view: this.#services, resolvConf, clock },
      logger: logger.child({ component: 'dns' }),
    });
    await this.#dns.start();
  }

  /** Not before all are known: the first transaction replaces what an earlier agent left. */
  async #startServices(): Promise<void> {
    const { objects } = this.#connection;
    await Promise.all([objects.synced('services'), objects.synced('endpointslices')]);
    if (!this.#abort.signal.aborted) this.#options.network.services.start();
  }

  async #startPolicies(): Promise<void> {
    const { objects } = this.#connection;
    await Promise.all([objects.synced('networkpolicies'), objects.synced('policypeers')]);
    if (!this.#abort.signal.aborted) this.#options.network.policies.start();
  }

  /** One change of routes at a time; each sets all that are known then. */
  #routesChanged(): void {
    if (!this.#isNetworkUp) return;
    const { network, logger } = this.#options;
    this.#routing = this.#routing
      .then(() => network.setRoutes(this.#connection.objects.list<KubeObject & NodeRoute>('noderoutes')))
      .catch((error) => logger.error({ err: error }, 'routes to other nodes could not be set'));
  }

  async #token(pod: Pod, audience: string, seconds: number): Promise<{ token: string; expires: number }> {
    const { namespace = '', name, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName || 'default';
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        ...(audience ? { audiences: [audience] } : {}),
        expirationSeconds: seconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const accounts = this.#client.of<KubeObject>(SERVICE_ACCOUNTS);
    const { status } = await accounts.createSubresource(namespace, account, 'token', request);
    return { token: status.token, expires: Date.parse(status.expirationTimestamp) };
  }

  /** The control plane learns of the pod's end when this node does, and tells its endpoints within milliseconds. */
  async #withdrawn(pod: Pod): Promise<void> {
    const { clock, network } = this.#options;
    if (!this.#connection.isConnected) return;
    const waiting = new AbortController();
    await Promise.race([
      network.services.withdrawn(pod.metadata.uid ?? ''),
      sleep(clock, WITHDRAWAL_MS, waiting.signal),
    ]);
    waiting.abort();
  }

  /** Tries until it is done: a pod must not stay in the API when nothing is left of it. */
  async #confirmDeleted({ metadata }: Pod): Promise<void> {
    const { clock, logger } = this.#options;
    const { namespace = '', name, uid } = metadata;
    while (!this.#abort.signal.aborted) {
      try {
        const preconditions = { uid };
        await this.#client.of(PODS).delete(namespace, name, { gracePeriodSeconds: 0, preconditions });
        return;
      } catch (error) {
        if (isReason(error, 'NotFound') || isReason(error, 'Conflict')) return;
        if (this.#connection.isConnected)
          logger.warn({ err: error, pod: name }, 'a pod could not be deleted');
        await sleep(clock, CONFIRM_RETRY_MS, this.#abort.signal);
      }
    }
  }
}
