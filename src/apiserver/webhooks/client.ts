/**
 * Calls webhooks: of admission, of CRD conversion, of authentication and authorization. Connections are kept and
 * shared by all calls to one place.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { Agent, buildConnector, request } from 'undici';
import { parseJsonStrict } from '../../api/schema/index.js';
import { describeFailure } from '../proxy/failures.js';
import { dialService, type ServiceReference } from '../proxy/service.js';
import type { Reach } from '../proxy/targets.js';

/** Whom to call: a URL, or a Service of the cluster. */
export interface WebhookTarget {
  url?: string;
  service?: ServiceReference & { path?: string };
  /** Base64 of the PEM that the server's certificate must come from; the machine's own roots when absent. */
  caBundle?: string;
  /** PEM: a certificate of ours to show. */
  clientCertificate?: { cert: string; key: string };
}

export interface CallOptions {
  /** The whole call; it is told to the webhook as `?timeout=10s`. */
  timeoutMs: number;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** A call that brought no answer; the message is worded like Go's HTTP client. */
export class WebhookCallError extends Error {
  constructor(
    message: string,
    /** Of the answer, where there was one that is no success. */
    readonly status?: number,
  ) {
    super(message);
    this.name = 'WebhookCallError';
  }
}

/** As long as an idle connection is kept. */
const KEEP_ALIVE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 30_000;
/** Places whose connections are kept at once; of more, the oldest are closed. */
const MAX_AGENTS = 100;
/** Like Go's client. */
const MAX_REDIRECTIONS = 10;
/** What sends the same request elsewhere; so does a server in Go where a URL has `//`. */
const REDIRECTS = new Set([307, 308]);
/** The largest answer that is read. */
const MAX_ANSWER = 16 * 1024 * 1024;

export class WebhookClient {
  readonly #agents = new Map<string, Agent>();

  readonly #closing = new AbortController();

  constructor(private readonly reach: Reach) {
    setMaxListeners(0, this.#closing.signal);
  }

  /** Posts `body` as JSON and gives the JSON of the answer. Rejects with WebhookCallError. */
  async post(target: WebhookTarget, body: unknown, options: CallOptions): Promise<unknown> {
    const url = urlOf(target, options.timeoutMs);
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
    try {
      return await this.#send(url, target, JSON.stringify(body), options.headers, signal);
    } catch (error) {
      if (error instanceof WebhookCallError) throw error;
      const why = deadline.aborted ? 'context deadline exceeded' : describeFailure(error, url);
      throw new WebhookCallError(`Post "${shownUrl(url, target)}": ${why}`);
    }
  }

  /** Closes all connections; calls under way end. */
  async close(): Promise<void> {
    this.#closing.abort();
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map((agent) => agent.destroy()));
  }

  async #send(
    url: URL,
    target: WebhookTarget,
    body: string,
    headers: CallOptions['headers'],
    signal: AbortSignal,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sendOnce(url, target, body, headers, signal);
      } catch (error) {
        // A kept connection may have been closed by the other side just now: nothing was asked yet.
        const stale = (error as NodeJS.ErrnoException).code === 'UND_ERR_SOCKET';
        if (!stale || attempt > 1 || signal.aborted) throw error;
      }
    }
  }

  async #sendOnce(
    url: URL,
    target: WebhookTarget,
    body: string,
    headers: CallOptions['headers'],
    signal: AbortSignal,
    redirections = MAX_REDIRECTIONS,
  ): Promise<unknown> {
    const answer = await request(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, */*',
        'user-agent': 'kube-apiserver-admission',
        ...headers,
      },
      dispatcher: this.#agent(url, target),
      signal,
    });
    const text = await answer.body.text();
    const { statusCode } = answer;
    const { location } = answer.headers;
    if (REDIRECTS.has(statusCode) && typeof location === 'string' && redirections > 0)
      return this.#sendOnce(new URL(location, url), target, body, headers, signal, redirections - 1);
    if (statusCode < 200 || statusCode > 299)
      throw new WebhookCallError(statusText(statusCode, text), statusCode);
    try {
      return parseJsonStrict(text).value;
    } catch (error) {
      throw new WebhookCallError(`couldn't get version/kind; json parse error: ${(error as Error).message}`);
    }
  }

  #agent(url: URL, target: WebhookTarget): Agent {
    const { caBundle = '', clientCertificate } = target;
    const key = JSON.stringify([url.origin, caBundle, clientCertificate?.cert, target.service]);
    const known = this.#agents.get(key);
    this.#agents.delete(key);
    const agent = known ?? this.#open(target);
    this.#agents.set(key, agent);
    if (this.#agents.size > MAX_AGENTS) {
      const [oldest, unused] = this.#agents.entries().next().value!;
      this.#agents.delete(oldest);
      void unused.close();
    }
    return agent;
  }

  #open({ caBundle, clientCertificate, service }: WebhookTarget): Agent {
    const connect = buildConnector({
      ...(caBundle && { ca: Buffer.from(caBundle, 'base64') }),
      // As for Go, whatever is in a bundle is trusted: often it is the server's own certificate, without its issuer.
      allowPartialTrustChain: true,
      ...clientCertificate,
      timeout: CONNECT_TIMEOUT_MS,
      // An answer of another connection must not skip the check of this one's certificate.
      maxCachedSessions: 0,
    });
    const { reach } = this;
    const { signal } = this.#closing;
    return new Agent({
      keepAliveTimeout: KEEP_ALIVE_MS,
      connections: 16,
      maxResponseSize: MAX_ANSWER,
      connect: service ? throughService : connect,
    } as Agent.Options);

    function throughService(options: buildConnector.Options, done: buildConnector.Callback): void {
      dialService(reach, service!)
        .then((dial) => dial(signal))
        .then(
          (socket) =>
            connect({ ...options, servername: options.hostname, httpSocket: socket as Socket }, done),
          (error) => done(error as Error, null),
        );
    }
  }
}

function urlOf({ url, service }: WebhookTarget, timeoutMs: number): URL {
  const at = new URL(url ?? serviceUrl(service!));
  at.searchParams.set('timeout', `${Math.ceil(timeoutMs / 1000)}s`);
  return at;
}

const serviceUrl = ({
  namespace,
  name,
  port = 443,
  path = '',
}: NonNullable<WebhookTarget['service']>): string =>
  `https://${name}.${namespace}.svc:${port}/${path.replace(/^\//, '')}`;

/** The URL as it is shown: the port of a Service is always named. */
const shownUrl = (url: URL, { service }: WebhookTarget): string =>
  service && url.port === '' ? url.href.replace(url.host, `${url.host}:443`) : url.href;

/** client-go's words for answers that are no success. */
function statusText(code: number, body: string): string {
  const shown = body.trim().slice(0, 2048);
  switch (code) {
    case 401:
      return 'the server has asked for the client to provide credentials';
    case 403:
      return shown || 'forbidden';
    case 404:
      return 'the server could not find the requested resource';
    case 405:
      return 'the server does not allow this method on the requested resource';
    case 429:
      return 'the server has received too many requests and has asked us to try again later';
    case 503:
      return 'the server is currently unable to handle the request';
    case 504:
      return 'the server was unable to return a response in the time allotted, but may still be processing the request';
    default:
      return code >= 500
        ? `an error on the server (${JSON.stringify(shown || 'unknown')}) has prevented the request from succeeding`
        : `the server responded with the status code ${code} but did not return more information`;
  }
}
