/** The HTTP endpoints of a kubelet, spoken over a stream: no port is open on the node. */
import { createServer, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import { Channel } from '../../rpc/hub.js';
import type { KubeletRequest } from '../../rpc/stream-requests.js';
import type { EndpointDeps } from '../kubelet/answers.js';
import { answer } from '../kubelet/endpoints.js';
import { serveNodePort } from './port-forward.js';
import type { Serve } from './serve.js';

const servers = new WeakMap<EndpointDeps['pods'], Server>();

export const serveKubelet: Serve = async (stream, { port }: KubeletRequest, events, deps) => {
  if (port !== undefined) return serveNodePort(stream, port, events);
  const connection = Duplex.from({
    readable: stream.input(Channel.stdin),
    writable: stream.output(Channel.stdout),
  });
  connection.on('error', () => {});
  connection.once('close', () => stream.end());
  events.closed.signal.addEventListener('abort', () => connection.destroy(), { once: true });
  stream.ready();
  serverOf(deps).emit('connection', connection);
};

/** It listens nowhere: connections are handed to it. */
function serverOf(deps: EndpointDeps): Server {
  let server = servers.get(deps.pods);
  if (!server) {
    server = createServer((request, response) => {
      answer(request, response, deps).catch((error) => {
        deps.logger.warn({ err: error, url: request.url }, 'a request to the node failed');
        if (!response.headersSent) response.statusCode = 500;
        response.end(response.headersSent ? undefined : `${error?.message ?? error}\n`);
      });
    });
    servers.set(deps.pods, server);
  }
  return server;
}
