/** TCP connections, by what comes of them. */
import { connect } from 'node:net';
import { sleep } from '../load.js';

/** Milliseconds until the connection stands; undefined if it was refused, or nothing came for `patience` ms. */
export function connects(host: string, port: number, patience = 200): Promise<number | undefined> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = connect({ host, port });
    const end = (result: number | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(undefined), patience);
    socket.once('connect', () => end(performance.now() - started));
    socket.once('error', () => end(undefined));
  });
}

/**
 * Milliseconds from `since` to the end of the first connection that stands. A try every 2 ms, whether or not the
 * last has ended: what is sent to an address that nobody has is answered by nobody.
 */
export async function firstConnection(host: string, port: number, since: number): Promise<number> {
  let first: number | undefined;
  const deadline = performance.now() + 30_000;
  while (first === undefined) {
    if (performance.now() > deadline) throw new Error(`${host}:${port} can't be reached.`);
    void connects(host, port).then((took) => {
      if (took !== undefined) first ??= performance.now();
    });
    await sleep(2);
  }
  return first - since;
}
