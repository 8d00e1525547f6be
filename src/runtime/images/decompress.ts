/** Layer compression, told from the first bytes: none, gzip or zstd. */
import { type Duplex, type Readable, Transform } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import { ImageError } from '../types.js';

const chunkSize = 1 << 18;
/** Compressed bytes that are worked on at once, so that the event loop goes on. */
const zstdStep = 1 << 14;

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

/** Node's own where it has it (22.15 and newer), else one in JavaScript. */
async function zstd(): Promise<Duplex> {
  const create = (zlib as { createZstdDecompress?: (options: object) => Duplex }).createZstdDecompress;
  if (create) return create({ chunkSize });
  const { Decompress } = await import('fzstd');
  let output: Transform;
  const inner = new Decompress((data) => output.push(Buffer.from(data.buffer, data.byteOffset, data.length)));
  const push = async (chunk: Uint8Array, last: boolean) => {
    try {
      for (let at = 0; at < chunk.length || last; at += zstdStep) {
        inner.push(chunk.subarray(at, at + zstdStep), last);
        if (last) return;
        await setImmediate();
      }
    } catch (error) {
      throw new ImageError('Corrupt', `zstd stream is corrupt: ${(error as Error).message}`);
    }
  };
  output = new Transform({
    transform: (chunk: Buffer, _encoding, done) => void push(chunk, false).then(() => done(), done),
    flush: (done) => void push(new Uint8Array(0), true).then(() => done(), done),
  });
  return output;
}
