/** One registry by the distribution API: https://github.com/opencontainers/distribution-spec/blob/main/spec.md */
import type { Readable } from 'node:stream';
import { ImageError } from '../../types.js';
import { sha256 } from '../digest.js';
import { manifestTypes, maxDocumentSize } from '../manifest.js';
import type { Reference } from '../reference.js';
import { answerChallenge, type Credentials, parseChallenge } from './auth.js';
import type { Endpoint } from './config.js';
import { discard, type HttpAnswer, type HttpClient, type HttpRequest } from './http.js';

export type RepositoryRequest = Partial<Pick<HttpRequest, 'method' | 'headers' | 'body'>>;

/** A repository at one endpoint, for one pull. */
export class Repository {
  private authorization: string | undefined;
  private readonly url: string;

  constructor(
    private readonly http: HttpClient,
    private readonly endpoint: Endpoint,
    private readonly reference: Reference,
    private readonly credentials: Credentials | undefined,
    readonly signal: AbortSignal,
  ) {
    this.url = `${endpoint.base}/v2/${reference.repository}`;
  }

  /** By tag or digest; the digest is computed, and checked when it was asked for. */
  async manifest(wanted: string): Promise<{ digest: string; document: Buffer }> {
    const answer = await this.request(`/manifests/${wanted}`, { accept: manifestTypes.join(', ') });
    const document = await readBounded(answer.body, `manifest ${wanted} of ${this.reference.full}`);
    const digest = sha256(document);
    if (wanted.startsWith('sha256:') && digest !== wanted)
      throw new ImageError(
        'Corrupt',
        `manifest of ${this.reference.full} does not match its digest: expected ${wanted}, got ${digest}`,
      );
    return { digest, document };
  }

  async smallBlob(digest: string): Promise<Buffer> {
    const answer = await this.request(`/blobs/${digest}`, {});
    const data = await readBounded(answer.body, `blob ${digest} of ${this.reference.full}`);
    if (sha256(data) !== digest)
      throw new ImageError(
        'Corrupt',
        `blob of ${this.reference.full} does not match its digest: expected ${digest}, got ${sha256(data)}`,
      );
    return data;
  }

  /** From `offset` on when the registry can: `start` tells where it begins. */
  async blob(digest: string, offset: number): Promise<{ body: Readable; start: number }> {
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const answer = await this.request(`/blobs/${digest}`, range);
    return { body: answer.body, start: answer.status === 206 ? offset : 0 };
  }

  private async request(path: string, headers: Record<string, string>): Promise<HttpAnswer> {
    const answer = await this.send(path, { headers });
    if (answer.status === 200 || answer.status === 206) return answer;
    discard(answer);
    throw this.failure(answer, 'GET');
  }

  /** Reads no more than the answer's head. Throws ImageError for any status but the one that is wanted. */
  async expect(wanted: number, path: string, request: RepositoryRequest): Promise<HttpAnswer> {
    const answer = await this.send(path, request);
    discard(answer);
    if (answer.status !== wanted) throw this.failure(answer, request.method ?? 'GET');
    return answer;
  }

  /** `path`: below the repository, or a whole address. With credentials when they are asked for; any status is an answer. */
  async send(path: string, request: RepositoryRequest): Promise<HttpAnswer> {
    const url = path.startsWith('/') ? this.url + path : path;
    let answer = await this.once(url, request);
    if (answer.status === 401) {
      discard(answer);
      const challenge = challengeOf(answer);
      const { http, endpoint, reference, credentials, signal } = this;
      const authorization = await answerChallenge(
        http,
        endpoint,
        challenge,
        reference.repository,
        credentials,
        signal,
      );
      if (!authorization) throw denied('authorization failed: no basic auth credentials');
      this.authorization = authorization;
      answer = await this.once(url, request);
    }
    return answer;
  }

  private once(url: string, { headers, ...request }: RepositoryRequest): Promise<HttpAnswer> {
    const authorization: Record<string, string> = this.authorization
      ? { authorization: this.authorization }
      : {};
    const { http, endpoint, signal } = this;
    const whole = { ...request, headers: { ...headers, ...authorization }, signal };
    return request.method && request.method !== 'HEAD'
      ? http.get(endpoint, url, whole)
      : http.getPatiently(endpoint, url, whole);
  }

  private failure(answer: HttpAnswer, method: string): ImageError {
    const { status, url } = answer;
    if (status === 404) return new ImageError('NotFound', `${this.reference.full}: not found`);
    if (status === 401) {
      const { error } = challengeOf(answer).parameters;
      return denied(`${error ? `server message: ${error}: ` : ''}authorization failed`);
    }
    const code = status === 403 ? 'Unauthorized' : 'Internal';
    return new ImageError(code, `unexpected status from ${method} request to ${url}: ${status}`);
  }
}

function challengeOf({ headers }: HttpAnswer) {
  const header = headers['www-authenticate'];
  return parseChallenge((Array.isArray(header) ? header[0] : header) ?? '');
}

function denied(why: string): ImageError {
  return new ImageError(
    'Unauthorized',
    `pull access denied, repository does not exist or may require authorization: ${why}`,
  );
}

async function readBounded(body: Readable, what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxDocumentSize)
      throw new ImageError('Corrupt', `${what} is larger than the ${maxDocumentSize} bytes that are allowed`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
