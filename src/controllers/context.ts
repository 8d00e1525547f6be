/** What every controller gets, and how its work loop is run. */
import type { Logger } from 'pino';
import type { Clock } from '../api/machinery/clock.js';
import { type Client, EventRecorder, type Informers, runWorkers, WorkQueue } from '../client/index.js';
import { queueName } from './queue-names.js';

export interface ControllersOptions {
  /** A client that acts as this user, such as `system:serviceaccount:kube-system:replicaset-controller`. */
  clientFor(user: string): Client;
  /** Shared with the scheduler; the caller starts and closes them. */
  informers: Informers;
  clock: Clock;
  logger: Logger;
  /** The range that node pod ranges are cut from, such as `10.244.0.0/16`; with a comma one of each IP family. */
  clusterCidr: string;
  /** Prefix length of a node's IPv4 pod range; 24 when absent. Of IPv6 it is 64. */
  nodeCidrMaskSize?: number;
  /**
   * The range of addresses for Services of type LoadBalancer, such as `192.0.2.240/28`; the nodes' own addresses
   * when absent.
   */
  loadBalancerPool?: string;
  /** PEM of the cluster's CA, published as `kube-root-ca.crt`. */
  caCert: string;
  /** A token for a Secret of the type kubernetes.io/service-account-token. */
  legacyToken?(token: { namespace: string; secret: string; account: string; uid: string }): Promise<string>;
  /** Certifies the key of a request (PEM) for its own subject; that of a kubelet must be a node. */
  signCsr?(csrPem: string, days: number, ofKubelet: boolean): Promise<string>;
  /** Keelson's own. */
  version?: string;
  /** How long (ms) a node may be silent before it is Unknown; 40 s when absent. */
  nodeMonitorGracePeriod?: number;
  /** How many terminated pods may stay; 12,500 when absent. */
  terminatedPodThreshold?: number;
}

/** One controller's own view: its client, events and log. */
export interface Context extends ControllersOptions {
  name: string;
  client: Client;
  events: EventRecorder;
}

/** A running controller. `close` stops its timers and handlers and waits for work in progress. */
export interface Controller {
  close(): Promise<void>;
}

/** The context of the controller `name`; `component` is the source of its events. */
export function contextOf(options: ControllersOptions, name: string, component = name): Context {
  const client = options.clientFor(`system:serviceaccount:kube-system:${name}`);
  const logger = options.logger.child({ component: name });
  return {
    ...options,
    name,
    client,
    events: new EventRecorder(client, { component, clock: options.clock, logger }),
    logger,
  };
}

/** A queue of keys with workers that start once `synced` resolves. */
export class WorkLoop implements Controller {
  readonly queue: WorkQueue;
  readonly #context: Context;
  readonly #abort = new AbortController();
  readonly #cleanups: (() => void)[] = [];
  /** Set once the workers run: informers that are closed early never sync. */
  #running: Promise<void> | undefined;

  constructor(
    context: Context,
    synced: Promise<unknown>[],
    reconcile: (key: string, signal: AbortSignal) => Promise<void>,
    workers = 5,
  ) {
    this.#context = context;
    this.queue = new WorkQueue({ clock: context.clock, name: queueName(context.name) });
    void Promise.all(synced).then(() => {
      if (this.#abort.signal.aborted) return;
      this.#running = runWorkers(this.queue, workers, reconcile, {
        logger: context.logger,
        signal: this.#abort.signal,
      });
    });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Runs `cleanup` when the loop is closed. */
  onClose(...cleanups: (() => void)[]): void {
    this.#cleanups.push(...cleanups);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    this.queue.close();
    await Promise.all([this.#running, this.#context.events.close()]);
  }
}
