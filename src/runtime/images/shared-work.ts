/** One run for all who ask for the same thing at the same time; it is aborted when none of them waits any more. */

interface Running<T> {
  result: Promise<T>;
  waiting: number;
  abort: AbortController;
}

export class SharedWork<T> {
  private readonly running = new Map<string, Running<T>>();

  run(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    let entry = this.running.get(key);
    if (!entry || entry.abort.signal.aborted) {
      const abort = new AbortController();
      const started: Running<T> = { result: work(abort.signal), waiting: 0, abort };
      const forget = () => {
        if (this.running.get(key) === started) this.running.delete(key);
      };
      started.result.then(forget, forget);
      this.running.set(key, started);
      entry = started;
    }
    return join(entry, signal);
  }

  /** Aborts everything and waits until it has ended. */
  async close(): Promise<void> {
    const entries = [...this.running.values()];
    for (const entry of entries) entry.abort.abort();
    await Promise.allSettled(entries.map((entry) => entry.result));
  }
}

function join<T>(entry: Running<T>, signal: AbortSignal | undefined): Promise<T> {
  entry.waiting++;
  return new Promise<T>((resolve, reject) => {
    const leave = () => {
      signal?.removeEventListener('abort', onAbort);
      if (--entry.waiting === 0) entry.abort.abort();
    };
    const onAbort = () => {
      leave();
      reject(signal!.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    entry.result.then(
      (value) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(value);
      },
      (error) => {
        signal?.removeEventListener('abort', onAbort);
        reject(error);
      },
    );
  });
}
