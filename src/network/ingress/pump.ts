/** Copies a body from one side to the other no faster than the slower of them, and bounds how long either may stall. */
import type { Readable } from 'node:stream';
import type { Sink } from './attempt.js';

export interface PumpOptions {
  /** How long (ms) the source may be silent; for ever when absent. */
  silence?: number;
  /** How long (ms) the sink may leave its buffer full. */
  stall: number;
  /** Told once which side it was; the pump has stopped. */
  timedOut(side: 'source' | 'sink'): void;
  /** Told of every piece. */
  passed?(bytes: number): void;
  /** When the source has ended; the sink is to be ended here. */
  ended(): void;
}

/** Errors of both streams are the caller's to handle. What comes after the sink is gone is thrown away. */
export function pump(
  source: Readable,
  sink: Pick<Sink, 'write' | 'on' | 'writableEnded'>,
  options: PumpOptions,
): void {
  let timer: NodeJS.Timeout | undefined;
  let open = true;
  const stop = () => clearTimeout(timer);
  const wait = (side: 'source' | 'sink', ms: number | undefined) => {
    clearTimeout(timer);
    if (ms === undefined) return;
    timer = setTimeout(() => {
      source.pause();
      options.timedOut(side);
    }, ms);
  };
  source.on('data', (chunk: Buffer) => {
    if (!open || sink.writableEnded) return stop();
    options.passed?.(chunk.length);
    if (sink.write(chunk)) wait('source', options.silence);
    else {
      source.pause();
      wait('sink', options.stall);
    }
  });
  sink.on('drain', () => {
    wait('source', options.silence);
    source.resume();
  });
  sink.on('close', () => {
    open = false;
    stop();
    source.resume();
  });
  source.on('close', stop);
  source.on('end', () => {
    stop();
    options.ended();
  });
  wait('source', options.silence);
}
