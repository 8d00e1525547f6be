/** WebSocket upgrades: exec, attach, port-forward, logs and watches. What fails before the upgrade is a plain Status. */
import { STATUS_CODES } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { asStatusError, badRequest, StatusError, serviceUnavailable } from '../../api/machinery/status.js';
import type { Attributes } from '../../auth/user.js';
import { acceptWebSocket, SPDY_TUNNEL } from '../../streams/accept.js';
import { Channels, chooseProtocol, type Protocol, SESSION_PROTOCOLS } from '../../streams/channels.js';
import { serveSession } from '../../streams/exec.js';
import { FORWARD_PROTOCOLS, serveForward } from '../../streams/port-forward.js';
import { SPDY_SESSION_PROTOCOLS, spdySession } from '../../streams/spdy-exec.js';
import { spdyPortForward } from '../../streams/spdy-port-forward.js';
import { serveSpdySocket, serveSpdyTunnel } from '../../streams/spdy-transport.js';
import { type AuditRecord, auditIdOf } from '../audit/index.js';
import type { Call, Context, WatchMessage } from '../context.js';
import { handle } from '../core.js';
import { authorize } from '../filters/authorize.js';
import { impersonated } from '../filters/impersonate.js';
import { requestInfo } from '../filters/request-info.js';
import { route } from '../handlers/router.js';
import { tunnel } from '../proxy/tunnel.js';
import { admitProxy, isProxy, proxyRoute } from '../subresources/proxy.js';
import { admitConnect, type OpenedSession, openSession, portForwarder } from '../subresources/sessions.js';
import { eventJson } from './encode.js';
import { callOf, type HttpParts } from './handler.js';
import type { IncomingRequest } from './listener.js';
import { JSON_ACCEPTED } from './media-types.js';
import { credentialsOf, parseUrl, protocols } from './request.js';

/** Larger messages than any client of the channel protocols sends. */

const SESSIONS = new Set(['exec', 'attach', 'portforward']);

const SPDY = 'SPDY/3.1';

const LOG_PROTOCOLS: Protocol[] = [
  { name: 'binary.k8s.io', base64: false, version: 1 },
  { name: 'base64.binary.k8s.io', base64: true, version: 1 },
  { name: '', base64: false, version: 1 },
];

/** One request for an upgrade. */
interface Upgrade {
  parts: HttpParts;
  request: IncomingRequest;
  socket: Duplex;
  head: Buffer;
  record?: AuditRecord | undefined;
}

/** Never rejects. */
export async function serveUpgrade(
  parts: HttpParts,
  request: IncomingRequest,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  const pending: Upgrade = { parts, request, socket, head };
  try {
    await dispatch(pending);
    pending.record?.ended(101);
  } catch (error) {
    pending.record?.failed(error);
    if (!(error instanceof StatusError))
      parts.deps.logger.error({ err: error, url: request.url }, 'upgrade failed');
    refuse(socket, asStatusError(error));
  }
}

async function dispatch(pending: Upgrade): Promise<void> {
  const { parts, request, socket } = pending;
  const upgrade = String(request.headers.upgrade);
  const url = parseUrl(request);
  const info = requestInfo(request.method ?? 'GET', url.path, url.query);
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  const base = callOf(request, url);
  const user = await parts.authenticate(credentialsOf(request));
  if (!socket.destroyed)
    socket.on(
      'close',
      parts.onRevoked(user.name, () => socket.destroy()),
    );
  const auditId = auditIdOf(request.headers['audit-id'] as string | undefined);
  pending.record = parts.deps.auditor?.begin({ ...info, user }, base, auditId);
  if (isProxy(info) || parts.deps.aggregator?.claims(url.path))
    return proxied(pending, {
      ...base,
      body: { type: 'none' },
      user,
      signal: gone.signal,
    });
  if (upgrade.toLowerCase() !== 'websocket' && upgrade.toUpperCase() !== SPDY)
    throw badRequest(`unable to upgrade: ${JSON.stringify(upgrade)} is not served`);
  const call: Call = {
    ...base,
    method: 'GET',
    body: { type: 'none' },
    user,
    signal: gone.signal,
  };
  if (info.isResource && info.resource === 'pods' && SESSIONS.has(info.subresource))
    return session(pending, call);
  if (upgrade.toUpperCase() === SPDY) throw badRequest('only sessions are served over SPDY');
  const { result, resource } = await handle(parts.deps, parts.nonResource, call, pending.record?.steps);
  pending.record?.started(101);
  if (result.type === 'watch') {
    const ctx = { resource, accepted: JSON_ACCEPTED, include: 'Metadata' as const, now: 0 };
    return sendMessages(pending, lines(result.batches, ctx));
  }
  if (result.type === 'raw' && typeof result.body !== 'string' && !Buffer.isBuffer(result.body))
    return sendMessages(pending, result.body);
  throw badRequest('this request can not be upgraded');
}

/** Whatever is asked for goes to the backend. */
async function proxied(pending: Upgrade, call: Call): Promise<void> {
  const { parts, socket, head } = pending;
  const { deps } = parts;
  const { user, constraint } = await impersonated(deps.authorizer, call);
  const attributes: Attributes = { ...requestInfo(call.method, call.path, call.query), user };
  pending.record?.steps.identified?.(attributes, constraint);
  pending.record?.steps.authorized?.(await authorize(deps.authorizer, attributes));
  pending.record?.started(101);
  const end = () => socket.destroy();
  deps.closing.addEventListener('abort', end, { once: true });
  const own = { ...call, user };
  if (isProxy(attributes)) await admitProxy(contextOf(pending, own, attributes));
  const target = isProxy(attributes) ? proxyRoute(deps, attributes, call) : await deps.aggregator?.route(own);
  if (!target) throw serviceUnavailable('service unavailable');
  await tunnel(own, target, socket, head).finally(() => deps.closing.removeEventListener('abort', end));
}

