/** The cluster's DNS on one node: answers from what the hub tells, and forwards the rest. */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import { Backoff } from '../../client/retry.js';
import { Forwarder } from './forwarder.js';
import { RESOLV_CONF, ResolvConfServers } from './resolv-conf.js';
import { createResolver } from './resolver.js';
import { type DnsServer, listenDns } from './server.js';
import type { ServiceView } from './view.js';

export { parseResolvConf, type ResolverConfig, readResolvConf } from './resolv-conf.js';
export { followServices, type ObjectSource, type ServiceView } from './view.js';

export interface ClusterDnsOptions {
  /** The cluster's DNS address; it has to be on a link of this node. */
  address: string;
  /** Such as `cluster.local`. */
  domain: string;
  view: ServiceView;
  /** Whose servers are asked for other names; /etc/resolv.conf when absent. */
  resolvConf?: string;
  clock: Clock;
  logger: Logger;
  /** 53 when absent. */
  port?: number;
}

export class ClusterDns {
  private readonly options: ClusterDnsOptions;
  private readonly backoff = new Backoff({ initial: 500, max: 30_000, jitter: 0.1 });
  private readonly resolve: ReturnType<typeof createResolver>;
  private server: DnsServer | undefined;
  private binding: Promise<void> | undefined;
  private cancel = () => {};
  private closed = false;

  constructor(options: ClusterDnsOptions) {
    const { address, domain, view, clock, logger, resolvConf = RESOLV_CONF } = options;
    this.options = options;
    const now = () => clock.now();
    const servers = new ResolvConfServers(resolvConf, [address], now);
    const forwarder = new Forwarder({ servers: () => servers.get(), now, logger });
    this.resolve = createResolver({
      zone: { domain, address },
      view,
      forward: (question, asked) => forwarder.resolve(question, asked),
    });
  }

  /** Resolves after the first attempt to bind; if that fails it is told in the log and tried again. */
  start(): Promise<void> {
    this.binding = this.bind();
    return this.binding;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancel();
    await this.binding;
    await this.server?.close();
  }

  private async bind(): Promise<void> {
    const { address, port = 53, clock, logger } = this.options;
    try {
      this.server = await listenDns({ address, port, resolve: this.resolve });
      logger.info({ address }, 'the cluster DNS answers');
    } catch (error) {
      logger.error({ err: error, address }, 'the address of the cluster DNS could not be bound');
      if (this.closed) return;
      this.cancel = clock.after(this.backoff.next(), () => {
        this.binding = this.bind();
      });
    }
  }
}
