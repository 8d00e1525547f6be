/** Sessions, logs and forwarded ports of a pod. */
import { get } from 'node:https';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import WebSocket from 'ws';
import { pods } from '../../src/api/resources/index.js';
import type { HttpsTransportOptions } from '../../src/client/index.js';
import { tool } from '../../test/fixtures/tools.js';
import { type BenchCluster, withCluster } from '../cluster.js';
import { times, until } from '../load.js';
import { quantile, type Result } from '../report.js';
import { background } from '../tools.js';
import { podsGone, startPods } from './starts.js';

const LOG_BYTES = 200e6;
const FORWARD_BYTES = 400e6;
const POD_PORT = 9000;
const LOCAL_PORT = 19_000;
const POD = '/api/v1/namespaces/default/pods';

export function benchStreams(): Promise<Result[]> {
  return withCluster({ up: ['--container-log-max-size', '1Gi'] }, async (cluster) => [
    ...(await exec(cluster)),
    await logs(cluster),
    ...(await forward(cluster)),
  ]);
}

const shell = (script: string) => ({ command: ['/bin/sh', '-c', script] });

/** Without kubectl, whose own start would be most of it. */
async function exec({ client, api }: BenchCluster): Promise<Result[]> {
  await startPods(client, ['shell']);
  await session(api);
  const taken = await times(50, () => session(api));
  return [
    { name: 'exec of true, p50', value: quantile(taken, 0.5), unit: 'ms' },
    { name: 'exec of true, p99', value: quantile(taken, 0.99), unit: 'ms' },
  ];
}

/** Resolves when the session has told its status. */
function session({ server, ca, cert, key }: HttpsTransportOptions): Promise<void> {
  const url = `${server.replace(/^http/, 'ws')}${POD}/shell/exec?command=true&stdout=true`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['v5.channel.k8s.io'], { ca, cert, key });
    socket.on('message', (data: Buffer) => {
      if (data[0] !== 3) return;
      const { status, message } = JSON.parse(data.subarray(1).toString());
      if (status === 'Success') resolve();
      else reject(new Error(message));
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('The session ended without a status.')));
  });
}

async function logs({ client, api }: BenchCluster): Promise<Result> {
  const line = 'x'.repeat(99);
  await startPods(client, ['writer'], shell(`yes ${line} | head -c ${LOG_BYTES}; exec sleep 1000000`));
  // Whole when two readings are.
  let value = 0;
  await until('the whole log is read', async () => {
    const started = performance.now();
    const read = await bytesOf(await open(api, `${POD}/writer/log`));
    value = read / 1e6 / ((performance.now() - started) / 1000);
    return read >= LOG_BYTES ? true : undefined;
  });
  return { name: `log of ${LOG_BYTES / 1e6} MB`, value, unit: 'MB/s' };
}

function open({ server, ca, cert, key }: HttpsTransportOptions, path: string): Promise<Readable> {
  return new Promise((resolve, reject) => {
    get(`${server}${path}`, { ca, cert, key }, (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`${path}: ${response.statusCode}`));
    }).on('error', reject);
  });
}

async function bytesOf(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += (chunk as Buffer).length;
  return bytes;
}

/** By kubectl, beside the same from the pod's own address. */
async function forward({ client, kubeconfig }: BenchCluster): Promise<Result[]> {
  const serve = `while true; do nc -l -p ${POD_PORT} -e head -c ${FORWARD_BYTES} /dev/zero; done`;
  await startPods(client, ['source'], shell(serve));
  const { status } = await client.of(pods).get('default', 'source');
  const direct = await download(status!.podIP!, POD_PORT);
  const argv = ['--kubeconfig', kubeconfig, 'port-forward', 'pod/source', `${LOCAL_PORT}:${POD_PORT}`];
  const kubectl = background(tool('kubectl'), ...argv);
  try {
    const value = await download('127.0.0.1', LOCAL_PORT);
    return [
      {
        name: `port-forward of ${FORWARD_BYTES / 1e6} MB by kubectl`,
        value,
        unit: 'MB/s',
        limit: { value: direct, of: "from the pod's address" },
      },
    ];
  } finally {
    await kubectl.stop();
    await podsGone(client);
  }
}

/** MB/s of what a port sends until it closes; waits until it is open. */
function download(host: string, port: number): Promise<number> {
  return until(`${host}:${port} sends everything`, async () => {
    const started = performance.now();
    const read = await bytesOf(connect({ host, port })).catch(() => 0);
    return read === FORWARD_BYTES ? read / 1e6 / ((performance.now() - started) / 1000) : undefined;
  });
}
