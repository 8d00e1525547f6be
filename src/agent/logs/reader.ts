/** Reads a container's log files: from the end backwards for a tail, and on as they grow, woken by inotify. */
import { watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LineFormatter, type LineOptions } from './cri-lines.js';
import { logFiles } from './rotation.js';

export interface LogOptions extends LineOptions {
  /** Only so many lines from the end. */
  tailLines?: number;
  /** Goes on until `ended`. */
  follow: boolean;
}

/** Whether no more will be written, and who wants to know when that changes. */
export interface LogSource {
  isOver(): boolean;
  /** Calls back when the source may be over; returns what stops that. */
  onOver(listener: () => void): () => void;
}

const CHUNK = 64 << 10;
const NEWLINE = 0x0a;

/** Where the last `lines` lines of the first `size` bytes begin, and how many there are. */
export async function tailOffset(
  file: FileHandle,
  size: number,
  lines: number,
): Promise<{ offset: number; found: number }> {
  if (lines === 0 || size === 0) return { offset: size, found: 0 };
  const buffer = Buffer.allocUnsafe(CHUNK);
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // The newline that ends the file ends its last line; it does not begin another.
      if (buffer[i] !== NEWLINE || start + i === size - 1) continue;
      if (++found === lines) return { offset: start + i + 1, found };
    }
    end = start;
  }
  return { offset: 0, found: found + 1 };
}

/** The log's text, chunk by chunk, as fast as it is taken: memory does not grow with the log. */
export async function* readLog(
  path: string,
  options: LogOptions,
  source: LogSource,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const wakeups = new Wakeups();
  const stopWatching = options.follow ? follow(path, source, signal, wakeups) : () => {};
  let current: Position | undefined;
  try {
    current = await beginning(path, options.tailLines);
    const formatter = new LineFormatter(options);
    // One for the whole log: what the formatter gives is a copy.
    const buffer = Buffer.allocUnsafe(CHUNK);
    let next: string | undefined;
    while (!signal.aborted && !formatter.done) {
      // Whether it is over must be known before the last read, or its last lines would be missed.
      const over = !options.follow || source.isOver();
      const { bytesRead } = await current.file.read(buffer, 0, CHUNK, current.offset);
      current.offset += bytesRead;
      if (bytesRead > 0) {
        const text = formatter.push(buffer.subarray(0, bytesRead));
        if (text.length > 0) yield text;
      } else if (next) {
        await current.file.close();
        current = { file: await open(next, 'r'), offset: 0 };
        next = undefined;
      } else {
        // Once there is a file after this one nothing more is written to it: the next read is its last.
        next = await successor(path, current.file);
        if (next) continue;
        if (over) return;
        await wakeups.wait();
      }
    }
  } finally {
    stopWatching();
    await current?.file.close();
  }
}

interface Position {
  file: FileHandle;
  offset: number;
}

/** Where to begin among the files of a log. */
async function beginning(path: string, tailLines: number | undefined): Promise<Position> {
  const files = await logFiles(path);
  if (tailLines === undefined) return { file: await open(files[0]!, 'r'), offset: 0 };
  let left = tailLines;
  for (const [i, name] of files.toReversed().entries()) {
    const file = await open(name, 'r');
    const { offset, found } = await tailOffset(file, (await file.stat()).size, left);
    left -= found;
    if (left <= 0 || i === files.length - 1) return { file, offset };
    await file.close();
  }
  throw new Error(`${path} is no log`);
}

/** The file that goes on where this one ends; undefined while it is the one that is written. */
async function successor(path: string, file: FileHandle): Promise<string | undefined> {
  const { ino } = await file.stat();
  const written = await stat(path).catch(() => undefined);
  if (written === undefined || written.ino === ino) return undefined;
  const files = await logFiles(path);
  const inodes = await Promise.all(files.map(async (name) => (await stat(name).catch(() => undefined))?.ino));
  return files[inodes.indexOf(ino) + 1];
}

/** Of the folder, since the file is another after each rotation. */
function follow(path: string, source: LogSource, signal: AbortSignal, wakeups: Wakeups): () => void {
  const wake = () => wakeups.wake();
  const watcher = watch(dirname(path), wake);
  watcher.on('error', wake);
  const stop = source.onOver(wake);
  signal.addEventListener('abort', wake, { once: true });
  return () => {
    watcher.close();
    stop();
    signal.removeEventListener('abort', wake);
  };
}

/** A wait that remembers a call that came before it. */
class Wakeups {
  #pending = false;
  #resolve: (() => void) | undefined;

  wake(): void {
    this.#pending = true;
    this.#resolve?.();
  }

  async wait(): Promise<void> {
    if (!this.#pending)
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    this.#pending = false;
    this.#resolve = undefined;
  }
}
