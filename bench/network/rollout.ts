/** What a rolling update under load costs its clients. */
import { Agent, get } from 'node:http';
import type { Deployment, Ingress } from '#types';
import { deployments, ingresses, services } from '../../src/api/resources/index.js';
import type { Client } from '../../src/client/index.js';
import { withCluster } from '../cluster.js';
import { until } from '../load.js';
import { quantile, type Result } from '../report.js';
import { PORT, serviceOf } from './targets.js';

const HTTP_PORT = 18082;
const REPLICAS = 4;
const CLIENTS = 8;
const UPDATES = 3;
const labels = { app: 'rolled' };

export function benchRollout(): Promise<Result[]> {
  return withCluster({ up: ['--ingress-http-port', `${HTTP_PORT}`] }, async ({ client }) => {
    await client.of(deployments).create(deployment);
    const { spec } = await client.of(services).create(serviceOf('rolled', { selector: labels }));
    await client.of(ingresses).create(ingress);
    await rolledOut(client);
    const ways = { Service: `http://${spec.clusterIP}/`, Ingress: `http://127.0.0.1:${HTTP_PORT}/` };
    for (const url of Object.values(ways))
      await until(`${url} answers`, async () => ((await request(url)) ? undefined : true));
    const loads = Object.entries(ways).map(([way, url]) => ({ way, load: new Load(url) }));
    const started = performance.now();
    for (let i = 0; i < UPDATES; i++) {
      const version = { spec: { template: { metadata: { annotations: { version: `${i}` } } } } };
      await client.of(deployments).patch('default', 'rolled', version, { type: 'merge' });
      await rolledOut(client);
    }
    const seconds = (performance.now() - started) / 1000 / UPDATES;
    const rows: Result[] = [
      { name: `rolling update of ${REPLICAS} pods under load`, value: seconds, unit: 's' },
    ];
    for (const { way, load } of loads) {
      const { latencies, failures } = await load.end();
      if (failures[0]) process.stderr.write(`${way}: ${failures[0]}\n`);
      rows.push(
        { name: `requests by ${way} meanwhile`, value: latencies.length, unit: '' },
        { name: `requests by ${way} meanwhile, failed`, value: failures.length, unit: '', target: 1 },
        { name: `request by ${way} meanwhile, p99`, value: quantile(latencies, 0.99), unit: 'ms' },
      );
    }
    return rows;
  });
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'rolled', namespace: 'default' },
  spec: {
    replicas: REPLICAS,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        containers: [
          {
            name: 'web',
            image: 'keelson.dev/demo:blue',
            readinessProbe: { httpGet: { path: '/ready', port: PORT }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
} as unknown as Deployment;

const ingress = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name: 'rolled', namespace: 'default' },
  spec: { defaultBackend: { service: { name: 'rolled', port: { number: 80 } } } },
} as Ingress;

async function rolledOut(client: Client): Promise<void> {
  await until('the update is rolled out', async () => {
    const { metadata, spec, status = {} } = await client.of(deployments).get('default', 'rolled');
    const done =
      status.observedGeneration === metadata.generation &&
      status.updatedReplicas === spec.replicas &&
      status.replicas === spec.replicas &&
      status.availableReplicas === spec.replicas;
    return done ? true : undefined;
  });
}

/** Undefined if it was answered with success, else why not. Each on a connection of its own. */
function request(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = get(url, { agent: new Agent({ keepAlive: false }), timeout: 5000 }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200 ? undefined : `${response.statusCode}`));
      response.on('error', (error) => resolve(error.message));
    });
    call.on('timeout', () => call.destroy(new Error('no answer within 5 s')));
    call.on('error', (error) => resolve(error.message));
  });
}

/** Clients that ask without a pause until they are told to end. */
class Load {
  readonly #latencies: number[] = [];
  readonly #failures: string[] = [];
  readonly #clients: Promise<void>[];
  #ended = false;

  constructor(url: string) {
    this.#clients = Array.from({ length: CLIENTS }, async () => {
      while (!this.#ended) {
        const started = performance.now();
        const failure = await request(url);
        this.#latencies.push(performance.now() - started);
        if (failure !== undefined) this.#failures.push(failure);
      }
    });
  }

  async end(): Promise<{ latencies: number[]; failures: string[] }> {
    this.#ended = true;
    await Promise.all(this.#clients);
    return { latencies: this.#latencies, failures: this.#failures };
  }
}
