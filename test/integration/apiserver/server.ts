/** An API server on a real TLS port, a kubeconfig for it, and nodes that are played. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pino } from 'pino';
import { systemClock } from '../../../src/api/machinery/clock.js';
import { ApiServer, type ApiServerOptions } from '../../../src/apiserver/server.js';
import { loadAuthorization } from '../../../src/auth/configuration/authorization.js';
import { loadAuthentication } from '../../../src/auth/configuration/load.js';
import type { AuthSettings } from '../../../src/auth/configuration/settings.js';
import { createAuth } from '../../../src/auth/index.js';
import { loadOrCreatePki, type Pki } from '../../../src/auth/pki.js';
import type { ExecSession, NodeStreams } from '../../../src/hub/node-streams.js';
import { renderKubeconfig } from '../../../src/server/kubeconfig.js';
import { openLevelStore, type Store } from '../../../src/store/index.js';
import { tool } from '../../fixtures/tools.js';

export interface Reply {
  code: number;
  headers: IncomingHttpHeaders;
  text: string;
  bytes: Buffer;
  json: any;
}

export interface TestServer {
  port: number;
  dir: string;
  store: Store;
  pki: Pki;
  admin: { cert: string; key: string };
  /** Runs kubectl; resolves with its output and exit code. */
  kubectl(args: string, input?: string): Promise<{ stdout: string; stderr: string; code: number }>;
  http(
    method: string,
    path: string,
    options?: { headers?: object; body?: string | Buffer; anonymous?: boolean; agent?: Agent },
  ): Promise<Reply>;
  /** Watches until `enough` has come, or the watch ends. */
  watch(
    path: string,
    accept: string,
    enough: (bytes: Buffer) => boolean,
  ): Promise<{ contentType: string; bytes: Buffer }>;
  close(): Promise<void>;
}

