/** Serves what the proxy counts at `/metrics`. */
import { createServer, type Server } from 'node:http';

/** Rejects when the port is taken. */
export function serveMetrics(port: number, text: () => string): Promise<Server> {
  const server = createServer((req, res) => {
    if (req.url !== '/metrics') res.writeHead(404).end();
    else res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text());
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
