/** Brings back what a cluster can't do without when it is deleted. */
import type { Logger } from 'pino';
import type { Clock } from '../api/machinery/clock.js';
import { Backoff, sleep } from '../client/retry.js';
import type { Key, Store } from '../store/store.js';
import { follow } from './follow.js';

export interface KeepDeps {
  store: Store;
  clock: Clock;
  logger: Logger;
  closing: AbortSignal;
}

/** Runs `ensure` when one of `keys` is deleted, again until it succeeds, until `closing`. Never rejects. */
export async function keep(keys: Key[], ensure: () => Promise<void>, deps: KeepDeps): Promise<void> {
  const { store, logger, closing } = deps;
  const restore = onlyOnce(() => untilDone(ensure, keys[0]!, deps));
  await Promise.all(
    keys.map(async (key) => {
      try {
        const changed = (changedKey: Key, object: unknown) => {
          if (object === undefined && changedKey === key) void restore();
        };
        const { done } = await follow(store, key, changed, closing);
        // It may have gone before anyone looked.
        if (store.get(key) === undefined) void restore();
        await done;
      } catch (error) {
        if (!closing.aborted) logger.error({ err: error }, `${key} is no longer kept`);
      }
    }),
  );
}

async function untilDone(
  ensure: () => Promise<void>,
  key: Key,
  { clock, logger, closing }: KeepDeps,
): Promise<void> {
  const backoff = new Backoff({ initial: 20, max: 30_000, jitter: 0.1 });
  while (!closing.aborted) {
    try {
      return await ensure();
    } catch (error) {
      // What belongs together is deleted one after the other: the next attempt finds a state that is whole.
      if (!closing.aborted) logger.warn({ err: error }, `${key} could not be brought back yet`);
      await sleep(clock, backoff.next(), closing);
    }
  }
}

/** Who calls while it runs gets one more run after it. */
function onlyOnce(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again = false;
  const loop = async () => {
    do {
      again = false;
      await run();
    } while (again);
    running = undefined;
  };
  return () => {
    again = true;
    running ??= loop();
    return running;
  };
}
