/** The way to a server that stands behind an APIService, with what it needs to trust this one. */
import { connect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ConnectionOptions } from 'node:tls';
import type { APIService, EndpointSlice, Service } from '#types';
import { serviceUnavailable } from '../../../api/machinery/status.js';
import { endpointSlices, pods, services } from '../../../api/resources/index.js';
import type { User } from '../../../auth/user.js';
import { keyOf, prefixOf } from '../../keys.js';
import { answerTo, type Backend, open } from '../../proxy/backend.js';
import { podBackend, type Reach } from '../../proxy/targets.js';

/** How this server proves to others that it has authenticated the user that it names. */
export interface FrontProxy {
  /** PEM. */
  ca: string;
  cert: string;
  key: string;
}

const HTTPS_PORT = 443;
const SERVICE_NAME = 'kubernetes.io/service-name';

export interface ServicePort {
  namespace: string;
  name: string;
  port: number;
}

/** Of a remote APIService. */
export const serviceOf = ({ spec: { service } }: APIService): ServicePort => ({
  namespace: service?.namespace ?? '',
  name: service?.name ?? '',
  port: service?.port ?? HTTPS_PORT,
});

export const findService = ({ store }: Reach, { namespace, name }: ServicePort): Service | undefined =>
  store.get(keyOf(services, namespace, name))?.object as Service | undefined;

export async function slicesOf({ store }: Reach, { namespace, name }: ServicePort): Promise<EndpointSlice[]> {
  const { items } = await store.list(prefixOf(endpointSlices, namespace));
  return items
    .map(({ object }) => object as EndpointSlice)
    .filter(({ metadata }) => metadata.labels?.[SERVICE_NAME] === name);
}

/** Certificates are checked unless the APIService says otherwise. */
export function tlsOf({ spec }: APIService, proxy: FrontProxy | undefined, check = true): ConnectionOptions {
  const { namespace, name } = spec.service ?? {};
  return {
    servername: `${name}.${namespace}.svc`,
    ...(spec.caBundle ? { ca: Buffer.from(spec.caBundle, 'base64').toString() } : {}),
    rejectUnauthorized: check && !spec.insecureSkipTLSVerify,
    ...(proxy ? { cert: proxy.cert, key: proxy.key } : {}),
  };
}

/** Throws 503 where nothing stands behind the Service. */
export async function backendOf(
  reach: Reach,
  apiService: APIService,
  tls: ConnectionOptions,
): Promise<Backend> {
  const target = serviceOf(apiService);
  const service = findService(reach, target);
  if (!service) throw serviceUnavailable(`service ${target.name} not found`);
  const host = `${target.name}.${target.namespace}.svc:${target.port}`;
  const { externalName, type } = service.spec ?? {};
  if (type === 'ExternalName')
    return { scheme: 'https', host, tls, connect: () => dial(externalName ?? '', target.port) };
  const port = service.spec?.ports?.find((p) => p.port === target.port);
  if (!port) throw serviceUnavailable(`service ${target.name} has no port ${target.port}`);
  const choices = (await slicesOf(reach, target)).flatMap((slice) => {
    const number = slice.ports?.find((p) => (p.name ?? '') === (port.name ?? ''))?.port;
    const ready = (slice.endpoints ?? []).filter((e) => e.conditions?.ready !== false);
    return number === undefined ? [] : ready.map((endpoint) => ({ endpoint, number }));
  });
  const choice = choices[Math.floor(Math.random() * choices.length)];
  if (!choice) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(target.name)}`);
  const { endpoint, number } = choice;
  const { kind, name = '', namespace = target.namespace } = endpoint.targetRef ?? {};
  const pod = kind === 'Pod' ? reach.store.get(keyOf(pods, namespace, name))?.object : undefined;
  if (pod) return { ...podBackend(reach, pod as any, number, 'https'), host, tls };
  return { scheme: 'https', host, tls, connect: () => dial(endpoint.addresses[0]!, number) };
}

const CONNECT_MS = 10_000;

function dial(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: CONNECT_MS });
    const at = `dial tcp ${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    socket.once('timeout', () => socket.destroy(new Error('i/o timeout')));
    socket.once('error', (error) => reject(serviceUnavailable(`${at}: ${error.message}`)));
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}

/** The headers that name `user` to those who trust the certificate of this server. */
export function userHeaders({ name, uid, groups, extra = {} }: User): Record<string, string | string[]> {
  return {
    'X-Remote-User': name,
    ...(uid ? { 'X-Remote-Uid': uid } : {}),
    ...(groups.length > 0 ? { 'X-Remote-Group': groups } : {}),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`X-Remote-Extra-${encodeURIComponent(key)}`, values]),
    ),
  };
}

/** As whom this server asks on its own behalf. */
const AGGREGATOR: User = { name: 'system:kube-aggregator', groups: ['system:masters'] };

export interface Document {
  code: number;
  contentType: string;
  body: Buffer;
}

/** A document that this server itself wants to read. Rejects when none comes in time. */
export async function fetchDocument(
  backend: Backend,
  path: string,
  accept: string,
  timeoutMs: number,
): Promise<Document> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { host: backend.host, accept, ...userHeaders(AGGREGATOR), connection: 'close' };
  const request = await open(backend, { method: 'GET', path, headers }, signal);
  const answered = answerTo(request);
  request.on('error', () => {});
  request.end();
  const answer = await answered;
  const body = await buffer(answer);
  return { code: answer.statusCode!, contentType: answer.headers['content-type'] ?? '', body };
}
