/** JSON beside protobuf over TLS, apply beside update, and many objects: what the encodings cost. */
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { encodeProtobuf } from '../../src/api/schema/protobuf/index.js';
import type { HttpsTransportOptions } from '../../src/client/index.js';
import { withCluster } from '../cluster.js';
import { rate } from '../load.js';
import { quantile, type Result } from '../report.js';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const JSON_TYPE = 'application/json';
const PATH = '/api/v1/namespaces/default/configmaps';
const COUNT = 5_000;
const CONCURRENCY = 64;
const WATCHERS = 1_000;
const CHANGES = 10;

type Format = 'JSON' | 'protobuf';
const FORMATS: Format[] = ['JSON', 'protobuf'];
const TYPES: Record<Format, string> = { JSON: JSON_TYPE, protobuf: PROTOBUF };

const configMap = (name: string, text = 'x'.repeat(200)) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels: { encoded: 'yes' } },
  data: { text },
});

const encoded = (format: Format, object: { apiVersion: string; kind: string }): Buffer =>
  format === 'JSON' ? Buffer.from(JSON.stringify(object)) : encodeProtobuf(object)!;

class Caller {
  readonly #agent: Agent;
  readonly #server: URL;

  constructor({ server, ca, cert, key }: HttpsTransportOptions, sockets: number) {
    this.#server = new URL(server);
    this.#agent = new Agent({ keepAlive: true, maxSockets: sockets, ca, cert, key });
  }

  open(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: Buffer,
  ): Promise<IncomingMessage> {
    const { hostname, port } = this.#server;
    const length = body ? { 'content-length': String(body.length) } : {};
    return new Promise((resolve, reject) => {
      const call = request(
        { hostname, port, method, path, agent: this.#agent, headers: { ...headers, ...length } },
        resolve,
      );
      call.on('error', reject);
      call.end(body);
    });
  }

  /** Resolves with the bytes of the answer. */
  async call(method: string, path: string, type: string, body?: Buffer, contentType = type): Promise<number> {
    const response = await this.open(method, path, { accept: type, 'content-type': contentType }, body);
    let bytes = 0;
    for await (const chunk of response) bytes += (chunk as Buffer).length;
    if (response.statusCode! >= 300) throw new Error(`${method} ${path}: ${response.statusCode}`);
    return bytes;
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function calls(caller: Caller, format: Format): Promise<Result[]> {
  const type = TYPES[format];
  const name = (i: number) => `${format.toLowerCase()}-${i}`;
  const creates = await rate(COUNT, CONCURRENCY, (i) =>
    caller.call('POST', PATH, type, encoded(format, configMap(name(i)))),
  );
  const gets = await rate(COUNT, CONCURRENCY, (i) => caller.call('GET', `${PATH}/${name(i)}`, type));
  const times: number[] = [];
  let bytes = 0;
  for (let i = 0; i < 6; i++) {
    const started = performance.now();
    bytes = await caller.call('GET', `${PATH}?labelSelector=encoded`, type);
    times.push(performance.now() - started);
  }
  const [first, ...later] = times as [number, ...number[]];
  return [
    { name: `creates, ${format}`, value: creates, unit: '/s' },
    { name: `gets, ${format}`, value: gets, unit: '/s' },
    { name: `list, ${format}, first`, value: first, unit: 'ms' },
    { name: `list, ${format}, later`, value: quantile(later, 0.5), unit: 'ms' },
    { name: `list, ${format}, size`, value: bytes / 2 ** 20, unit: 'MiB' },
  ];
}

/** Server-side apply and update of the same objects. */
async function writes(caller: Caller): Promise<Result[]> {
  const body = (i: number, text: string) => encoded('JSON', configMap(`json-${i}`, text));
  const updates = await rate(COUNT, CONCURRENCY, (i) =>
    caller.call('PUT', `${PATH}/json-${i}`, JSON_TYPE, body(i, 'updated')),
  );
  const applies = await rate(COUNT, CONCURRENCY, (i) =>
    caller.call(
      'PATCH',
      `${PATH}/json-${i}?fieldManager=bench&force=true`,
      JSON_TYPE,
      body(i, 'applied'),
      'application/apply-patch+yaml',
    ),
  );
  return [
    { name: 'updates', value: updates, unit: '/s' },
    { name: 'server-side applies', value: applies, unit: '/s' },
  ];
}

/** Milliseconds from a write to its event at the last of many watchers, each on a connection of its own. */
async function fanOut(options: HttpsTransportOptions, caller: Caller, format: Format): Promise<Result> {
  const watchers = new Caller(options, WATCHERS);
  let seen = 0;
  let all: () => void = () => undefined;
  const open = async () => {
    const query = `watch=true&fieldSelector=metadata.name%3Djson-0&resourceVersion=${version}`;
    const stream = await watchers.open('GET', `${PATH}?${query}`, { accept: TYPES[format] });
    stream.on('data', () => {
      if (++seen === WATCHERS) all();
    });
    stream.on('error', () => undefined);
  };
  const version = await newestVersion(caller);
  for (let i = 0; i < WATCHERS; i += CONCURRENCY)
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, WATCHERS - i) }, open));
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    seen = 0;
    const delivered = new Promise<void>((resolve) => {
      all = resolve;
    });
    const started = performance.now();
    await caller.call('PUT', `${PATH}/json-0`, JSON_TYPE, encoded('JSON', configMap('json-0', `${i}`)));
    await delivered;
    times.push(performance.now() - started);
  }
  watchers.close();
  return {
    name: `write to event at ${WATCHERS} watchers, ${format}`,
    value: quantile(times, 0.5),
    unit: 'ms',
  };
}

async function newestVersion(caller: Caller): Promise<string> {
  const response = await caller.open('GET', `${PATH}/json-0`, { accept: JSON_TYPE });
  let text = '';
  for await (const chunk of response) text += chunk;
  return JSON.parse(text).metadata.resourceVersion;
}

export const benchEncodings = (): Promise<Result[]> => withCluster({}, ({ api }) => encodings(api));

async function encodings(options: HttpsTransportOptions): Promise<Result[]> {
  const caller = new Caller(options, CONCURRENCY);
  try {
    const results: Result[] = [];
    for (const format of FORMATS) {
      results.push(...(await calls(caller, format)));
      if (format === 'JSON') {
        results.push(...(await writes(caller)));
        for (const watched of FORMATS) results.push(await fanOut(options, caller, watched));
      }
      await caller.call('DELETE', `${PATH}?labelSelector=encoded`, JSON_TYPE);
    }
    return results;
  } finally {
    caller.close();
  }
}
