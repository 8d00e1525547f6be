/** What a request asks for, and the route that it takes. */
import type { Socket } from 'node:net';
import { type FrontRequest, isHttp2, ProxyError } from './exchange.js';
import type { Origin } from './headers.js';
import { normalHost, normalPath } from './paths.js';
import { findRoute, type Route, type RoutingTable } from './routes.js';

export interface Asked {
  origin: Origin;
  /** With query, as it is passed on. */
  path: string;
  route?: Route;
}

/** What is asked for, and the route, if there is one. @throws ProxyError for what is malformed. */
export function ask(req: FrontRequest, protocol: Origin['protocol'], routes: RoutingTable): Asked {
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(req.url ?? '');
  const authority = isHttp2(req) ? req.authority : '';
  const hosts = req.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
  const named = absolute?.[1] || authority || req.headers.host || '';
  const asked = absolute ? absolute[2]! : (req.url ?? '');
  const url = asked.startsWith('?') || asked === '' ? `/${asked}` : asked;
  // Only HTTP/1.0 may do without: rules for no host in particular are meant for it.
  const host = named === '' && req.httpVersion === '1.0' ? '' : normalHost(named);
  const path = normalPath(url);
  if (hosts > 1 || host === undefined || path === undefined)
    throw new ProxyError(400, hosts > 1 ? 'more than one Host header' : 'no valid host or path');
  const socket = (isHttp2(req) ? req.stream.session?.socket : req.socket) as Socket | undefined;
  const client = (socket?.remoteAddress ?? '').replace(/^::ffff:/, '');
  const origin: Origin = { client, protocol, host: named, port: socket?.localPort ?? 0 };
  const route = findRoute(routes, host, path);
  return { origin, path: url, ...(route ? { route } : {}) };
}
