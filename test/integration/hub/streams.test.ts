/** Logs, exec and port-forward through the hub, served by a bare gRPC client. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'mocha';
import { Channel, type Frame } from '../../../src/rpc/hub.js';
import { connect, type Harness, type RawAgent, startHub } from './harness.js';

const LOG = {
  namespace: 'default',
  pod: 'a',
  uid: 'u',
  container: 'c',
  follow: false,
  previous: false,
  timestamps: false,
};
const EXEC = {
  ...{ namespace: 'default', pod: 'a', uid: 'u', container: 'c', command: ['cat'] },
  ...{ stdin: true, stdout: true, stderr: true, tty: false },
};
const signal = () => new AbortController().signal;
const text = (frame: Frame) => Buffer.from(frame.data?.bytes ?? []).toString();

describe('hub streams', () => {
  let harness: Harness;
  let agent: RawAgent;

  before(async () => {
    harness = await startHub();
  });
  afterEach(() => agent?.close());
  after(() => harness.close());

  /** The agent answers every order with these frames. */
  function answering(...frames: Frame[]): void {
    agent.onOpen = (id) => {
      const call = agent.dial();
      for (const frame of [{ open: id }, ...frames]) call.write(frame);
      call.on('data', () => {});
      if (frames.some((frame) => frame.exit || frame.failure)) call.end();
    };
  }

  const data = (channel: 0 | 1 | 2, bytes: string): Frame => ({
    data: { channel, bytes: Buffer.from(bytes) },
  });

  it('carries a log to its end', async () => {
    agent = await connect(harness, 'n1');
    answering({ ready: true }, data(1, 'one\n'), data(1, 'two\n'), { exit: { code: 0 } });
    const log = await harness.hub.logs('n1', LOG, signal());
    assert.equal((await log.toArray()).join(''), 'one\ntwo\n');
  });

  it('carries a command: its input, both outputs, size and exit code', async () => {
    agent = await connect(harness, 'n1');
    const got: Frame[] = [];
    agent.onOpen = (id, kind, request) => {
      assert.deepEqual([kind, request], ['exec', EXEC]);
      const call = agent.dial();
      call.write({ open: id });
      call.write({ ready: true });
      call.on('data', (frame: Frame) => {
        got.push(frame);
        if (frame.close === Channel.stdin) {
          for (const f of [data(1, 'out'), data(2, 'err'), { exit: { code: 7 } }]) call.write(f);
          call.end();
        }
      });
    };
    const session = await harness.hub.exec('n1', EXEC, signal());
    session.resize(80, 24);
    session.stdin!.end('hello');
    const [out, err] = await Promise.all([session.stdout!.toArray(), session.stderr!.toArray()]);
    assert.deepEqual([out.join(''), err.join(''), await session.exited], ['out', 'err', { exitCode: 7 }]);
    assert.equal(got.map(text).join(''), 'hello');
    assert.ok(got.some((frame) => frame.resize?.columns === 80 && frame.resize.rows === 24));
  });

  it('tells what the node says when it refuses', async () => {
    agent = await connect(harness, 'n1');
    answering({ failure: { code: 400, reason: 'BadRequest', message: 'container is waiting to start' } });
    await assert.rejects(harness.hub.logs('n1', LOG, signal()), {
      code: 400,
      message: 'container is waiting to start',
    });
  });

  it('answers 503 for a node that is not connected', async () => {
    await assert.rejects(harness.hub.logs('nowhere', LOG, signal()), { code: 503 });
  });

  it('fails what is open with 503 when the stream is cut in the middle', async () => {
    agent = await connect(harness, 'n1');
    let cut = () => {};
    agent.onOpen = (id) => {
      const call = agent.dial();
      for (const frame of [{ open: id }, { ready: true }, data(1, 'par')]) call.write(frame);
      cut = () => call.cancel();
    };
    const session = await harness.hub.exec('n1', EXEC, signal());
    const [first] = await once(session.stdout!, 'data');
    assert.equal(String(first), 'par');
    cut();
    await assert.rejects(session.exited, { code: 503 });
  });

  it('fails what was ordered and not dialled when the agent goes', async () => {
    agent = await connect(harness, 'n1');
    const log = harness.hub.logs('n1', LOG, signal());
    agent.close();
    await assert.rejects(log, { code: 503 });
  });

  it('serves an order to the node that it was given to, and to no other', async () => {
    agent = await connect(harness, 'n1');
    const thief = await connect(harness, 'n2');
    const stolen = new Promise<Frame>((resolve) => {
      agent.onOpen = (id) => {
        const call = thief.dial();
        call.on('data', resolve);
        call.write({ open: id });
      };
    });
    const abort = new AbortController();
    const log = harness.hub.logs('n1', LOG, abort.signal);
    assert.equal((await stolen).failure?.code, 404);
    abort.abort(new Error('enough'));
    await assert.rejects(log, /enough/);
    thief.close();
  });

  it('holds a fast sender back when nobody reads', async () => {
    agent = await connect(harness, 'n1');
    let sent = 0;
    agent.onOpen = (id) => {
      const call = agent.dial();
      call.write({ open: id });
      call.write({ ready: true });
      const more = () => {
        if (sent > 50 << 20) return;
        call.write(data(1, 'x'.repeat(32 << 10)), () => {
          sent += 32 << 10;
          more();
        });
      };
      more();
    };
    const log = await harness.hub.logs('n1', LOG, signal());
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.ok(sent < 4 << 20, `${sent} bytes were taken although nobody reads`);
    // It goes on when it is read.
    let read = 0;
    for await (const chunk of log) {
      read += chunk.length;
      if (read > 8 << 20) break;
    }
    assert.ok(read > 8 << 20);
  });
});
