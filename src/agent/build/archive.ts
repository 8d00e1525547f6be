/** Tar files that ADD unpacks, and entries of layers that are wanted as files. */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { decompressor } from '../../runtime/images/decompress.js';
import { type TarItem, tarStream } from '../../runtime/images/tar-writer.js';
import { UnionView } from '../../runtime/images/union.js';
import { native } from '../../runtime/native.js';

/** What is in a tar file, packed or not; undefined for any other file. `folder` is made for it. */
export async function unpackArchive(path: string, folder: string): Promise<UnionView | undefined> {
  const raw = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    const unzip = await decompressor(raw);
    if (!unzip && !(await isTar(path))) return undefined;
    const entries = await unpack([raw, ...(unzip ? [unzip] : [])], folder);
    return entries > 0 ? new UnionView([folder]) : undefined;
  } catch (error) {
    // A packed file that is no tar is a file.
    if ((error as NodeJS.ErrnoException).code === 'EBADMSG') return undefined;
    throw error;
  } finally {
    raw.destroy();
  }
}

/** Writes the entries into a folder, which is made for them. */
export async function writeItems(items: TarItem[], folder: string): Promise<void> {
  await unpack([tarStream(items)], folder);
}

async function unpack(streams: Readable[], folder: string): Promise<number> {
  await mkdir(folder);
  const unpacker = new native.LayerUnpacker(folder, []);
  const write = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) await unpacker.write(chunk);
  };
  await pipeline([...streams, write] as never);
  return (await unpacker.close()).entries;
}

async function isTar(path: string): Promise<boolean> {
  const chunks = createReadStream(path, { start: 257, end: 261 });
  let magic = '';
  for await (const chunk of chunks) magic += (chunk as Buffer).toString('latin1');
  return magic === 'ustar';
}
