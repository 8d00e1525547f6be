/** The agent's connection to the hub: dialled again and again, with back-off, for as long as the agent lives. */
import { Client as GrpcClient, status } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import { Backoff, sleep } from '../../client/retry.js';
import {
  type AgentMessage,
  type HubMessage,
  hubService,
  KEEPALIVE,
  MAX_UP,
  type Open,
  type StreamCall,
  type SyncCall,
  type Welcome,
} from '../../rpc/hub.js';
import {
  type Credentials,
  channel,
  type JoinSource,
  joinCluster,
  loadCredentials,
  renew,
  renewalTime,
} from './credentials.js';
import { NodeObjects } from './objects.js';
import { HubTransport } from './transport.js';

/** A dial that has no answer by then is given up: the kernel alone asks again ever more rarely. */
const WELCOME_MS = 10_000;

export interface ConnectionOptions extends JoinSource {
  version: string;
  clock: Clock;
  logger: Logger;
  /** After each welcome. */
  connected(welcome: Welcome): void;
  /** After a connection that had its welcome. */
  disconnected(): void;
  /** The hub does not let this node in: its certificate is good no more, and no token is used in its place. */
  refused(error: Error): void;
  /** An order to open a stream: `dial` makes the call that answers it. */
  ordered(order: Open, dial: () => StreamCall): void;
}

export class HubConnection {
  readonly objects = new NodeObjects();
  readonly transport: HubTransport;
  readonly #options: ConnectionOptions;
  readonly #abort = new AbortController();
  #credentials: Credentials | undefined;
  #client: GrpcClient | undefined;
  #call: SyncCall | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.transport = new HubTransport((request) => this.#send({ request }));
  }

  get isConnected(): boolean {
    return this.#call !== undefined;
  }

  /** Begins to dial. Rejects only if there is no certificate and none can be had. */
  async start(): Promise<void> {
    this.#credentials = await loadCredentials(this.#options, this.#options.clock.now());
    this.#credentials ??= await this.#join();
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#call?.cancel();
    this.#client?.close();
    await this.transport.close();
    await this.#running;
  }

  /** The hub may not be up yet; a refusal is final. */
  async #join(): Promise<Credentials> {
    const { clock, logger } = this.#options;
    const backoff = new Backoff({ initial: 200, max: 5_000, jitter: 0.5 });
    for (;;) {
      try {
        return await joinCluster(this.#options);
      } catch (error) {
        const code = (error as { code?: unknown }).code;
        const mayRecover =
          code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED || code === 'ECONNREFUSED';
        if (!mayRecover || this.#abort.signal.aborted) throw error;
        logger.info({ err: error }, 'the hub does not answer yet');
        await sleep(clock, backoff.next(), this.#abort.signal);
      }
    }
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#abort;
    const backoff = new Backoff({ initial: 100, max: 10_000, jitter: 1 });
    let isNews = true;
    while (!signal.aborted) {
      const stopRenewal = this.#renewInTime();
      try {
        await this.#sync(() => {
          backoff.reset();
          isNews = true;
        });
      } catch (error) {
        // One line when it is lost or not there at first; that it is still away is no news.
        const level = isNews ? 'warn' : 'debug';
        isNews = false;
        if (!signal.aborted) logger[level]({ why: (error as Error).message }, 'no connection to the hub');
        const { code } = error as { code?: unknown };
        if (code === status.UNAUTHENTICATED) await this.#joinAgain();
        if (code === status.PERMISSION_DENIED) this.#options.refused(error as Error);
      }
      stopRenewal();
      if (this.#call) this.#options.disconnected();
      this.#call = undefined;
      this.#client?.close();
      this.transport.lost();
      if (!signal.aborted) await sleep(clock, backoff.next(), signal);
    }
  }

  /** One Sync call, to its end. */
  #sync(welcomed: () => void): Promise<void> {
    const { hub, node, version, clock } = this.#options;
    const { credentials, options } = channel(hub, this.#credentials!);
    const client = new GrpcClient(hub, credentials, {
      ...options,
      ...KEEPALIVE,
      'grpc.max_send_message_length': MAX_UP,
      // Each dial is one of its own: none waits for that of a client before.
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#client = client;
    const { path, requestSerialize, responseDeserialize } = hubService.sync;
    const call: SyncCall = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const cancelLimit = clock.after(WELCOME_MS, () => call.cancel());
    const answer = new Promise<void>((resolve, reject) => {
      call.on('error', reject);
      call.on('end', resolve);
      call.on('data', (message: HubMessage) => {
        if (message.welcome) {
          cancelLimit();
          this.#call = call;
          welcomed();
          this.#options.connected(message.welcome);
        } else this.#received(client, message);
      });
      call.write({ hello: { node, version, known: this.objects.known() } });
    });
    return answer.finally(cancelLimit);
  }

  #received(client: GrpcClient, message: HubMessage): void {
    if (message.change) this.objects.apply(message.change);
    else if (message.reply) this.transport.replied(message.reply);
    else if (message.synced) this.objects.markSynced(message.synced.resource ?? '');
    else if (message.open) {
      const { path, requestSerialize, responseDeserialize } = hubService.stream;
      this.#options.ordered(message.open, () =>
        client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize),
      );
    }
  }

  #send(message: AgentMessage): boolean {
    if (!this.#call || this.#call.destroyed) return false;
    this.#call.write(message);
    return true;
  }

  /** Gets a new certificate when it is time, and dials again with it. */
  #renewInTime(): () => void {
    const { clock, logger } = this.#options;
    let cancel = () => {};
    const wait = () => {
      const ms = Math.max(renewalTime(this.#credentials!) - clock.now(), 1000);
      cancel = clock.after(ms, async () => {
        try {
          this.#credentials = await renew(this.#options, this.#credentials!);
          logger.info('the certificate was renewed');
          this.#call?.cancel();
        } catch (error) {
          logger.warn({ err: error }, 'the certificate could not be renewed');
          cancel = clock.after(60_000, wait);
        }
      });
    };
    wait();
    return () => cancel();
  }

  /** The certificate has expired or the CA has changed: only a token helps. */
  async #joinAgain(): Promise<void> {
    if (!this.#options.token) return;
    try {
      this.#credentials = await joinCluster(this.#options);
    } catch (error) {
      this.#options.logger.error({ err: error }, 'the node is refused and could not join again');
    }
  }
}
