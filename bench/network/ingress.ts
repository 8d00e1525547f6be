/** Requests through the Ingress proxy, beside Debian's nginx as a proxy in front of the same pods. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ingress } from '#types';
import { ingresses, services } from '../../src/api/resources/index.js';
import { withCluster } from '../cluster.js';
import { until } from '../load.js';
import type { Result } from '../report.js';
import { background, output, requireTools } from '../tools.js';
import { PORT, serviceOf, servingPods } from './targets.js';

const HTTP_PORT = 18080;
const NGINX_PORT = 18081;
const CONNECTIONS = 32;
const SECONDS = 5;

interface Figures {
  /** Requests a second. */
  rate: number;
  /** Milliseconds. */
  p99: number;
}

export async function benchIngress(): Promise<Result[]> {
  requireTools(['wrk', 'nginx'], { nginx: 'nginx-light' });
  return withCluster({ up: ['--ingress-http-port', `${HTTP_PORT}`] }, async ({ client }) => {
    const labels = { app: 'web' };
    const pods = await servingPods(client, ['web-1', 'web-2', 'web-3'], { labels });
    const addresses = pods.map(({ status }) => `${status!.podIP}:${PORT}`);
    await client.of(services).create(serviceOf('web', { selector: labels }));
    await client.of(ingresses).create(ingress);
    const url = (port: number) => `http://127.0.0.1:${port}/healthy`;
    await answers(url(HTTP_PORT));
    const keelson = await load(url(HTTP_PORT));
    const nginx = await withNginx(addresses, async () => {
      await answers(url(NGINX_PORT));
      return load(url(NGINX_PORT));
    });
    const direct = await load(`http://${addresses[0]}/healthy`);
    const of = 'nginx as a proxy';
    return [
      { name: 'Ingress requests', value: keelson.rate, unit: '/s', limit: { value: nginx.rate, of } },
      { name: 'Ingress request, p99', value: keelson.p99, unit: 'ms', limit: { value: nginx.p99, of } },
      { name: 'requests to one of its pods', value: direct.rate, unit: '/s' },
    ];
  });
}

const ingress = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name: 'web', namespace: 'default' },
  spec: { defaultBackend: { service: { name: 'web', port: { number: 80 } } } },
} as Ingress;

const answers = (url: string) =>
  until(`${url} answers`, async () => ((await fetch(url).catch(() => undefined))?.ok ? true : undefined));

async function load(url: string): Promise<Figures> {
  const text = await output('wrk', '-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, '--latency', url);
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1];
  if (failed) throw new Error(`${failed} requests to ${url} failed.`);
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(text)!;
  const scale = { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's'];
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)![1]), p99: Number(p99) * scale };
}

/** An nginx of our own, whose files are all below a temporary folder. */
async function withNginx<T>(addresses: string[], work: () => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-nginx-'));
  const config = join(dir, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    config,
    `daemon off;
worker_processes ${availableParallelism()};
pid ${dir}/pid;
error_log ${dir}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${dir}/${name};`).join('\n  ')}
  upstream pods {
    least_conn;
    ${addresses.map((address) => `server ${address};`).join('\n    ')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${NGINX_PORT};
    location / {
      proxy_pass http://pods;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`,
  );
  const nginx = background('nginx', '-e', join(dir, 'error.log'), '-c', config);
  try {
    return await work();
  } finally {
    await nginx.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
