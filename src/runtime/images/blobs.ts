/** Content-addressed small blobs (manifests, configs), and layers' blobs that are on their way. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from '../types.js';
import { digestHex, sha256 } from './digest.js';

export class BlobStore {
  private readonly dir: string;
  private readonly partialDir: string;

  constructor(dir: string) {
    this.dir = join(dir, 'blobs', 'sha256');
    this.partialDir = join(dir, 'partial');
  }

  async prepare(): Promise<void> {
    await mkdir(this.dir, { recursive: true });
    await mkdir(this.partialDir, { recursive: true });
    await removeOld(this.partialDir, () => true);
    await removeOld(this.dir, (name) => name.includes('.'));
  }

  path(digest: string): string {
    return join(this.dir, digestHex(digest));
  }

  /** Where a download grows until it is whole; kept after a failure, so that it can be resumed. */
  partialPath(digest: string): string {
    return join(this.partialDir, digestHex(digest));
  }

  async read(digest: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.path(digest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** All that are whole, by digest. */
  async documents(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    for (const name of await readdir(this.dir)) {
      const data = await readFile(join(this.dir, name));
      if (sha256(data) === `sha256:${name}`) found.set(`sha256:${name}`, data);
    }
    return found;
  }

  /** Returns its digest; refused when it is not the expected one. */
  async write(data: Buffer, expected?: { digest: string; name: string }): Promise<string> {
    const digest = sha256(data);
    if (expected && expected.digest !== digest)
      throw new ImageError(
        'Corrupt',
        `${expected.name} does not match its digest: expected ${expected.digest}, got ${digest}`,
      );
    const temporary = `${this.path(digest)}.${randomBytes(6).toString('hex')}`;
    await writeFile(temporary, data);
    await rename(temporary, this.path(digest));
    return digest;
  }

  async remove(digest: string): Promise<void> {
    await rm(this.path(digest), { force: true });
  }
}

/** What a killed process began more than a day ago is of no use any more. */
async function removeOld(dir: string, isTemporary: (name: string) => boolean): Promise<void> {
  for (const name of (await readdir(dir)).filter(isTemporary)) {
    const { mtimeMs } = await stat(join(dir, name));
    if (Date.now() - mtimeMs > 86_400_000) await rm(join(dir, name), { force: true });
  }
}
