/** Events: what is written, what is joined, what is dropped. */
import assert from 'node:assert/strict';
import type { Event } from '#types';
import { StatusError } from '../../../src/api/machinery/status.js';
import { Client } from '../../../src/client/client.js';
import { EventRecorder } from '../../../src/client/event-recorder.js';
import type { Request } from '../../../src/client/transport.js';
import { FakeClock } from '../../fixtures/fake-clock.js';
import { ScriptedTransport, thing } from './scripted-transport.js';

describe('EventRecorder', () => {
  let transport: ScriptedTransport;
  let clock: FakeClock;
  let recorder: EventRecorder;
  const pod = thing('web', 7);

  beforeEach(() => {
    transport = new ScriptedTransport();
    clock = new FakeClock();
    // A server that keeps Events and counts.
    const events = new Map<string, Event>();
    transport.answers = [
      ({ method, path, body }: Request) => {
        if (method === 'POST') {
          events.set((body as Event).metadata.name, body as Event);
          return body;
        }
        const name = decodeURIComponent(path.split('/').pop()!);
        const patched = { ...events.get(name)!, ...(body as object) };
        events.set(name, patched);
        return patched;
      },
    ];
    recorder = new EventRecorder(new Client(transport), { component: 'kubelet', host: 'node-1', clock });
  });
  afterEach(() => recorder.close());

  const record = async (reason: string, message: string, object = pod) => {
    recorder.event(object, 'Normal', reason, message);
    await recorder.flush();
  };
  const bodies = () => transport.requests.map((r) => r.body as Event);

  it('writes an Event as upstream does', async () => {
    recorder.event(pod, 'Warning', 'Failed', 'it broke', { fieldPath: 'spec.containers{web}' });
    await recorder.flush();
    const { method, path, body } = transport.requests[0]!;
    assert.deepEqual([method, path], ['POST', '/api/v1/namespaces/default/events']);
    const { metadata, ...event } = body as Event;
    assert.match(metadata.name, /^web\.[0-9a-f]{16}$/);
    assert.deepEqual(event, {
      apiVersion: 'v1',
      kind: 'Event',
      involvedObject: {
        kind: 'Thing',
        namespace: 'default',
        name: 'web',
        uid: 'uid-web',
        apiVersion: 'test/v1',
        resourceVersion: '7',
        fieldPath: 'spec.containers{web}',
      },
      reason: 'Failed',
      message: 'it broke',
      source: { component: 'kubelet', host: 'node-1' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
      type: 'Warning',
      reportingComponent: 'kubelet',
      reportingInstance: 'node-1',
    });
  });

  it('puts Events about cluster-scoped objects in the namespace default', async () => {
    await record('Ready', 'x', { ...pod, metadata: { name: 'node-1', uid: 'u' } });
    assert.equal(bodies()[0]!.metadata.namespace, 'default');
    assert.equal(bodies()[0]!.involvedObject.namespace, undefined);
  });

  it('counts repeats with a patch', async () => {
    await record('Pulled', 'same');
    clock.advance(5000);
    await record('Pulled', 'same');
    clock.advance(5000);
    await record('Pulled', 'same');
    const [created, second, third] = transport.requests;
    assert.equal(transport.requests.length, 3);
    assert.equal(second!.method, 'PATCH');
    assert.ok(second!.path.endsWith(`/events/${(created!.body as Event).metadata.name}`));
    assert.deepEqual(second!.body, { count: 2, lastTimestamp: '2026-01-01T00:00:05Z', message: 'same' });
    assert.deepEqual(third!.body, { count: 3, lastTimestamp: '2026-01-01T00:00:10Z', message: 'same' });
  });

  it('gives different Events different names, also within a millisecond', async () => {
    for (const message of ['a', 'b', 'c']) await record('Pulled', message);
    assert.equal(new Set(bodies().map((e) => e.metadata.name)).size, 3);
  });

  it('writes a new Event if the one to count on is gone', async () => {
    await record('Pulled', 'same');
    const gone = (request: Request) => {
      if (request.method === 'PATCH') throw new StatusError(404, 'NotFound', 'gone');
      return request.body;
    };
    transport.answers = [gone];
    await record('Pulled', 'same');
    const [, patch, created] = transport.requests;
    assert.deepEqual([patch!.method, created!.method], ['PATCH', 'POST']);
    assert.equal((created!.body as Event).count, 2);
  });

  it('combines similar messages from the tenth on', async () => {
    for (let i = 1; i <= 12; i++) await record('Scheduling', `attempt ${i}`);
    const messages = transport.requests.map(
      (r) => `${r.method} ${(r.body as Event).count} ${(r.body as Event).message}`,
    );
    assert.deepEqual(messages.slice(8), [
      'POST 1 attempt 9',
      'POST 1 (combined from similar events): attempt 10',
      'PATCH 2 (combined from similar events): attempt 11',
      'PATCH 3 (combined from similar events): attempt 12',
    ]);
  });

  it('tells similar messages one by one when they are ten minutes apart', async () => {
    for (let i = 1; i <= 9; i++) await record('Scheduling', `attempt ${i}`);
    clock.advance(600_001);
    await record('Scheduling', 'attempt 10');
    assert.equal(bodies()[9]!.message, 'attempt 10');
  });

  it('stops a flood about one object after 25, and lets one through each five minutes', async () => {
    for (let i = 0; i < 40; i++) await record('Flood', 'same');
    assert.equal(transport.requests.length, 25);
    await record('Flood', 'same', thing('other', 1));
    assert.equal(transport.requests.length, 26);
    clock.advance(300_000);
    for (let i = 0; i < 3; i++) await record('Flood', 'same');
    assert.equal(transport.requests.length, 27);
    assert.equal(bodies()[26]!.count, 41);
  });

  it('tries again later when the server can not be reached, and not when it refuses', async () => {
    transport.answers = [
      new Error('ECONNREFUSED'),
      new StatusError(503, 'ServiceUnavailable', ''),
      (r: Request) => r.body,
    ];
    recorder.event(pod, 'Normal', 'A', 'a');
    await clock.pass(9_999);
    assert.equal(transport.requests.length, 1);
    await clock.pass(10_001);
    await recorder.flush();
    assert.equal(transport.requests.length, 3);
    transport.answers = [new StatusError(403, 'Forbidden', 'no')];
    recorder.event(pod, 'Normal', 'B', 'b');
    await clock.pass(60_000);
    assert.equal(transport.requests.length, 4);
  });

  it('drops what exceeds its queue instead of blocking', async () => {
    for (let i = 0; i < 3000; i++) recorder.event(thing(`p${i}`, 1), 'Normal', 'A', 'a');
    await recorder.flush();
    assert.ok(transport.requests.length >= 1000 && transport.requests.length <= 1001);
  });

  it('writes nothing after close', async () => {
    transport.answers = [new Error('ECONNREFUSED')];
    recorder.event(pod, 'Normal', 'A', 'a');
    await clock.pass(0);
    await recorder.close();
    recorder.event(pod, 'Normal', 'B', 'b');
    await clock.pass(100_000);
    assert.equal(transport.requests.length, 1);
    assert.equal(clock.timers, 0);
  });
});
