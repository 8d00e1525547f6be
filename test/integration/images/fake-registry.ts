/** A registry in this process that serves an OCI layout, with a hook to misbehave. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';

/** True: the hook has answered. */
export type Hook = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface FakeRegistry {
  host: string;
  /** `GET path`, with ` Range` after it when a part was asked for. */
  requests: string[];
  hook: Hook;
  stop(): Promise<void>;
}

export async function startFakeRegistry(
  layout: string,
  tls?: { cert: Buffer; key: Buffer },
): Promise<FakeRegistry> {
  const blob = (digest: string) => join(layout, 'blobs/sha256', digest.replace('sha256:', ''));
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const { range } = request.headers;
    registry.requests.push(`${request.method} ${request.url}${range ? ` ${range}` : ''}`);
    if (registry.hook(request, response)) return;
    const [, kind, name] = /^\/v2\/.*\/(manifests|blobs)\/([^/]+)$/.exec(request.url!) ?? [];
    if (request.url === '/v2/') return void response.end('{}');
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    const digest = name?.startsWith('sha256:') ? name : index.manifests[0].digest;
    if (!kind || !existsSync(blob(digest)) || name === 'missing') {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[]}');
      return;
    }
    const data = readFileSync(blob(digest));
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    response.writeHead(start ? 206 : 200, { 'content-length': data.length - start });
    response.end(data.subarray(start));
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const registry: FakeRegistry = {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    requests: [],
    hook: () => false,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return registry;
}
