/** The hub: where agents dial in. Desired state goes down, observed state and streams come up. */

import type { Duplex, Readable } from 'node:stream';
import { Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { Node, Secret } from '#types';
import type { Clock } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';
import type { KubeObject } from '../api/machinery/types.js';
import { nodes, secrets } from '../api/resources/index.js';
import type { Revocations } from '../auth/revocations.js';
import type { User } from '../auth/user.js';
import type { Client } from '../client/client.js';
import { Informers } from '../client/informers.js';
import {
  type AgentMessage,
  type Certificate,
  type Hello,
  hubService,
  type JoinRequest,
  KEEPALIVE,
  MAX_DOWN,
  MAX_UP,
  type RenewRequest,
  type StreamServerCall,
  type SyncServerCall,
  type Welcome,
} from '../rpc/hub.js';
import type { NodeStats } from '../rpc/stats.js';
import { checkBootstrapToken, type TokenGrant } from './bootstrap-tokens.js';
import { CallError, nodeOf, nodeUser, serverCredentials } from './credentials.js';
import { type JoinOptions, Joins } from './join.js';
import { NodeObjects } from './node-objects.js';
import { NodeSession } from './node-session.js';
import type {
  ExecRequest,
  ExecSession,
  KubeletRequest,
  LogRequest,
  NodeStreams,
  PortForwardRequest,
} from './node-streams.js';
import { notConnected, PendingStreams, type SendOrder } from './pending-streams.js';

export interface HubOptions {
  clientFor(user: User): Client;
  pki: JoinOptions['pki'];
  /** What agents are told about the cluster. */
  cluster: Welcome;
  clock: Clock;
  logger: Logger;
  /** The caches to share with others of the process; its own when absent. */
  informers?: Informers;
  /** Which nodes' certificates were taken back; none when absent. */
  revocations?: Pick<Revocations, 'allows' | 'onRevoked' | 'validFrom'>;
  /** Judges the tokens of `Join`; bootstrap token Secrets count when absent. */
  checkToken?(token: string): Promise<TokenGrant | undefined>;
  /** Validity of nodes' certificates; 365 when absent. */
  certificateDays?: number;
  /** How long an agent may leave its connection full before it is dropped; 30 s when absent. */
  stallMs?: number;
}

const HUB_USER: User = { name: 'system:keelson:hub', groups: ['system:masters', 'system:authenticated'] };
/** What `Synced` is said of, in the order in which agents get them. */
const RESOURCES = [
  'nodes',
  'noderoutes',
  'namespaces',
  'services',
  'endpointslices',
  'configmaps',
  'secrets',
  'csidrivers',
  'volumeattachments',
  'persistentvolumes',
  'persistentvolumeclaims',
  'ingresses',
  'policypeers',
  'networkpolicies',
  'pods',
];
/** How long a peer may take to say hello. */
const HELLO_MS = 10_000;
const STALL_MS = 30_000;

export class Hub implements NodeStreams {
  readonly #options: HubOptions;
  readonly #client: Client;
  readonly #ownInformers: Informers | undefined;
  readonly #objects: NodeObjects;
  readonly #joins: Joins;
  readonly #sessions = new Map<string, NodeSession>();
  readonly #streams = new PendingStreams();
  #server: Server | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#client = options.clientFor(HUB_USER);
    if (!options.informers) this.#ownInformers = new Informers(this.#client, { logger: options.logger });
    this.#objects = new NodeObjects(options.informers ?? this.#ownInformers!);
    this.#joins = new Joins({
      pki: options.pki,
      days: options.certificateDays ?? 365,
      now: () => options.clock.now(),
      nodeExists: async (name) => (await this.#find<Node>(nodes, '', name)) !== undefined,
      removedAt: (name) => options.revocations?.validFrom(nodeUser(name).name),
      checkToken:
        options.checkToken ??
        ((token) =>
          checkBootstrapToken(
            token,
            (namespace, name) => this.#find<Secret>(secrets, namespace, name),
            options.clock.now(),
          )),
    });
  }

  /** Names of the nodes whose agents are connected. */
  get connected(): string[] {
    return [...this.#sessions.keys()];
  }

  async listen(at: { host: string; port: number; cert: string; key: string }): Promise<{ port: number }> {
    this.#ownInformers?.start();
    const server = new Server({
      ...KEEPALIVE,
      'grpc.max_receive_message_length': MAX_UP,
      'grpc.max_send_message_length': MAX_DOWN,
      'grpc.max_concurrent_streams': 1024,
    });
    server.addService(hubService as any, {
      join: this.#unary<JoinRequest>((call) => this.#joins.join(call.request)),
      renew: this.#unary<RenewRequest>((call) =>
        this.#joins.renew(this.#identify(call).node, call.request.csr ?? ''),
      ),
      sync: (call: SyncServerCall) => this.#sync(call),
      stream: (call: StreamServerCall) => this.#stream(call),
    });
    this.#server = server;
    const { caCert } = this.#options.pki;
    // The CA is in the chain, so that an agent that has only its hash can find it.
    const credentials = serverCredentials(caCert, `${at.cert.trim()}\n${caCert}`, at.key);
    const address = at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`;
    return new Promise((resolve, reject) => {
      server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve({ port })));
    });
  }

  async logs(node: string, request: LogRequest, signal: AbortSignal): Promise<Readable> {
    return this.#streams.logs(node, request, this.#order(node), signal);
  }

  async exec(node: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    return this.#streams.run(node, 'exec', request, this.#order(node), signal);
  }

  async attach(node: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    return this.#streams.run(node, 'attach', request, this.#order(node), signal);
  }

  async portForward(node: string, request: PortForwardRequest, signal: AbortSignal): Promise<Duplex> {
    return this.#streams.connect(node, 'portforward', request, this.#order(node), signal);
  }

  async kubelet(node: string, request: KubeletRequest, signal: AbortSignal): Promise<Duplex> {
    return this.#streams.connect(node, 'kubelet', request, this.#order(node), signal);
  }

  async stats(node: string, signal: AbortSignal): Promise<NodeStats> {
    return this.#streams.stats(node, this.#order(node), signal);
  }

  async close(): Promise<void> {
    for (const session of [...this.#sessions.values()]) session.close();
    this.#objects.close();
    await this.#ownInformers?.close();
    this.#server?.forceShutdown();
  }

  #order(node: string): SendOrder {
    const session = this.#sessions.get(node);
    if (!session) throw notConnected(node);
    return (id, kind, request) =>
      session.send({ open: { id, kind, request: Buffer.from(JSON.stringify(request)) } });
  }

  #identify(call: object) {
    const identity = nodeOf(call as Parameters<typeof nodeOf>[0], this.#options.clock.now());
    const { node, issuedAt } = identity;
    if (this.#options.revocations?.allows(nodeUser(node).name, issuedAt) === false)
      throw new CallError(
        status.PERMISSION_DENIED,
        `node ${node} was removed from the cluster, and its certificate does not count any more`,
      );
    return identity;
  }

  #unary<I>(work: (call: ServerUnaryCall<I, Certificate>) => Promise<Certificate>) {
    return (call: ServerUnaryCall<I, Certificate>, done: sendUnaryData<Certificate>) => {
      // The wrapper turns what `work` throws at once into a rejection as well.
      Promise.resolve()
        .then(() => work(call))
        .then(
          (certificate) => done(null, certificate),
          (error) => done(this.#callError(error)),
        );
    };
  }

  #callError(error: unknown): { code: status; details: string } {
    if (error instanceof CallError) return { code: error.code, details: error.message };
    this.#options.logger.error({ err: error }, 'a call of an agent failed');
    return { code: status.INTERNAL, details: 'internal error' };
  }

  #sync(call: SyncServerCall): void {
    const { clock, logger } = this.#options;
    call.on('error', () => {});
    const refuse = (error: unknown) => call.emit('error', this.#callError(error));
    try {
      const { node, expires } = this.#identify(call);
      const tooLate = clock.after(HELLO_MS, () =>
        refuse(new CallError(status.DEADLINE_EXCEEDED, 'no hello came')),
      );
      call.once('close', tooLate);
      call.once('data', (message: AgentMessage) => {
        tooLate();
        call.pause();
        this.#welcome(node, expires, call, message).catch(refuse);
      });
    } catch (error) {
      logger.warn({ err: error, peer: call.getPeer() }, 'an agent was refused');
      refuse(error);
    }
  }

  async #welcome(node: string, expires: number, call: SyncServerCall, message: AgentMessage): Promise<void> {
    const { clock, clientFor, cluster, logger, stallMs = STALL_MS } = this.#options;
    const hello: Hello | null | undefined = message.hello;
    if (!hello) throw new CallError(status.FAILED_PRECONDITION, 'hello must come first');
    if (hello.node !== node)
      throw new CallError(status.PERMISSION_DENIED, `the certificate is of node ${node}, not ${hello.node}`);
    await this.#objects.synced;
    if (call.cancelled || call.destroyed) return;
    // Its certificate may have been taken back meanwhile.
    this.#identify(call);
    let unfollow = () => {};
    let forget = () => {};
    const session = new NodeSession(
      node,
      call,
      hello,
      { transport: clientFor(nodeUser(node)).transport, logger, stallMs },
      () => {
        unfollow();
        forget();
        cancelExpiry();
        if (this.#sessions.get(node) !== session) return;
        this.#sessions.delete(node);
        this.#streams.lost(node);
        logger.info({ node }, 'agent disconnected');
      },
    );
    const cancelExpiry = clock.after(expires - clock.now(), () => session.close());
    this.#sessions.get(node)?.close();
    this.#sessions.set(node, session);
    forget = this.#options.revocations?.onRevoked(nodeUser(node).name, () => session.close()) ?? forget;
    session.send({ welcome: cluster });
    unfollow = this.#objects.follow(node, session);
    session.synced(RESOURCES);
    call.resume();
    logger.info({ node, peer: call.getPeer() }, 'agent connected');
  }

  #stream(call: StreamServerCall): void {
    call.on('error', () => {});
    try {
      this.#streams.dialled(this.#identify(call).node, call);
    } catch (error) {
      call.emit('error', this.#callError(error));
    }
  }

  async #find<T extends KubeObject>(
    resource: Parameters<Client['of']>[0],
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    try {
      return (await this.#client.of(resource).get(namespace, name)) as T;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
