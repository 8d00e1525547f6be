import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../fixtures/cluster.js';
import { registerProcess } from '../../fixtures/registry.js';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the demo server', () => {
  let child: ChildProcess;
  let base: string;
  let port: number;
  let output: string;
  let ended: Promise<number | null>;

  beforeEach(async () => {
    port = await freePort();
    base = `http://127.0.0.1:${port}`;
    output = '';
    child = spawn('build/Release/keelson-demo', ['--address', `:${port}`, '--debug'], {
      env: { KEELSON_DEMO_VERSION: 'blue', COLOR: '<red>' },
    });
    registerProcess(child.pid!);
    child.stdout!.on('data', (chunk) => {
      output += chunk;
    });
    ended = new Promise((resolve) => child.once('exit', resolve));
    while (!output.includes('listening')) await sleep(5);
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    await ended;
  });

  const text = async (path: string, init?: RequestInit) => {
    const response = await fetch(base + path, init);
    return `${response.status} ${(await response.text()).trim()}`;
  };
  const json = async (path: string, init?: RequestInit): Promise<any> =>
    (await fetch(base + path, init)).json();
  /** What comes back for raw bytes. */
  const raw = (bytes: string | Buffer) =>
    new Promise<string>((resolve, reject) => {
      let answer = '';
      const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(answer));
    });

  it('shows where it runs, as page and as JSON', async () => {
    const info = await json('/json?a=b', { headers: { 'x-test': '"1"' } });
    assert.equal(info.version, 'blue');
    assert.equal(info.pid, child.pid);
    assert.equal(info.env.COLOR, '<red>');
    assert.equal(info.request.target, '/json?a=b');
    assert.equal(info.request.headers['x-test'], '"1"');
    assert.match(info.request.client, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(await json('/').then((root) => root.hostname), info.hostname);
    const page = await text('/', { headers: { accept: 'text/html' } });
    assert.match(page, /<h1>Keelson demo blue<\/h1>/);
    assert.match(page, /&lt;red&gt;/);
    const { commandLine, env } = await json('/env/api');
    assert.equal(commandLine.at(-1), '--debug');
    assert.equal(env.KEELSON_DEMO_VERSION, 'blue');
    assert.match(await text('/nothing'), /^404 not found/);
  });

  it('answers probes as it was told to', async () => {
    assert.equal(await text('/healthy'), '200 ok');
    await json('/healthy/api?code=503&times=2');
    assert.deepEqual(
      [await text('/healthy'), await text('/healthy'), await text('/healthy')],
      ['503 fail', '503 fail', '200 ok'],
    );
    assert.equal(await text('/ready'), '200 ok', 'each on its own');
    await json('/ready/api', { method: 'PUT', body: '{"failNext":-1}' });
    for (let i = 0; i < 3; i++) assert.equal(await text('/ready'), '500 fail');
    const state = await json('/ready/api');
    assert.deepEqual(
      state.history.map((past: { code: number }) => past.code),
      [500, 500, 500, 200],
    );
    await json('/ready/api', { method: 'PUT', body: '{"failNext":0}' });
    assert.equal(await text('/ready'), '200 ok');
    assert.match(await text('/ready/api?code=9'), /^400 /);
  });

  it('uses memory and processor time, and gives them back', async () => {
    const resident = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]);
    assert.ok(resident() < 4000, `${resident()} kB`);
    assert.equal((await json('/memory?mb=20')).allocatedBytes, 20 << 20);
    assert.ok(resident() > 20_000);
    await json('/mem/api/alloc?size=1000000', { method: 'POST' });
    assert.equal((await json('/memory/free')).allocatedBytes, 0);
    assert.ok(resident() < 4000);
    await json('/cpu?seconds=60&threads=1');
    await sleep(150);
    await text('/cpu/stop');
    const ticks = () => Number(readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[13]);
    await sleep(30);
    const used = ticks();
    assert.ok(used > 3, `${used} ticks`);
    await sleep(100);
    assert.ok(ticks() - used <= 1);
  });

  it('serves files', async () => {
    const response = await fetch(`${base}/fs/bin/busybox`);
    const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    assert.equal(hash(Buffer.from(await response.arrayBuffer())), hash(readFileSync('/bin/busybox')));
    assert.match(await text('/fs/etc'), /<a href="passwd">passwd<\/a>/);
    assert.equal(await text('/fs/etc/hostname'), `200 ${readFileSync('/etc/hostname', 'utf8').trim()}`);
    assert.match(await text('/fs/proc/self/status'), /Name:\s+keelson-demo/);
    assert.match(await text('/fs/none'), /^404 /);
    assert.match(await text('/fs/dev/null'), /^403 /);
  });

  it('serves many connections at once, and keeps them', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 200 });
    let reused = 0;
    const one = () =>
      new Promise<void>((resolve, reject) => {
        const request = get(`${base}/healthy`, { agent }, (response) => {
          if (request.reusedSocket) reused++;
          response.resume().on('end', resolve);
        });
        request.on('error', reject);
      });
    await Promise.all(Array.from({ length: 200 }, one));
    await Promise.all(Array.from({ length: 200 }, one));
    agent.destroy();
    assert.equal(reused, 200);
  });

  it('answers pipelined, chunked and old requests', async () => {
    const answers = await raw(
      'GET /healthy HTTP/1.1\r\n\r\n' +
        'PUT /healthy/api HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"fai\r\nc\r\nlNext": -1 }\r\n0\r\n\r\n' +
        'GET /healthy HTTP/1.0\r\n\r\nGET /never HTTP/1.1\r\n\r\n',
    );
    assert.deepEqual(
      [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      ['200', '200', '500'],
    );
    assert.match(answers, /Connection: close\r\n\r\nfail$/);
    assert.equal((await fetch(`${base}/healthy`, { method: 'HEAD' })).headers.get('content-length'), '4');
  });

  it('survives garbage', async () => {
    for (const [bytes, status] of [
      ['hello\r\n\r\n', 400],
      ['GET / HTTP/3\r\n\r\n', 505],
      ['GET  / HTTP/1.1\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nno colon\r\n\r\n', 400],
      ['POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n', 400],
      ['POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n', 413],
      ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400],
      [`GET /${'a'.repeat(70_000)}`, 431],
    ] as const)
      assert.match(await raw(bytes), new RegExp(`^HTTP/1\\.1 ${status} `), bytes.slice(0, 40));
    await raw(Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256))).catch(() => '');
    await raw('GET / HT').catch(() => '');
    assert.equal(await text('/healthy'), '200 ok');
  });

  it('writes a line for each request', async () => {
    await text('/healthy?x=%0a%1b[31m');
    const line = /\n\d{4}-\d\d-\d\dT\S+Z 127\.0\.0\.1:\d+ GET \/healthy\?x=%0a%1b\[31m 200 2\n/;
    // The answer can be here before the line.
    await eventually('the line', async () => line.test(output), 5000);
  });

  it('ends with the code that it is told, and at SIGTERM when all is answered', async () => {
    const idle = connect(port, '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    idle.destroy();
  });

  it('keeps a work queue, which a keygen job empties', async () => {
    assert.match(await text('/memq/server/queues/keys/enqueue', { method: 'POST', body: 'x' }), /^404 /);
    assert.match(await text('/memq/server/queues/keys', { method: 'PUT' }), /^201 /);
    for (const body of ['"one"', 'two']) {
      const message = await json('/memq/server/queues/keys/enqueue', { method: 'POST', body });
      assert.equal(message.body, body);
    }
    const code = await job([`--keygen-memq-server=${base}/memq/server`, '--keygen-memq-queue=keys']);
    assert.deepEqual(code, { code: 0, items: 2 });
    assert.deepEqual((await json('/memq/server/stats')).queues, [
      { name: 'keys', depth: 0, enqueued: 2, dequeued: 2, drained: 0 },
    ]);
    assert.match(await text('/memq/server/queues/keys/dequeue', { method: 'POST' }), /^204/);
  });

  it('makes so many keys and exits as it was told', async () => {
    assert.deepEqual(await job(['--keygen-num-to-gen=3', '--keygen-exit-code', '5']), { code: 5, items: 3 });
  });

  /** Runs a keygen job to its end. */
  async function job(argv: string[]) {
    const worker = spawn('build/Release/keelson-demo', [
      ...['--address', `127.0.0.1:${await freePort()}`, '--keygen-enable', '--keygen-exit-on-complete'],
      ...argv,
    ]);
    registerProcess(worker.pid!);
    let log = '';
    worker.stdout.on('data', (chunk) => {
      log += chunk;
    });
    const code = await new Promise((resolve) => worker.once('close', resolve));
    return { code, items: log.match(/ done: [0-9a-f]{64}/g)?.length };
  }

  it('looks names up', async () => {
    assert.match(await text('/dns?name=localhost'), /^200 .*127\.0\.0\.1/);
  });

  it('exits on demand', async () => {
    assert.equal(await text('/exit?code=7'), '200 bye');
    assert.equal(await ended, 7);
  });
});
