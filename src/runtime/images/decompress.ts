/** Layer compression, told from the first bytes: none, gzip or zstd. */
import type { Duplex, Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { ImageError } from '../types.js';

const chunkSize = 1 << 18;

/** Reads on until there are four bytes or the end, and gives them back to the stream. */
async function firstBytes(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  while (size < 4) {
    const chunk = stream.read() as Buffer | null;
    if (chunk !== null) {
      parts.push(chunk);
      size += chunk.length;
    } else if (stream.readableEnded || stream.destroyed || !(await readableOrEnd(stream))) {
      break;
    }
  }
  const all = Buffer.concat(parts);
  if (all.length) stream.unshift(all);
  return all.subarray(0, 4);
}

function readableOrEnd(stream: Readable): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const settle = (work: () => void) => () => {
      stream.off('readable', onReadable).off('end', onEnd).off('error', onError);
      work();
    };
    const onReadable = settle(() => resolve(true));
    const onEnd = settle(() => resolve(false));
    const onError = (error: Error) => settle(() => reject(error))();
    stream.on('readable', onReadable).on('end', onEnd).on('error', onError);
  });
}

/** The stream that turns these bytes into a tar stream; undefined when they are one. */
export async function decompressor(stream: Readable): Promise<Duplex | undefined> {
  const magic = await firstBytes(stream);
  if (magic.length >= 2 && magic[0] === 0x1f && magic[1] === 0x8b) return zlib.createGunzip({ chunkSize });
  if (magic.length === 4 && magic.readUInt32LE(0) === 0xfd2fb528) return zstd();
  return undefined;
}

function zstd(): Duplex {
  const create = (zlib as { createZstdDecompress?: (options: object) => Duplex }).createZstdDecompress;
  if (!create)
    throw new ImageError(
      'Unsupported',
      'zstd layers need Node.js 22.15 or newer: this one cannot decompress them',
    );
  return create({ chunkSize });
}
