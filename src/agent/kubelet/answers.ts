/** How endpoints are written: what they get, and how they answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ImageStore } from '../../runtime/types.js';
import type { NodeSettings } from '../node/settings.js';
import type { StreamDeps } from '../streams/serve.js';

/** The node that is asked. */
export interface KubeletFacts {
  name: string;
  dataDir: string;
  settings: NodeSettings;
  images: ImageStore;
}

export interface EndpointDeps extends StreamDeps {
  node: KubeletFacts;
}

/** One request; `rest` is its path below that of the endpoint, decoded, without slashes at its ends. */
export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  query: URLSearchParams;
  rest: string;
  deps: EndpointDeps;
}

/** Writes the whole answer; what it throws becomes a 500. */
export type Endpoint = (call: Call) => void | Promise<void>;

export function text({ response }: Call, body: string, code = 200): void {
  response.writeHead(code, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

export function json({ response }: Call, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

export const notHere = (call: Call): void => text(call, '404 page not found\n', 404);
