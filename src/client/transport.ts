/** How a client's requests reach an API server: over HTTPS, or within the process. */
import type { KubeObject, WatchEvent } from '../api/machinery/types.js';

export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Such as `/api/v1/namespaces/default/pods`. */
  path: string;
  query?: Record<string, string>;
  /** `content-type` is needed for PATCH. */
  headers?: Record<string, string>;
  /** An object to send as JSON. A patch may be an array. */
  body?: unknown;
  signal?: AbortSignal;
}

/** Rejects with StatusError for every answer that is not a success. */
export interface Transport {
  /** The decoded (frozen) answer: an object, a list, or a Status. */
  request<T = KubeObject>(request: Request): Promise<T>;
  /** A watch; ends when the server ends it or `signal` aborts. Throws StatusError (410 included). */
  watch<T extends KubeObject = KubeObject>(request: Request): AsyncIterable<WatchEvent<T>>;
  close(): Promise<void>;
}