function contextOf({ parts: { deps }, record }: Upgrade, call: Call, attributes: Attributes): Context {
  const { resource } = route(attributes, deps.store);
  const annotate = record?.steps.annotated;
  return { ...deps, call, attributes, resource, warnings: [], ...(annotate && { annotate }) };
}

async function session(upgrade: Upgrade, call: Call): Promise<void> {
  const { deps } = upgrade.parts;
  const { user, constraint } = await impersonated(deps.authorizer, call);
  const attributes: Attributes = { ...requestInfo('GET', call.path, call.query), user };
  // Opening a session counts as creating one, by whichever method it comes.
  upgrade.record?.steps.identified?.(attributes, constraint);
  for (const verb of ['get', 'create'])
    upgrade.record?.steps.authorized?.(await authorize(deps.authorizer, { ...attributes, verb }));
  upgrade.record?.started(101);
  const ctx = contextOf(upgrade, { ...call, user }, attributes);
  if (attributes.subresource === 'portforward') return portForward(upgrade, ctx);
  const opened = await openSession(ctx, attributes.subresource as 'exec' | 'attach', call.signal);
  try {
    await (isSpdy(upgrade)
      ? spdyExec(upgrade, opened, deps.closing)
      : webSocketExec(upgrade, opened, deps.closing));
  } finally {
    opened.session.close();
  }
}

const noProtocol = () => badRequest('unable to upgrade: none of the requested protocols is served');

async function webSocketExec(upgrade: Upgrade, opened: OpenedSession, closing: AbortSignal): Promise<void> {
  const protocol = chooseProtocol(protocols(upgrade.request), SESSION_PROTOCOLS);
  if (!protocol) throw noProtocol();
  await serveSession(await accept(upgrade, protocol), protocol, opened, closing);
}

async function spdyExec(
  { request, socket, head }: Upgrade,
  opened: OpenedSession,
  closing: AbortSignal,
): Promise<void> {
  const asked = String(request.headers['x-stream-protocol-version'] ?? 'channel.k8s.io').split(/\s*,\s*/);
  const protocol = SPDY_SESSION_PROTOCOLS.find((name) => asked.includes(name));
  if (!protocol) throw noProtocol();
  await serveSpdySocket(
    socket,
    head,
    protocol,
    (send) => spdySession(send, opened, protocol, () => socket.end()),
    closing,
  );
}

const isSpdy = ({ request }: Upgrade): boolean => String(request.headers.upgrade).toUpperCase() === SPDY;

/** Over a SPDY connection, SPDY within a WebSocket (what kubectl speaks), or plain WebSocket channels. */
async function portForward(upgrade: Upgrade, ctx: Context): Promise<void> {
  await admitConnect(ctx, 'PodPortForwardOptions', {});
  const open = portForwarder(ctx, ctx.call.signal);
  const { name } = ctx.attributes;
  if (isSpdy(upgrade))
    return serveSpdySocket(
      upgrade.socket,
      upgrade.head,
      'portforward.k8s.io',
      (send) => spdyPortForward(send, name, open),
      ctx.closing,
    );
  const asked = protocols(upgrade.request);
  if (asked.includes(SPDY_TUNNEL.name)) {
    const socket = await accept(upgrade, SPDY_TUNNEL);
    return serveSpdyTunnel(socket, (send) => spdyPortForward(send, name, open), ctx.closing);
  }
  const protocol = chooseProtocol(asked, FORWARD_PROTOCOLS);
  if (!protocol) throw noProtocol();
  const ports = portsOf(ctx.call.query);
  return serveForward(await accept(upgrade, protocol), protocol, ports, open, ctx.closing);
}

function portsOf(query: URLSearchParams): number[] {
  const ports = query
    .getAll('ports')
    .flatMap((text) => text.split(','))
    .map(Number);
  if (ports.length === 0) throw badRequest('query parameter "ports" is required');
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65535))
    throw badRequest('unable to parse ports: they must be integers from 1 to 65535');
  return ports;
}

const accept = ({ request, socket, head }: Upgrade, protocol: Protocol): Promise<WebSocket> =>
  acceptWebSocket(request, socket, head, protocol);

async function* lines(
  batches: AsyncGenerator<WatchMessage[], void>,
  ctx: Parameters<typeof eventJson>[1],
): AsyncGenerator<Buffer> {
  for await (const messages of batches) for (const message of messages) yield eventJson(message, ctx, false);
}

/** Sends each piece as a message of its own: text for what clients read as text. */
async function sendMessages(upgrade: Upgrade, pieces: Readable | AsyncIterable<Buffer>): Promise<void> {
  const protocol = chooseProtocol(protocols(upgrade.request), LOG_PROTOCOLS) ?? LOG_PROTOCOLS.at(-1)!;
  const socket = await accept(upgrade, protocol);
  const channels = new Channels(socket, protocol, {
    data() {},
    closeChannel() {},
    closed: () => upgrade.socket.destroy(),
  });
  try {
    for await (const piece of pieces) {
      if (!channels.open) break;
      const message = protocol.base64
        ? piece.toString('base64')
        : protocol.name === ''
          ? piece.toString()
          : piece;
      await new Promise<void>((resolve) => socket.send(message, () => resolve()));
    }
  } finally {
    channels.close();
  }
}

function refuse(socket: Duplex, error: StatusError): void {
  if (!socket.writable) return void socket.destroy();
  const body = `${JSON.stringify(error.toStatus())}\n`;
  socket.end(
    `HTTP/1.1 ${error.code} ${STATUS_CODES[error.code] ?? ''}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
