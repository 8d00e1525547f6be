/** Reads a container's log file: from its end backwards for a tail, and on as it grows, woken by inotify. */
import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { LineFormatter, type LineOptions } from './cri-lines.js';

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

/** Where the last `lines` lines of the first `size` bytes begin. */
export async function tailOffset(file: FileHandle, size: number, lines: number): Promise<number> {
  if (lines === 0) return size;
  const buffer = Buffer.allocUnsafe(CHUNK);
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // The newline that ends the file ends its last line; it does not begin another.
      if (buffer[i] !== NEWLINE || start + i === size - 1) continue;
      if (++found === lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

/** The log's text, chunk by chunk, as fast as it is taken: memory does not grow with the log. */
export async function* readLog(
  path: string,
  options: LogOptions,
  source: LogSource,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  const wakeups = new Wakeups();
  const stopWatching = options.follow ? follow(path, source, signal, wakeups) : () => {};
  try {
    const formatter = new LineFormatter(options);
    // One for the whole log: what the formatter gives is a copy.
    const buffer = Buffer.allocUnsafe(CHUNK);
    const { size } = await file.stat();
    let position = options.tailLines === undefined ? 0 : await tailOffset(file, size, options.tailLines);
    while (!signal.aborted && !formatter.done) {
      // Whether it is over must be known before the last read, or its last lines would be missed.
      const over = !options.follow || source.isOver();
      const { bytesRead } = await file.read(buffer, 0, CHUNK, position);
      position += bytesRead;
      if (bytesRead > 0) {
        const text = formatter.push(buffer.subarray(0, bytesRead));
        if (text.length > 0) yield text;
      } else if (over) return;
      else await wakeups.wait();
    }
  } finally {
    stopWatching();
    await file.close();
  }
}

function follow(path: string, source: LogSource, signal: AbortSignal, wakeups: Wakeups): () => void {
  const wake = () => wakeups.wake();
  const watcher = watch(path, wake);
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
