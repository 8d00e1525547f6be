/** A control plane in this process (store, API server, hub), and an agent that is nothing but a gRPC client. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as GrpcClient, credentials as grpc } from '@grpc/grpc-js';
import { pino } from 'pino';
import type { Pod, ServiceAccount } from '#types';
import { systemClock } from '../../../src/api/machinery/clock.js';
import { serviceAccounts } from '../../../src/api/resources/index.js';
import { ApiServer } from '../../../src/apiserver/server.js';
import { loadOrCreatePki, type Pki } from '../../../src/auth/pki.js';
import { Client } from '../../../src/client/client.js';
import { Hub, type HubOptions } from '../../../src/hub/hub.js';
import {
  type ApiReply,
  type Change,
  type Hello,
  type HubMessage,
  hubService,
  type StreamCall,
  type SyncCall,
} from '../../../src/rpc/hub.js';
import { openLevelStore } from '../../../src/store/index.js';

const logger = pino({ level: 'silent' });

export interface Harness {
  pki: Pki;
  hub: Hub;
  /** `host:port` of the hub. */
  address: string;
  /** As the administrator. */
  client: Client;
  close(): Promise<void>;
}

export async function startHub(extra: Partial<HubOptions> = {}): Promise<Harness> {
  const dir = await mkdtemp(join(tmpdir(), 'keelson-test-hub-'));
  const pki = await loadOrCreatePki(join(dir, 'pki'));
  const store = await openLevelStore(join(dir, 'db'), { clock: systemClock, logger });
  const apiServer = new ApiServer({
    store,
    authenticate: (async () => undefined) as never,
    authorizer: { authorize: () => ({ decision: 'allow', reason: '' }) },
    serviceCidr: '10.96.0.0/16',
    clusterName: 'hub',
    version: '0.1.0',
    clock: systemClock,
    logger,
  });
  const server = await pki.issue({
    commonName: 'hub',
    dnsNames: ['localhost'],
    ips: ['127.0.0.1'],
    usage: 'server',
  });
  // Listening is what makes the namespaces that every cluster has.
  await apiServer.listen({ host: '127.0.0.1', port: 0, ...server, clientCa: pki.caCert });
  const clientFor = (user: { name: string; groups: string[] }) => new Client(apiServer.transport(user));
  const hub = new Hub({ clientFor, pki, cluster: { cluster: 'hub' }, clock: systemClock, logger, ...extra });
  const client = clientFor({ name: 'admin', groups: ['system:masters'] });
  await client.of<ServiceAccount>(serviceAccounts).create({
    ...{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } },
    automountServiceAccountToken: false,
  });
  const { port } = await hub.listen({ host: '127.0.0.1', port: 0, ...server });
  return {
    pki,
    hub,
    address: `localhost:${port}`,
    client,
    async close() {
      await hub.close();
      await apiServer.close();
      await store.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export const nodeCertificate = (pki: Pki, node: string, days?: number) =>
  pki.issue({
    commonName: `system:node:${node}`,
    organizations: ['system:nodes'],
    usage: 'client',
    ...(days === undefined ? {} : { days }),
  });

/** Speaks the protocol by hand. */
export class RawAgent {
  readonly client: GrpcClient;
  readonly changes: Change[] = [];
  readonly messages: HubMessage[] = [];
  readonly call: SyncCall;
  /** The status that ended the Sync call. */
  readonly ended: Promise<{ code: number; details: string }>;
  onOpen: (id: string, kind: string, request: any) => void = () => {};
  readonly #replies = new Map<number, (reply: ApiReply) => void>();
  #nextId = 1;
  #waiters: (() => void)[] = [];

  constructor(address: string, ca: string, pair?: { cert: string; key: string }) {
    const credentials = pair
      ? grpc.createSsl(Buffer.from(ca), Buffer.from(pair.key), Buffer.from(pair.cert))
      : grpc.createSsl(Buffer.from(ca));
    this.client = new GrpcClient(address, credentials, { 'grpc.use_local_subchannel_pool': 1 });
    const { path, requestSerialize, responseDeserialize } = hubService.sync;
    this.call = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.ended = new Promise((resolve) => {
      this.call.on('status', ({ code, details }) => resolve({ code, details }));
    });
    this.call.on('error', () => {});
    this.call.on('data', (message: HubMessage) => this.#received(message));
  }

  hello(hello: Hello): void {
    this.call.write({ hello });
  }

  /** Resolves when what has come satisfies the condition. */
  async until(condition: (agent: this) => boolean, ms = 5000): Promise<void> {
    const deadline = Date.now() + ms;
    while (!condition(this)) {
      if (Date.now() > deadline) throw new Error('the hub did not send what was waited for');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  synced(): Promise<void> {
    return this.until(({ messages }) => messages.some((m) => m.synced?.resource === 'pods'));
  }

  /** What the hub has told of a resource, in order: `name` or `-name` when it is gone. */
  told(resource: string): string[] {
    return this.changes
      .filter((change) => change.resource === resource)
      .map(({ key = '', object }) => (object?.length ? key : `-${key}`));
  }

  object<T>(resource: string, key: string): T | undefined {
    const change = this.changes.findLast((c) => c.resource === resource && c.key === key);
    return change?.object?.length ? JSON.parse(Buffer.from(change.object).toString()) : undefined;
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    contentType = '',
  ): Promise<{ code: number; body: any }> {
    const id = this.#nextId++;
    const reply = new Promise<ApiReply>((resolve) => this.#replies.set(id, resolve));
    this.call.write({
      request: {
        id,
        method,
        path,
        contentType,
        body: body ? Buffer.from(JSON.stringify(body)) : Buffer.alloc(0),
      },
    });
    const { code = 0, body: bytes } = await reply;
    return { code, body: JSON.parse(Buffer.from(bytes ?? []).toString()) };
  }

  dial(): StreamCall {
    const { path, requestSerialize, responseDeserialize } = hubService.stream;
    const call: StreamCall = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call.on('error', () => {});
    return call;
  }

  close(): void {
    this.call.cancel();
    this.client.close();
  }

  #received(message: HubMessage): void {
    this.messages.push(message);
    if (message.change) this.changes.push(message.change);
    if (message.reply) this.#replies.get(message.reply.id ?? 0)?.(message.reply);
    if (message.open)
      this.onOpen(
        message.open.id ?? '',
        message.open.kind ?? '',
        JSON.parse(Buffer.from(message.open.request ?? []).toString()),
      );
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

/** A connected agent of the node, past its first sync. */
export async function connect(harness: Harness, node: string, hello: Hello = {}): Promise<RawAgent> {
  const agent = new RawAgent(harness.address, harness.pki.caCert, await nodeCertificate(harness.pki, node));
  agent.hello({ node, version: 'test', ...hello });
  await agent.synced();
  return agent;
}

export function pod(name: string, nodeName: string, spec: Partial<Pod['spec']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName, containers: [{ name: 'c', image: 'demo' }], ...spec },
  };
}

export const configMap = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
});
