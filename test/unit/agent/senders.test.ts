/** Statuses and tokens on their way: the newest wins, and what can't be had now is had later. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'mocha';
import { pino } from 'pino';
import type { PodStatus } from '#types';
import { StatusSender } from '../../../src/agent/pods/status-sender.js';
import { TokenSource } from '../../../src/agent/pods/token-source.js';
import { StatusError, serviceUnavailable } from '../../../src/api/machinery/status.js';
import { Client } from '../../../src/client/client.js';
import { FakeClock, settled } from '../../fixtures/fake-clock.js';
import { makePod } from './fakes.js';

describe('StatusSender', () => {
  /** What was sent, by phase; each waits for its answer. */
  let sent: { phase: string; answer(error?: Error): void }[];
  let connected: boolean;
  let clock: FakeClock;
  let sender: StatusSender;

  beforeEach(() => {
    sent = [];
    connected = true;
    clock = new FakeClock();
    const transport = {
      request: ({ body }: any) =>
        new Promise((resolve, reject) => {
          const phase = body.status.phase as string;
          sent.push({ phase, answer: (error) => (error ? reject(error) : resolve({})) });
        }),
    };
    const client = new Client(transport as never);
    sender = new StatusSender(client, () => connected, clock, pino({ level: 'silent' }));
  });

  const set = (phase: string) => sender.set(makePod(), { phase } as PodStatus);
  const phases = () => sent.map((s) => s.phase);

  it('sends one at a time, and leaves out what is old by then', async () => {
    for (const phase of ['1', '2', '3']) set(phase);
    await settled();
    assert.deepEqual(phases(), ['1']);
    sent[0]!.answer();
    await settled();
    assert.deepEqual(phases(), ['1', '3']);
    let done = false;
    sender.sent('uid-1').then(() => {
      done = true;
    });
    await settled();
    assert.equal(done, false);
    sent[1]!.answer();
    await settled();
    assert.equal(done, true);
  });

  it('keeps the newest while the hub is away, and sends it when it is back', async () => {
    connected = false;
    set('1');
    sent[0]!.answer(serviceUnavailable('away'));
    await settled();
    set('2');
    sent[1]?.answer(serviceUnavailable('away'));
    await clock.pass(60_000);
    const before = sent.length;
    connected = true;
    sender.connected();
    await settled();
    assert.deepEqual(phases().slice(before), ['2']);
  });

  it('tries again after an error', async () => {
    set('1');
    sent[0]!.answer(new StatusError(500, 'InternalError', 'no'));
    await clock.pass(1_000);
    assert.deepEqual(phases(), ['1', '1']);
  });

  for (const [code, reason] of [
    [404, 'NotFound'],
    [409, 'Conflict'],
  ] as const)
    it(`forgets the status of a pod that is gone (${code})`, async () => {
      set('1');
      sent[0]!.answer(new StatusError(code, reason, ''));
      await sender.sent('uid-1');
      await clock.pass(60_000);
      assert.deepEqual(phases(), ['1']);
    });
});

describe('TokenSource', () => {
  it('asks once, tells when four fifths are over, and keeps the old one while there is no new one', async () => {
    const clock = new FakeClock();
    let serial = 0;
    let fails = false;
    const source = new TokenSource(clock, async () => {
      if (fails) throw new Error('no hub');
      return { token: `t${++serial}`, expires: clock.now() + 1000_000 };
    });
    let rotations = 0;
    source.onRotate = () => rotations++;
    assert.deepEqual([await source.get('a', 1000), await source.get('a', 1000)], ['t1', 't1']);
    await clock.pass(799_000);
    assert.equal(rotations, 0);
    await clock.pass(2_000);
    assert.equal(rotations, 1);
    fails = true;
    assert.equal(await source.get('a', 1000), 't1');
    fails = false;
    await clock.pass(11_000);
    assert.equal(rotations, 2);
    assert.equal(await source.get('a', 1000), 't2');
    source.close();
    assert.equal(clock.timers, 0);
  });

  it('says why when there has never been one', async () => {
    const source = new TokenSource(new FakeClock(), async () => Promise.reject(new Error('refused')));
    await assert.rejects(source.get('', 600), /refused/);
  });
});
