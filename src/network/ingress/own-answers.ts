/** What the proxy answers for itself. */
import http from 'node:http';
import type { Duplex } from 'node:stream';
import type { Asked } from './ask.js';
import { type FrontRequest, type FrontResponse, isHttp2 } from './exchange.js';

/** The proxy's own answer; a connection whose request was not read to its end is closed. */
export function answer(req: FrontRequest, res: FrontResponse, status: number): void {
  if (res.headersSent || res.destroyed) {
    if (!res.writableEnded) res.destroy?.();
    return;
  }
  const text = `${status === 404 ? 'default backend - 404' : `${status} ${http.STATUS_CODES[status]}`}\n`;
  const headers: Record<string, string> = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': `${Buffer.byteLength(text)}`,
  };
  if (!isHttp2(req) && (!req.complete || status === 400)) headers['connection'] = 'close';
  (res as http.ServerResponse).writeHead(status, headers);
  res.end(req.method === 'HEAD' ? '' : text);
}

/** The same by HTTPS; with the method and the body that it came with. */
export function redirect(req: FrontRequest, res: FrontResponse, { origin, path }: Asked, port: number): void {
  const host = origin.host.replace(/:\d*$/, '');
  const location = `https://${host}${port === 443 ? '' : `:${port}`}${path}`;
  const headers: Record<string, string> = { location, 'content-length': '0' };
  if (!isHttp2(req) && !req.complete) headers['connection'] = 'close';
  (res as http.ServerResponse).writeHead(308, headers);
  res.end();
}

/** Answers on a connection that is no HTTP exchange any more, and closes it. */
export function endWith(socket: Duplex, status: number, reason: string): void {
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}
