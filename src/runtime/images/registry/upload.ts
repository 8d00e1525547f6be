/** What goes to a registry: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push */
import { type Readable, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImageError } from '../../types.js';
import { discard } from './http.js';
import type { Repository } from './registry.js';

/** Gives the bytes anew each time. */
export type Body = () => Readable;

const ATTEMPTS = 3;

export class Upload {
  constructor(private readonly repository: Repository) {}

  /** Unless the registry has it. `advance` is told of bytes; of fewer than none when they have to be sent again. */
  async blob(
    { digest, size }: { digest: string; size: number },
    body: Body,
    advance: (bytes: number) => void,
  ): Promise<void> {
    const { repository } = this;
    const found = await repository.send(`/blobs/${digest}`, { method: 'HEAD' });
    discard(found);
    if (found.status === 200) return advance(size);
    for (let attempt = 1; ; attempt++) {
      let sent = 0;
      const count = (bytes: number) => {
        sent += bytes;
        advance(bytes);
      };
      try {
        return await this.#send(digest, size, body, count);
      } catch (error) {
        const passing = error instanceof ImageError && ['Unreachable', 'Internal'].includes(error.code);
        if (attempt === ATTEMPTS || !passing) throw error;
        advance(-sent);
        await sleep(250 * 2 ** attempt, undefined, { signal: repository.signal });
      }
    }
  }

  async #send(digest: string, size: number, body: Body, count: (bytes: number) => void): Promise<void> {
    const begun = await this.repository.expect(202, '/blobs/uploads/', {
      method: 'POST',
      headers: { 'content-length': '0' },
    });
    const { location } = begun.headers;
    if (typeof location !== 'string')
      throw new ImageError('Internal', 'the registry does not say where to upload to');
    const url = new URL(location, begun.url);
    url.searchParams.set('digest', digest);
    await this.repository.expect(201, url.href, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-length': `${size}` },
      body: () => body().pipe(counter(count)),
    });
  }

  async manifest(tag: string, type: string, document: Buffer): Promise<void> {
    await this.repository.expect(201, `/manifests/${tag}`, {
      method: 'PUT',
      headers: { 'content-type': type, 'content-length': `${document.length}` },
      body: () => document,
    });
  }
}

const counter = (count: (bytes: number) => void): Transform =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count(chunk.length);
      done(null, chunk);
    },
  });
