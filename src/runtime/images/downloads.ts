/** Layers' blobs on their way: a few at a time, each once, going on where a broken download stopped. */
import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, open, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NativeError, native } from '../native.js';
import { ImageError } from '../types.js';
import type { BlobStore } from './blobs.js';
import type { Descriptor } from './manifest.js';
import type { Repository } from './registry/registry.js';

const atOnce = 3;
/** In a row without one byte more. */
const maxFailures = 5;

/** The layers of one pull. */
export class Downloads {
  private readonly files: FileHandle[] = [];
  private readonly paths: string[] = [];
  private readonly waiting: (() => void)[] = [];
  private free = atOnce;
  private done = 0;

  constructor(
    private readonly blobs: BlobStore,
    private readonly repository: Repository,
    private readonly signal: AbortSignal,
    private readonly progress: (done: number) => void,
  ) {}

  /** Resolves with the file of the whole blob; its digest is not checked yet. */
  async fetch(descriptor: Descriptor): Promise<string> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      this.signal.throwIfAborted();
      return await this.download(descriptor);
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    }
  }

  private async download(descriptor: Descriptor): Promise<string> {
    const { file, path } = await this.openPartial(descriptor.digest);
    this.files.push(file);
    this.paths.push(path);
    let { size } = await file.stat();
    if (size > descriptor.size) size = 0;
    this.advance(size);
    for (let failures = 0; size < descriptor.size; ) {
      const before = size;
      try {
        size = await this.receive(file, descriptor, size);
        if (size < descriptor.size) throw new Error('unexpected end');
      } catch (error) {
        this.signal.throwIfAborted();
        if (error instanceof ImageError) throw error;
        size = Math.max(before, (await file.stat()).size);
        failures = size > before ? 0 : failures + 1;
        if (failures === maxFailures)
          throw new ImageError(
            'Internal',
            `failed to copy ${descriptor.digest}: ${(error as Error).message}`,
          );
        await sleep(200 * 2 ** failures, undefined, { signal: this.signal });
      }
    }
    return path;
  }

  /** Appends what comes; returns the size that the file has then. */
  private async receive(file: FileHandle, { digest, size: whole }: Descriptor, offset: number) {
    const { body, start } = await this.repository.blob(digest, offset);
    await file.truncate(start);
    this.advance(start - offset);
    let at = start;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (at + chunk.length > whole) {
        await file.truncate(0);
        throw new ImageError('Corrupt', `blob ${digest} is larger than the ${whole} bytes it should have`);
      }
      await file.write(chunk, 0, chunk.length, at);
      at += chunk.length;
      this.advance(chunk.length);
    }
    return at;
  }

  /** The file that an earlier pull began, or one of our own while somebody else works on that. */
  private async openPartial(digest: string): Promise<{ file: FileHandle; path: string }> {
    const path = this.blobs.partialPath(digest);
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      await native.flock(file.fd, false);
      return { file, path };
    } catch (error) {
      await file.close();
      if ((error as NativeError).code !== 'EAGAIN') throw error;
      const own = `${path}.${randomBytes(6).toString('hex')}`;
      return { file: await open(own, 'wx+'), path: own };
    }
  }

  private advance(bytes: number): void {
    this.done += bytes;
    if (bytes) this.progress(this.done);
  }

  /** `keep`: what is there of a broken download is of use to the next. */
  async close(keep: boolean): Promise<void> {
    await Promise.all(
      this.files.map(async (file, i) => {
        const path = this.paths[i]!;
        if (!keep || path.includes('.', path.lastIndexOf('/'))) await rm(path, { force: true });
        await file.close();
      }),
    );
  }
}
