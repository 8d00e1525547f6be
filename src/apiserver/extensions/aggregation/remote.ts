/** The way to a server that stands behind an APIService, with what it needs to trust this one. */
import { buffer } from 'node:stream/consumers';
import type { ConnectionOptions } from 'node:tls';
import type { APIService } from '#types';
import type { User } from '../../../auth/user.js';
import { answerTo, type Backend, open } from '../../proxy/backend.js';
import { dialService, HTTPS_PORT, type ServiceReference } from '../../proxy/service.js';
import type { Reach } from '../../proxy/targets.js';

/** How this server proves to others that it has authenticated the user that it names. */
export interface FrontProxy {
  /** PEM. */
  ca: string;
  cert: string;
  key: string;
}

/** Of a remote APIService. */
export const serviceOf = ({ spec: { service } }: APIService): Required<ServiceReference> => ({
  namespace: service?.namespace ?? '',
  name: service?.name ?? '',
  port: service?.port ?? HTTPS_PORT,
});

/** Certificates are checked unless the APIService says otherwise. */
export function tlsOf({ spec }: APIService, proxy: FrontProxy | undefined, check = true): ConnectionOptions {
  const { namespace, name } = spec.service ?? {};
  return {
    servername: `${name}.${namespace}.svc`,
    ...(spec.caBundle ? { ca: Buffer.from(spec.caBundle, 'base64').toString() } : {}),
    allowPartialTrustChain: true,
    rejectUnauthorized: check && !spec.insecureSkipTLSVerify,
    ...(proxy ? { cert: proxy.cert, key: proxy.key } : {}),
  };
}

/** Rejects where nothing stands behind the Service. */
export async function backendOf(
  reach: Reach,
  apiService: APIService,
  tls: ConnectionOptions,
): Promise<Backend> {
  const target = serviceOf(apiService);
  const connect = await dialService(reach, target);
  return { scheme: 'https', host: `${target.name}.${target.namespace}.svc:${target.port}`, tls, connect };
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
