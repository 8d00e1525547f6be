/** Connections to endpoints, kept for the next request. */
import type { Attempt, Sent } from './attempt.js';
import type { Endpoint, Target } from './backends.js';
import { Connection } from './connection.js';
import { requestHead } from './headers.js';
import { Http2Upstreams } from './upstream-http2.js';

/** Of each endpoint. */
const MAX_IDLE = 32;

export class Upstreams {
  readonly #open = new Set<Connection>();
  /** By endpoint and, for TLS, the name asked for; the last one was used last. */
  readonly #idle = new Map<string, Connection[]>();
  readonly #http2 = new Http2Upstreams();

  /** @throws ProxyError for what can't be sent at all. */
  send(endpoint: Endpoint, protocol: Target['protocol'], attempt: Attempt): Sent {
    if (protocol === 'h2c') return this.#http2.send(endpoint, attempt);
    const head = requestHead(attempt, endpoint.key);
    const tlsName = protocol === 'https' ? nameOf(attempt.host) : undefined;
    const key = tlsName === undefined ? endpoint.key : `${endpoint.key} ${tlsName}`;
    const idle = attempt.isAlone ? undefined : this.#idle.get(key);
    let connection = idle?.pop();
    while (connection && !connection.isOpen) connection = idle?.pop();
    return (connection ?? this.#connect(key, endpoint, tlsName)).send(attempt, head);
  }

  /**
   * Asks for another protocol: within HTTP/2 where the endpoint takes that, else by HTTP/1.1. Rejects with UpstreamError
   * or ProxyError.
   */
  async upgrade(endpoint: Endpoint, protocol: Target['protocol'], attempt: Attempt): Promise<Sent> {
    if (protocol === 'h2c' && isWebSocket(attempt) && (await this.#http2.takesWebSockets(endpoint)))
      return this.#http2.sendWebSocket(endpoint, attempt);
    const sent = this.send(endpoint, protocol === 'h2c' ? 'http' : protocol, attempt);
    sent.request.end();
    return sent;
  }

  /** Closes connections to an endpoint that wait for the next request. */
  dropIdle(endpoint: Endpoint): void {
    this.#http2.dropIdle(endpoint);
    for (const [key, connections] of this.#idle)
      if (key === endpoint.key || key.startsWith(`${endpoint.key} `))
        for (const connection of [...connections]) connection.close();
  }

  close(): void {
    for (const connection of this.#open) connection.close();
    this.#http2.close();
  }

  #connect(key: string, endpoint: Endpoint, tlsName: string | undefined): Connection {
    const connection = new Connection({
      endpoint,
      tlsName,
      free: (one) => {
        const idle = this.#idle.get(key) ?? [];
        this.#idle.set(key, idle);
        if (idle.length >= MAX_IDLE) one.close();
        else idle.push(one);
      },
      gone: (one) => {
        this.#open.delete(one);
        const idle = this.#idle.get(key);
        const at = idle?.indexOf(one) ?? -1;
        if (at !== -1) idle!.splice(at, 1);
        if (idle?.length === 0) this.#idle.delete(key);
      },
    });
    this.#open.add(connection);
    return connection;
  }
}

/** The name for a handshake of a request's host: none for addresses. */
const nameOf = (host: string): string =>
  /^\[|^[\d.]+(?::\d+)?$/.test(host) ? '' : host.replace(/:\d*$/, '');

const isWebSocket = ({ method, upgrade }: Attempt): boolean =>
  method === 'GET' && upgrade?.toLowerCase() === 'websocket';
