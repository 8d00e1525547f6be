/** The end of a container's log, for its termination message. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** At most so many lines and bytes of text, without the log format's own fields; '' if there is no log. */
export function logTail(path: string, lines: number, bytes: number): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    // Each line has a time and a stream before its text: read somewhat more than will be shown.
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, bytes + lines * 64));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    const whole = buffer.toString().split('\n');
    if (buffer.length < size) whole.shift();
    const text = whole
      .filter((line) => line !== '')
      .slice(-lines)
      .map((line) => {
        const [, , tag = '', ...rest] = line.split(' ');
        return rest.join(' ') + (tag.startsWith('P') ? '' : '\n');
      })
      .join('');
    return Buffer.from(text).subarray(-bytes).toString();
  } finally {
    closeSync(fd);
  }
}