export async function startServer(
  settings: AuthSettings = {},
  options: Partial<ApiServerOptions> = {},
): Promise<TestServer> {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-test-api-'));
  const store = await openLevelStore(join(dir, 'db'));
  const pki = await loadOrCreatePki(join(dir, 'pki'));
  const authentication = await loadAuthentication(settings, pki.caCert, systemClock);
  const authorizers = await loadAuthorization(settings, systemClock);
  const auth = createAuth({ store, pki, clock: systemClock, authentication, authorizers });
  const proxyPki = await loadOrCreatePki(join(dir, 'front-proxy'), { commonName: 'front-proxy-ca' });
  const proxy = await proxyPki.ensure('client', { commonName: 'front-proxy-client', usage: 'client' });
  const server = new ApiServer({
    store,
    ...auth,
    frontProxy: { ca: proxyPki.caCert, ...proxy },
    clientCa: pki.caCert,
    serviceCidr: '10.96.0.0/16',
    clusterName: 'test',
    version: '0.0.0',
    logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
    ...options,
  });
  server.setNodeStreams(playedNodes);
  const serving = await pki.ensure('server', { commonName: 'api', ips: ['127.0.0.1'], usage: 'server' });
  const { port } = await server.listen({
    host: '127.0.0.1',
    port: 0,
    ...serving,
    clientCa: pki.caCert,
    proxyCa: authentication.proxyCa,
  });
  const admin = await pki.ensure('admin', {
    commonName: 'admin',
    organizations: ['system:masters'],
    usage: 'client',
  });
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    renderKubeconfig({
      clusterName: 'test',
      server: `https://127.0.0.1:${port}`,
      caCert: pki.caCert,
      ...admin,
    }),
  );
  const agents = {
    admin: new Agent({ keepAlive: true, ca: pki.caCert, ...admin }),
    anonymous: new Agent({ keepAlive: true, ca: pki.caCert }),
  };
  return {
    port,
    dir,
    store,
    pki,
    admin,
    kubectl: (args, input) => kubectl(args, { ...process.env, KUBECONFIG: kubeconfig, HOME: dir }, input),
    http: (method, path, { headers = {}, body, anonymous, agent: own } = {}) =>
      new Promise((resolve, reject) => {
        const agent = own ?? (anonymous ? agents.anonymous : agents.admin);
        const outgoing = request(
          { host: '127.0.0.1', port, method, path, agent, headers: headers as any },
          async (response) => {
            try {
              const chunks: Buffer[] = [];
              for await (const chunk of response) chunks.push(chunk);
              const bytes = Buffer.concat(chunks);
              const text = bytes.toString();
              const json = path.includes('watch=') ? undefined : parsed(response.headers, text);
              resolve({ code: response.statusCode!, headers: response.headers, text, bytes, json });
            } catch (error) {
              reject(error);
            }
          },
        );
        outgoing.on('error', reject);
        outgoing.end(body);
      }),
    watch: (path, accept, enough) =>
      new Promise((resolve, reject) => {
        const outgoing = request(
          { host: '127.0.0.1', port, path, agent: agents.admin, headers: { accept } },
          (response) => {
            let bytes = Buffer.alloc(0);
            const done = () => {
              resolve({ contentType: response.headers['content-type'] ?? '', bytes });
              outgoing.destroy();
            };
            response.on('data', (chunk: Buffer) => {
              bytes = Buffer.concat([bytes, chunk]);
              if (enough(bytes)) done();
            });
            response.on('end', done);
          },
        );
        outgoing.on('error', reject);
        outgoing.end();
      }),
    async close() {
      for (const agent of Object.values(agents)) agent.destroy();
      await server.close();
      auth.close();
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function parsed(headers: IncomingHttpHeaders, text: string): any {
  const plain = text !== '' && headers['content-encoding'] === undefined;
  return plain && headers['content-type']?.includes('json') ? JSON.parse(text) : undefined;
}

function kubectl(args: string, env: NodeJS.ProcessEnv, input?: string) {
  return new Promise<{ stdout: string; stderr: string; code: number }>((resolve) => {
    const child = execFile(
      tool('kubectl'),
      args.split(' '),
      { env, maxBuffer: 64 << 20 },
      (error: any, stdout, stderr) => resolve({ stdout, stderr, code: error ? (error.code ?? 1) : 0 }),
    );
    child.stdin?.end(input ?? '');
  });
}

/** Starts kubectl and leaves it running. */
export function startKubectl(args: string, dir: string) {
  return spawn(tool('kubectl'), args.split(' '), {
    env: { ...process.env, KUBECONFIG: join(dir, 'kubeconfig'), HOME: dir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** `exit N`, `cat`, `big N` (megabytes), `both`; logs tell what they were asked for. */
const playedNodes: NodeStreams = {
  async logs(_node, request) {
    return Readable.from([Buffer.from(`${JSON.stringify(request)}\n`), Buffer.from('second line\n')]);
  },
  async exec(_node, { command }) {
    const [what, argument] = command;
    const done = (exitCode: number) => Promise.resolve({ exitCode });
    const base = { stdin: undefined, stdout: undefined, stderr: undefined, resize() {}, close() {} };
    if (what === 'cat') return echo();
    if (what === 'big') return big(Number(argument));
    if (what === 'both')
      return {
        ...base,
        stdout: Readable.from([Buffer.from('out\n')]),
        stderr: Readable.from([Buffer.from('err\n')]),
        exited: done(0),
      };
    return { ...base, exited: done(Number(argument)) };
  },
  async attach() {
    return echo();
  },
  async portForward(_node, { port }) {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return socket;
  },
  async kubelet() {
    throw new Error('no node');
  },
  async stats() {
    return { node: { time: Date.now(), cpuNanos: 0, workingSetBytes: 0 }, pods: [] };
  },
};

function echo(): ExecSession {
  const pipe = new PassThrough();
  const exited = new Promise<{ exitCode: number }>((resolve) =>
    pipe.once('close', () => resolve({ exitCode: 0 })),
  );
  pipe.on('error', () => undefined);
  return {
    stdin: pipe,
    stdout: pipe,
    stderr: undefined,
    resize() {},
    exited,
    close: () => void pipe.destroy(),
  };
}

function big(megabytes: number): ExecSession {
  const chunk = Buffer.alloc(1 << 16, 'x');
  let left = megabytes * 16;
  const stdout = new Readable({
    read() {
      this.push(left-- > 0 ? chunk : null);
    },
  });
  const exited = new Promise<{ exitCode: number }>((resolve) =>
    stdout.once('end', () => resolve({ exitCode: 0 })),
  );
  return {
    stdin: undefined,
    stdout,
    stderr: undefined,
    resize() {},
    exited,
    close: () => void stdout.destroy(),
  };
}
