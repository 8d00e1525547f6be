/** HTTP/2 listeners' connections, which many requests share: none of them may end the others. */
import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2';

/**
 * Of a connection. A large answer that a client is slow to read counts as memory; the defaults (10 MB, then 100 refused
 * streams) would end all other streams of the connection for that.
 */
export const SESSION_LIMITS = { maxSessionMemory: 1024, maxSessionRejectedStreams: 1_000_000 };

/** nghttp2 ends a connection whose client resets more streams than these at once, and per second. */
const RESETS = { burst: 1000, perSecond: 33 };
/** What is left when the client is asked to open another connection; streams that are open go on. */
const RESERVE = 200;

/**
 * Tells the client to go on with a new connection before it has reset so many streams of this one that it would be cut
 * off: watches are ended by resetting their streams, so a busy client does that all the time.
 */
export function renewBeforeLimit(session: Http2Session, now: () => number = Date.now): void {
  let left = RESETS.burst;
  let last = now();
  const count = () => {
    const time = now();
    left = Math.min(RESETS.burst, left + ((time - last) / 1000) * RESETS.perSecond) - 1;
    last = time;
    if (left < RESERVE && !session.closed) session.close();
  };
  session.on('stream', (stream: ServerHttp2Stream) =>
    stream.once('close', () => {
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) count();
    }),
  );
}
