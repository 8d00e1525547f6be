/** SHA-256 digests as OCI writes them, and streams that check themselves. */
import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import { ImageError } from '../types.js';

export function sha256(data: Buffer | string): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

/** The hex digits of a `sha256:` digest; other algorithms are refused. */
export function digestHex(digest: string): string {
  const match = /^sha256:([a-f0-9]{64})$/.exec(digest);
  if (!match)
    throw new ImageError('Unsupported', `unsupported digest ${JSON.stringify(digest)}: only sha256 is known`);
  return match[1]!;
}

/** https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid */
export function chainIds(diffIds: string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) chain.push(chain.length ? sha256(`${chain.at(-1)} ${diffId}`) : diffId);
  return chain;
}

/** Passes bytes on and fails at the end, or as soon as there are too many, when they are not what was told. */
export function checkingStream(what: string, digest: string, size?: number): Transform {
  const hash = createHash('sha256');
  let seen = 0;
  return new Transform({
    highWaterMark: 1 << 18,
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (size !== undefined && seen > size)
        return done(new ImageError('Corrupt', `${what} is larger than the ${size} bytes it should have`));
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      if (size !== undefined && seen !== size)
        return done(new ImageError('Corrupt', `${what} has ${seen} bytes instead of ${size}`));
      const actual = `sha256:${hash.digest('hex')}`;
      if (actual !== digest)
        return done(
          new ImageError('Corrupt', `${what} does not match its digest: expected ${digest}, got ${actual}`),
        );
      done();
    },
  });
}
