/** Probes against real servers on loopback, and their timing on a clock that is moved by hand. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Container, Probe } from '#types';
import { httpHandler, portNumber, tcpHandler } from '../../../src/agent/pods/handlers.js';
import { ContainerProbes } from '../../../src/agent/pods/probes.js';
import { FakeClock, settled } from '../../fixtures/fake-clock.js';
import { makePod } from './fakes.js';

const container: Container = { name: 'c', ports: [{ name: 'web', containerPort: 81 }] };
const target = { runtime: undefined as never, container, id: 'id', podIP: '127.0.0.1' };

describe('handlers', () => {
  let server: Server;
  let port: number;
  let asked: { path: string | undefined; agent: string | undefined; host: string | undefined }[];
  beforeEach(async () => {
    asked = [];
    server = createServer((request, response) => {
      const { 'user-agent': agent, host } = request.headers;
      asked.push({ path: request.url, agent, host });
      response.statusCode = Number(request.url?.slice(1)) || 200;
      if (request.url !== '/hang') response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const signal = new AbortController().signal;

  for (const [path, ok, output] of [
    ['/', true, ''],
    ['204', true, ''],
    ['/399', true, ''],
    ['/400', false, 'HTTP probe failed with statuscode: 400'],
    ['/500', false, 'HTTP probe failed with statuscode: 500'],
  ] as const)
    it(`GET ${path}`, async () => {
      assert.deepEqual(await httpHandler(target, { port, path }, 'kube-probe/1.36', signal), { ok, output });
      assert.deepEqual(asked[0]!.agent, 'kube-probe/1.36');
      assert.ok(asked[0]!.path?.startsWith('/'));
    });

  it('sends its own headers', async () => {
    await httpHandler(target, { port, httpHeaders: [{ name: 'Host', value: 'x.example' }] }, 'a', signal);
    assert.equal(asked[0]!.host, 'x.example');
  });

  it('says when nobody listens, and when there is no answer in time', async () => {
    const url = `"http://127.0.0.1:1/"`;
    const refused = await httpHandler(target, { port: 1 }, 'a', signal);
    assert.equal(refused.output, `Get ${url}: dial tcp 127.0.0.1:1: connect: connection refused`);
    const late = await httpHandler(target, { port, path: '/hang' }, 'a', AbortSignal.timeout(50));
    assert.match(late.output, /context deadline exceeded/);
    assert.deepEqual(await tcpHandler(target, { port }, signal), { ok: true, output: '' });
    const closed = await tcpHandler(target, { port: 1 }, signal);
    assert.deepEqual(closed, { ok: false, output: 'dial tcp 127.0.0.1:1: connect: connection refused' });
  });

  it('knows ports by name', () => {
    assert.deepEqual(
      [portNumber(container, 'web'), portNumber(container, 80), portNumber(container, '90')],
      [81, 80, 90],
    );
    assert.throws(() => portNumber(container, 'none'), /couldn't find port: "none"/);
  });
});

describe('ContainerProbes', () => {
  let clock: FakeClock;
  let log: string[];
  let answers: Record<string, number>;
  let probes: ContainerProbes | undefined;
  beforeEach(() => {
    clock = new FakeClock();
    log = [];
    answers = {};
  });
  afterEach(() => probes?.stop());

  /** Each probe runs a command that is called as the kind. */
  function start(kinds: Partial<Record<'startupProbe' | 'livenessProbe' | 'readinessProbe', Probe>>): void {
    const runtime = {
      exec: async (_id: string, [command = '']: string[]) => {
        log.push(`${(clock.now() - begun) / 1000}s ${command}`);
        const empty = () => new PassThrough().end();
        const exited = Promise.resolve({ exitCode: answers[command] ?? 0 });
        return { stdout: empty(), stderr: empty(), exited, close() {} };
      },
    };
    const begun = clock.now();
    const withExec = Object.fromEntries(
      Object.entries(kinds).map(([kind, probe]) => [
        kind,
        { ...probe, exec: { command: [kind.replace('Probe', '')] } },
      ]),
    );
    probes = new ContainerProbes({
      pod: makePod(),
      target: { ...target, runtime: runtime as never, container: { name: 'c', ...withExec } },
      clock,
      startedAt: begun,
      userAgent: 'a',
      changed: (kind, ok) => log.push(`${kind} ${ok}`),
      unhealthy: (message) => log.push(message),
    });
  }

  it('asks after the first delay, then at each period', async () => {
    start({ readinessProbe: { initialDelaySeconds: 5, periodSeconds: 3 } });
    await clock.pass(11_000);
    await settled();
    assert.deepEqual(
      log.filter((l) => l.endsWith('readiness')),
      ['5s readiness', '8s readiness', '11s readiness'],
    );
  });

  it('lets nothing be asked before the startup probe has passed', async () => {
    answers['startup'] = 1;
    start({ startupProbe: { periodSeconds: 1, failureThreshold: 10 }, livenessProbe: { periodSeconds: 1 } });
    await clock.pass(2_500);
    assert.ok(!log.some((l) => l.includes('liveness')));
    assert.ok(log.includes('Startup probe failed: '));
    answers['startup'] = 0;
    await clock.pass(2_000);
    const from = log.indexOf('startup true');
    assert.ok(from > 0 && log.slice(from).some((l) => l.endsWith('s liveness')));
    assert.ok(!log.slice(from).some((l) => l.endsWith('s startup')));
  });

  it('gives up a container once, after its failures in a row', async () => {
    answers['liveness'] = 1;
    start({ livenessProbe: { periodSeconds: 1, failureThreshold: 3 } });
    await clock.pass(10_000);
    assert.deepEqual(
      log.filter((l) => l.startsWith('liveness')),
      ['liveness false'],
    );
    assert.equal(log.filter((l) => l === 'Liveness probe failed: ').length, 3);
  });

  it('asks a container that ends only whether it is ready', async () => {
    start({ livenessProbe: { periodSeconds: 1 }, readinessProbe: { periodSeconds: 1 } });
    await clock.pass(2_500);
    probes!.keepReadiness();
    const before = log.length;
    answers['liveness'] = 1;
    await clock.pass(2_000);
    const asked = log.slice(before);
    assert.ok(asked.some((l) => l.endsWith('s readiness')));
    assert.ok(!asked.some((l) => l.endsWith('liveness')));
  });

  it('asks nothing more once stopped', async () => {
    start({ readinessProbe: { periodSeconds: 1 } });
    await clock.pass(1_000);
    probes!.stop();
    const count = log.length;
    await clock.pass(10_000);
    assert.deepEqual([log.length, clock.timers], [count, 0]);
  });
});
