/**
 * The ports at which load balancers ask whether a node has endpoints of a Service (`healthCheckNodePort`), as
 * kube-proxy answers them.
 * @see https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/
 */
import { createServer, type Server } from 'node:http';
import type { Logger } from 'pino';
import type { Health } from './compile.js';

const RETRY_MS = 5000;

interface Port {
  health: Health;
  server: Server;
  retry?: NodeJS.Timeout;
}

export class HealthPorts {
  readonly #ports = new Map<string, Port>();

  constructor(private readonly logger: Logger | undefined) {}

  /** `key`: the Service's; `undefined`: it has no such port. */
  set(key: string, health: Health | undefined): void {
    const before = this.#ports.get(key);
    if (before && before.health.port === health?.port) {
      before.health = health;
      return;
    }
    if (before) this.#close(key, before);
    if (health) this.#open(key, health);
  }

  close(): void {
    for (const [key, port] of this.#ports) this.#close(key, port);
  }

  #open(key: string, health: Health): void {
    const [namespace, name] = key.split('/');
    const server = createServer((_, response) => {
      const { local } = port.health;
      response.writeHead(local > 0 ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(local),
      });
      const body = { service: { namespace, name }, localEndpoints: local, serviceProxyHealthy: true };
      response.end(JSON.stringify(body, undefined, '\t'));
    });
    const port: Port = { health, server };
    this.#ports.set(key, port);
    server.on('error', (error) => {
      this.logger?.warn({ service: key, port: health.port, error: error.message }, 'no health check port');
      port.retry = setTimeout(() => server.listen(health.port), RETRY_MS);
    });
    server.listen(health.port);
  }

  #close(key: string, { server, retry }: Port): void {
    this.#ports.delete(key);
    clearTimeout(retry);
    server.close();
    server.closeAllConnections();
  }
}
