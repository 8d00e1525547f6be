/** Port-forward over SPDY (`portforward.k8s.io`): each connection is a pair of an error and a data stream of one request id. */
import type { Duplex } from 'node:stream';
import { asStatusError } from '../../api/machinery/status.js';
import { type Send, SpdyConnection, type SpdyStream } from './spdy.js';

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
}

/** Serves a client until it closes the connection. `open` connects to a port of the pod `pod`. */
export function spdyPortForward(
  send: Send,
  pod: string,
  open: (port: number) => Promise<Duplex>,
): SpdyConnection {
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection(send, {
    opened(stream) {
      const { streamtype, port = '', requestid = `${port}#${stream.id}` } = stream.headers;
      const pair = pairs.get(requestid) ?? {};
      pairs.set(requestid, pair);
      if (streamtype === 'error') pair.error = stream;
      else if (streamtype === 'data') {
        pair.data = stream;
        // What the client sends while the connection to the pod is made waits here.
        stream.data = holdUntil(stream);
      }
      if (!pair.error || !pair.data) return;
      pairs.delete(requestid);
      void forward(connection, pair as Required<Pair>, Number(port), pod, open);
    },
  });
  return connection;
}

const opened = new WeakMap<SpdyStream, { promise: Promise<void>; resolve: () => void }>();

/** Makes reading wait until the stream's real receiver is set. */
function holdUntil(stream: SpdyStream): SpdyStream['data'] {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  opened.set(stream, { promise, resolve });
  const held: SpdyStream['data'] = async (bytes) => {
    await promise;
    if (stream.data !== held) await stream.data(bytes);
  };
  return held;
}

async function forward(
  connection: SpdyConnection,
  { error, data }: Required<Pair>,
  port: number,
  pod: string,
  open: (port: number) => Promise<Duplex>,
): Promise<void> {
  let ended = false;
  data.end = () => {
    ended = true;
  };
  try {
    const target = await open(port);
    target.on('error', () => undefined);
    data.data = (bytes) => writeTo(target, bytes);
    data.end = () => {
      if (data.gone) target.destroy();
      else target.end();
    };
    opened.get(data)?.resolve();
    if (ended) data.end();
    await data.pump(target);
    target.destroy();
  } catch (cause) {
    data.data = () => undefined;
    opened.get(data)?.resolve();
    const text = `error forwarding port ${port} to pod ${pod}: ${asStatusError(cause).message}`;
    await error.write(Buffer.from(text));
  }
  await Promise.all([data.finish(), error.finish()]);
  connection.forget(data);
  connection.forget(error);
}

/** Resolves when the target can take more. */
function writeTo(target: Duplex, bytes: Buffer): void | Promise<void> {
  if (target.destroyed || target.writableEnded || target.write(bytes)) return;
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
