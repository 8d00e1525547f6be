/** Random access to the files of an archive: a folder, or a tar file (compressed ones are unpacked first). */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ImageError } from '../types.js';
import { decompressor } from './decompress.js';
import { maxDocumentSize } from './manifest.js';

export interface Archive {
  has(path: string): Promise<boolean>;
  /** A small file, wholly. */
  read(path: string): Promise<Buffer>;
  stream(path: string): Promise<Readable>;
  close(): Promise<void>;
}

/** `temporary`: a folder for the decompressed form. */
export async function openArchive(path: string, temporary: string): Promise<Archive> {
  const info = await stat(path).catch((error) => {
    throw new ImageError('NotFound', `cannot open ${path}: ${(error as Error).message}`);
  });
  if (info.isDirectory()) return new FolderArchive(path);
  const raw = createReadStream(path);
  try {
    const unzip = await decompressor(raw);
    if (!unzip) return await TarArchive.open(path);
    const plain = join(temporary, 'archive.tar');
    await pipeline(raw, unzip, createWriteStream(plain)).catch((error) => {
      throw new ImageError('Corrupt', `${path} is corrupt: ${(error as Error).message}`);
    });
    return await TarArchive.open(plain);
  } finally {
    raw.destroy();
  }
}

function clean(path: string): string {
  return posix.normalize(`/${path}`).slice(1);
}

class FolderArchive implements Archive {
  constructor(private readonly root: string) {}

  async has(path: string): Promise<boolean> {
    return (await stat(join(this.root, clean(path))).catch(() => undefined))?.isFile() ?? false;
  }

  async read(path: string): Promise<Buffer> {
    if (!(await this.has(path))) throw new ImageError('Corrupt', `${this.root} is corrupt: it lacks ${path}`);
    const { size } = await stat(join(this.root, clean(path)));
    if (size > maxDocumentSize) throw new ImageError('Corrupt', `${path} of ${this.root} is too large`);
    return readFile(join(this.root, clean(path)));
  }

  async stream(path: string): Promise<Readable> {
    if (!(await this.has(path))) throw new ImageError('Corrupt', `${this.root} is corrupt: it lacks ${path}`);
    return createReadStream(join(this.root, clean(path)), { highWaterMark: 1 << 18 });
  }

  async close(): Promise<void> {}
}

interface TarFile {
  offset: number;
  size: number;
  /** What a link leads to. */
  link?: string;
}

class TarArchive implements Archive {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly entries: Map<string, TarFile>,
  ) {}

  static async open(path: string): Promise<TarArchive> {
    const file = await open(path, 'r');
    try {
      return new TarArchive(path, file, await indexTar(file, path));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private find(path: string): TarFile | undefined {
    let entry = this.entries.get(clean(path));
    for (let hops = 0; entry?.link !== undefined && hops < 10; hops++) entry = this.entries.get(entry.link);
    return entry?.link === undefined ? entry : undefined;
  }

  private need(path: string): TarFile {
    const entry = this.find(path);
    if (!entry) throw new ImageError('Corrupt', `${this.path} is corrupt: it lacks ${path}`);
    return entry;
  }

  async has(path: string): Promise<boolean> {
    return this.find(path) !== undefined;
  }

  async read(path: string): Promise<Buffer> {
    const { offset, size } = this.need(path);
    if (size > maxDocumentSize) throw new ImageError('Corrupt', `${path} of ${this.path} is too large`);
    const buffer = Buffer.alloc(size);
    await this.file.read(buffer, 0, size, offset);
    return buffer;
  }

  async stream(path: string): Promise<Readable> {
    const { offset, size } = this.need(path);
    if (size === 0) return Readable.from([]);
    return createReadStream(this.path, { start: offset, end: offset + size - 1, highWaterMark: 1 << 18 });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

const field = (block: Buffer, at: number, size: number) =>
  block
    .subarray(at, at + size)
    .toString('utf8')
    .split('\0', 1)[0]!;

function number(block: Buffer, at: number, size: number): number {
  if (block[at]! & 0x80) return Number(BigInt(`0x${block.subarray(at + 1, at + size).toString('hex')}`));
  return Number.parseInt(field(block, at, size).trim() || '0', 8);
}

/** Where each file of a tar is; reads headers only. */
async function indexTar(file: FileHandle, path: string): Promise<Map<string, TarFile>> {
  const entries = new Map<string, TarFile>();
  const { size: end } = await file.stat();
  const block = Buffer.alloc(512);
  let extended: Record<string, string> = {};
  for (let at = 0; at + 512 <= end; ) {
    await file.read(block, 0, 512, at);
    at += 512;
    if (block.every((byte) => byte === 0)) break;
    const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
    if (sum !== number(block, 148, 8))
      throw new ImageError('Corrupt', `${path} is neither a tar file nor a folder`);
    const size = Number(extended['size'] ?? number(block, 124, 12));
    if (!Number.isSafeInteger(size) || at + size > end) throw new ImageError('Corrupt', `${path} is cut off`);
    const type = String.fromCharCode(block[156]!);
    if ('xLK'.includes(type)) {
      if (size > maxDocumentSize)
        throw new ImageError('Corrupt', `${path} has an extended header that is too large`);
      const data = Buffer.alloc(size);
      await file.read(data, 0, size, at);
      extended = { ...extended, ...readExtended(type, data) };
    } else if (type !== 'g') {
      const prefix = block.subarray(257, 263).toString('latin1') === 'ustar\0' ? field(block, 345, 155) : '';
      const name = extended['path'] ?? (prefix ? `${prefix}/` : '') + field(block, 0, 100);
      const target = extended['linkpath'] ?? field(block, 157, 100);
      if (type === '0' || type === '\0') entries.set(clean(name), { offset: at, size });
      if (type === '1') entries.set(clean(name), { offset: 0, size: 0, link: clean(target) });
      if (type === '2')
        entries.set(clean(name), { offset: 0, size: 0, link: clean(join(name, '..', target)) });
      extended = {};
    }
    at += Math.ceil(size / 512) * 512;
  }
  return entries;
}

function readExtended(type: string, data: Buffer): Record<string, string> {
  if (type === 'L') return { path: field(data, 0, data.length) };
  if (type === 'K') return { linkpath: field(data, 0, data.length) };
  const found: Record<string, string> = {};
  for (let at = 0; at < data.length; ) {
    const length = Number.parseInt(data.subarray(at, data.indexOf(0x20, at)).toString(), 10);
    if (!(length > 0)) break;
    const record = data.subarray(at, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    found[record.slice(record.indexOf(' ') + 1, equals)] = record.slice(equals + 1);
    at += length;
  }
  return found;
}
