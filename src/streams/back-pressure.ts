/** Writing at the speed of the slower side. */
import type { Writable } from 'node:stream';

/** Writes; a promise, where the target can take no more just now, for when it can (or never will). */
export function writeTo(target: Writable, bytes: Buffer): void | Promise<void> {
  if (target.destroyed || target.writableEnded || bytes.length === 0 || target.write(bytes)) return;
  return new Promise((resolve) => {
    const done = () => {
      target.off('drain', done);
      target.off('close', done);
      resolve();
    };
    target.on('drain', done);
    target.on('close', done);
  });
}
