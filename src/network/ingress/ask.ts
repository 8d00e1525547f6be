/** What a request asks for, and the route that it takes. */
import type { Socket } from 'node:net';
import { type FrontRequest, isHttp2 } from './exchange.js';
import type { Origin } from './headers.js';
import { normalHost, normalPath } from './paths.js';
import { ProxyError } from './proxy-error.js';
import { findRoute, type Route, type RoutingTable } from './routes.js';

export interface Asked {
  origin: Origin;
  /** With query, as it is passed on. */
  path: string;
  route?: Route;
}

/** What is asked for, and the route, if there is one. @throws ProxyError for what is malformed. */
export function ask(req: FrontRequest, protocol: Origin['protocol'], routes: RoutingTable): Asked {
  const target = req.url ?? '';
  const absolute = target.startsWith('/') ? null : /^https?:\/\/([^/?#]*)(.*)$/i.exec(target);
  const named = absolute?.[1] || (isHttp2(req) && req.authority) || req.headers.host || '';
  const asked = absolute ? absolute[2]! : target;
  const url = asked.startsWith('?') || asked === '' ? `/${asked}` : asked;
  // Only HTTP/1.0 may do without: rules for no host in particular are meant for it.
  const host = named === '' && req.httpVersion === '1.0' ? '' : normalHost(named);
  const path = normalPath(url);
  if (isNamedTwice(req.rawHeaders)) throw new ProxyError(400, 'more than one Host header');
  if (host === undefined || path === undefined) throw new ProxyError(400, 'no valid host or path');
  // Others would have to be undone here, as an endpoint is only sent chunks.
  const encoding = req.headers['transfer-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    throw new ProxyError(501, 'a transfer coding other than chunked');
  const socket = (isHttp2(req) ? req.stream.session?.socket : req.socket) as Socket | undefined;
  const client = (socket?.remoteAddress ?? '').replace(/^::ffff:/, '');
  const origin: Origin = { client, protocol, host: named, port: socket?.localPort ?? 0 };
  const route = findRoute(routes, host, path);
  return { origin, path: url, ...(route ? { route } : {}) };
}

function isNamedTwice(raw: readonly string[]): boolean {
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2)
    if (raw[i]!.length === 4 && raw[i]!.toLowerCase() === 'host') hosts++;
  return hosts > 1;
}
