/** Port-forward over SPDY (`portforward.k8s.io`): each connection is a pair of an error and a data stream of one request id. */
import type { Duplex } from 'node:stream';
import { asStatusError } from '../api/machinery/status.js';
import { writeTo } from './back-pressure.js';
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
      else if (streamtype === 'data') pair.data = stream;
      if (!pair.error || !pair.data) return;
      pairs.delete(requestid);
      void forward(connection, pair as Required<Pair>, Number(port), pod, open);
    },
  });
  return connection;
}

async function forward(
  connection: SpdyConnection,
  { error, data }: Required<Pair>,
  port: number,
  pod: string,
  open: (port: number) => Promise<Duplex>,
): Promise<void> {
  try {
    const target = await open(port);
    target.on('error', () => undefined);
    data.receive({
      data: (bytes) => writeTo(target, bytes),
      end: (gone) => void (gone ? target.destroy() : target.end()),
    });
    await data.pump(target);
    target.destroy();
  } catch (cause) {
    data.receive({ data() {}, end() {} });
    const text = `error forwarding port ${port} to pod ${pod}: ${asStatusError(cause).message}`;
    await error.write(Buffer.from(text));
  }
  await Promise.all([data.finish(), error.finish()]);
  connection.forget(data);
  connection.forget(error);
}
