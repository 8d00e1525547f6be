/** A transport whose answers a test gives by hand. */
import { StatusError } from '../../../src/api/machinery/status.js';
import {
  deepFreeze,
  type KubeObject,
  type WatchEvent,
  type WatchEventType,
} from '../../../src/api/machinery/types.js';
import type { ResourceRef } from '../../../src/client/client.js';
import type { Request, Transport } from '../../../src/client/transport.js';

export const things: ResourceRef = {
  group: 'test',
  version: 'v1',
  apiVersion: 'test/v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
};

export function thing(name: string, revision: number, fields: object = {}): KubeObject {
  return deepFreeze({
    apiVersion: 'test/v1',
    kind: 'Thing',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: String(revision) },
    ...fields,
  });
}

/** An open watch: the test sends events into it, or ends it. */
export class ScriptedWatch implements AsyncIterable<WatchEvent<any>> {
  #events: (WatchEvent<any> | Error | undefined)[] = [];
  #wake = () => {};

  constructor(readonly request: Request) {
    if (request.signal?.aborted) this.end();
    request.signal?.addEventListener('abort', () => this.end());
  }

  send(type: WatchEventType, object: KubeObject): void {
    this.#push({ type, object });
  }

  fail(error: Error): void {
    this.#push(error);
  }

  end(): void {
    this.#push(undefined);
  }

  #push(event: WatchEvent<any> | Error | undefined): void {
    this.#events.push(event);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<WatchEvent<any>> {
    for (;;) {
      while (this.#events.length > 0) {
        const event = this.#events.shift();
        if (event === undefined) return;
        if (event instanceof Error) throw event;
        yield event;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

export class ScriptedTransport implements Transport {
  readonly requests: Request[] = [];
  readonly watches: ScriptedWatch[] = [];
  /** Answers of `request`, in order: a value, or an error. The last one stays. */
  answers: unknown[] = [];
  /** Errors of the next `watch` calls, in order. */
  watchErrors: Error[] = [];

  async request<T>(request: Request): Promise<T> {
    this.requests.push(request);
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    if (answer instanceof Error) throw answer;
    return (typeof answer === 'function' ? answer(request) : answer) as T;
  }

  watch<T extends KubeObject>(request: Request): AsyncIterable<WatchEvent<T>> {
    const watch = new ScriptedWatch(request);
    const error = this.watchErrors.shift();
    if (error !== undefined) watch.fail(error);
    else this.watches.push(watch);
    return watch;
  }

  get lastWatch(): ScriptedWatch {
    return this.watches[this.watches.length - 1]!;
  }

  async close(): Promise<void> {}
}

export function listOf(revision: number, ...items: KubeObject[]) {
  return {
    apiVersion: 'test/v1',
    kind: 'ThingList',
    metadata: { resourceVersion: String(revision) },
    items,
  };
}

export const gone = () => new StatusError(410, 'Expired', 'too old resource version: 1 (5)');
