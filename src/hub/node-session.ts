/** One connected agent: its Sync call, what is still to be sent on it, and its requests. */
import type { Logger } from 'pino';
import { type KubeObject, objectKey } from '../api/machinery/types.js';
import type { Transport } from '../client/transport.js';
import type { AgentMessage, ApiRequest, Hello, HubMessage, SyncServerCall } from '../rpc/hub.js';
import { answer } from './api-requests.js';
import type { NodeListener } from './node-objects.js';

/** Requests of one agent that are carried out at once; more wait in its connection. */
const MAX_REQUESTS = 64;
/** Replies and orders that wait for an agent that doesn't read; beyond, it is dropped. */
const MAX_QUEUED = 4096;

/** Bytes on their way to one agent; what comes after waits here, where only the newest state of an object counts. */
const MAX_IN_FLIGHT = 256 << 10;
/** What a message takes besides its object, about. */
const OVERHEAD = 64;

const encoded = new WeakMap<KubeObject, Buffer>();

/** The object as JSON, made once for all nodes. */
function json(object: KubeObject): Buffer {
  let bytes = encoded.get(object);
  if (!bytes) {
    bytes = Buffer.from(JSON.stringify(object));
    encoded.set(object, bytes);
  }
  return bytes;
}

export interface SessionOptions {
  /** Acts as the node. */
  transport: Transport;
  logger: Logger;
  /** How long the agent may leave its connection full. */
  stallMs: number;
}

export class NodeSession implements NodeListener {
  readonly #call: SyncServerCall;
  /** What the agent said it has: `pods default/a` → uid and revision. */
  readonly #known = new Map<string, string>();
  /** The newest state of what waits to be sent: its bound is the number of objects of the node. */
  readonly #changes = new Map<string, HubMessage>();
  readonly #queue: HubMessage[] = [];
  readonly #abort = new AbortController();
  /** Bytes handed to the connection and not yet taken by it. */
  #inFlight = 0;
  #stalled: NodeJS.Timeout | undefined;
  #requests = 0;
  #closed = false;

  constructor(
    readonly node: string,
    call: SyncServerCall,
    hello: Hello,
    private readonly options: SessionOptions,
    private readonly onClose: (session: NodeSession) => void,
  ) {
    this.#call = call;
    for (const { resource, versions } of hello.known ?? [])
      for (const { key, uid, revision } of versions ?? [])
        this.#known.set(`${resource} ${key}`, `${uid} ${revision}`);
    call.on('data', (message: AgentMessage) => message.request && this.#request(message.request));
    for (const event of ['end', 'error', 'close', 'cancelled'] as const) call.on(event, () => this.close());
  }

  changed(resource: string, object: KubeObject): void {
    const { uid = '', resourceVersion: revision = '' } = object.metadata;
    const key = objectKey(object);
    const name = `${resource} ${key}`;
    if (this.#known.get(name) === `${uid} ${revision}`) {
      this.#known.delete(name);
      return;
    }
    this.#known.delete(name);
    this.#changes.set(name, { change: { resource, key, uid, revision, object: json(object) } });
    this.#flush();
  }

  gone(resource: string, key: string): void {
    this.#changes.set(`${resource} ${key}`, { change: { resource, key } });
    this.#flush();
  }

  /** All that exists has been told: what the agent knows beside it is gone. */
  synced(resources: string[]): void {
    for (const name of this.#known.keys()) {
      const [resource = '', key = ''] = name.split(' ');
      this.gone(resource, key);
    }
    this.#known.clear();
    for (const resource of resources) this.#changes.set(`${resource} synced`, { synced: { resource } });
    this.#flush();
  }

  /** Whether it was taken for sending. */
  send(message: HubMessage): boolean {
    if (this.#closed) return false;
    if (this.#queue.length >= MAX_QUEUED) {
      this.#drop('its queue is full');
      return false;
    }
    this.#queue.push(message);
    this.#flush();
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#stalled);
    this.#abort.abort();
    this.#changes.clear();
    this.#queue.length = 0;
    if (!this.#call.writableEnded) this.#call.end();
    this.onClose(this);
  }

  #drop(why: string): void {
    if (this.#closed) return;
    this.options.logger.warn({ node: this.node }, `agent dropped: ${why}`);
    this.close();
    // A status would wait behind what the peer does not read: only the HTTP/2 stream below can be cut.
    (this.#call as any).call?.stream?.destroy();
  }

  #flush(): void {
    while (this.#inFlight < MAX_IN_FLIGHT && !this.#closed) {
      const message = this.#queue.shift() ?? this.#nextChange();
      if (!message) return;
      const size = (message.change?.object ?? message.reply?.body ?? message.open?.request)?.length ?? 0;
      this.#inFlight += size + OVERHEAD;
      this.#watchStall();
      this.#call.write(message, () => this.#written(size + OVERHEAD));
    }
  }

  /** The agent has room again: its patience begins anew. */
  #written(size: number): void {
    this.#inFlight -= size;
    this.#watchStall();
    this.#flush();
  }

  #watchStall(): void {
    clearTimeout(this.#stalled);
    if (this.#inFlight > 0 && !this.#closed)
      this.#stalled = setTimeout(() => this.#drop('it does not read'), this.options.stallMs);
  }

  #nextChange(): HubMessage | undefined {
    for (const [name, message] of this.#changes) {
      this.#changes.delete(name);
      return message;
    }
    return undefined;
  }

  async #request(request: ApiRequest): Promise<void> {
    if (++this.#requests >= MAX_REQUESTS) this.#call.pause();
    const reply = await answer(this.node, this.options.transport, request, this.#abort.signal);
    if (this.#requests-- === MAX_REQUESTS && !this.#closed) this.#call.resume();
    this.send({ reply });
  }
}
