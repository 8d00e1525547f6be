/** API calls over the connection to the hub: what `Client` needs, so that all of it works on a node. */
import { StatusError, serviceUnavailable, tooManyRequests } from '../../api/machinery/status.js';
import { deepFreeze, type WatchEvent } from '../../api/machinery/types.js';
import type { Request, Transport } from '../../client/transport.js';
import type { ApiReply, ApiRequest } from '../../rpc/hub.js';

const TIMEOUT_MS = 30_000;
/** Requests that wait for their answers; more are refused here. */
const MAX_WAITING = 4096;

interface Waiting {
  resolve(object: any): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** Requests fail with 503 at once while there is no connection. */
export class HubTransport implements Transport {
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  /** `send` says whether there is a connection to take it. */
  constructor(private readonly send: (request: ApiRequest) => boolean) {}

  request<T>({ method, path, query, headers, body }: Request): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#waiting.size >= MAX_WAITING)
        return reject(tooManyRequests('too many requests to the hub', 1));
      const id = this.#nextId++ % 0xffff_ffff;
      const sent = this.send({
        id,
        method,
        path,
        query: query ?? {},
        contentType: headers?.['content-type'] ?? '',
        ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
      });
      if (!sent) return reject(serviceUnavailable('the hub is not connected'));
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new StatusError(504, 'Timeout', 'the hub did not answer in time'));
      }, TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  // biome-ignore lint/correctness/useYield: a watch over the hub is what Sync itself is.
  async *watch<T>(): AsyncGenerator<WatchEvent<T>> {
    throw new StatusError(405, 'MethodNotAllowed', 'nodes watch through the hub itself');
  }

  replied({ id = 0, code = 500, body }: ApiReply): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    try {
      const object = JSON.parse(Buffer.from(body ?? []).toString());
      if (code < 300) waiting.resolve(deepFreeze(object));
      else waiting.reject(StatusError.from(object));
    } catch (error) {
      waiting.reject(error as Error);
    }
  }

  /** The connection is lost: nobody knows whether what was sent was done. */
  lost(): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(serviceUnavailable('the connection to the hub was lost'));
    }
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    this.lost();
  }
}
