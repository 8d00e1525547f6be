/** Whatever comes in over HTTP, the server answers with something other than its own failure. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseApiVersion } from '../../../src/api/machinery/types.js';
import type { Resource } from '../../../src/api/resources/define.js';
import { resources } from '../../../src/api/resources/index.js';
import { encodeProtobuf } from '../../../src/api/schema/protobuf/index.js';
import { randomObject } from '../../fixtures/random-objects.js';
import { SEED } from '../../fixtures/seed.js';
import { startServer, type TestServer } from './server.js';

const JSON_TYPE = 'application/json';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
/** How often each property is tried: the same every time, so that a failure is the change's. */
const LIMIT = { seed: SEED, numRuns: 1500 };

interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

const rootOf = ({ apiVersion }: Resource) =>
  `${parseApiVersion(apiVersion).group === '' ? '/api' : '/apis'}/${apiVersion}`;

const collectionOf = (resource: Resource) =>
  `${rootOf(resource)}/${resource.namespaced ? 'namespaces/default/' : ''}${resource.plural}`;

const anyResource = fc.constantFrom(...(resources as Resource[]));
const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 8 }));
const segment = text.map((value) => encodeURIComponent(value));

/** An object of the kind's schema with values of any kind, in places replaced by something else altogether. */
const body = anyResource.chain((resource) =>
  fc.record({
    // Not the resource itself, which would be printed with a failure.
    path: fc.constant(collectionOf(resource)),
    object: fc.oneof(
      { weight: 4, arbitrary: randomObject(resource) as fc.Arbitrary<unknown> },
      { weight: 2, arbitrary: fc.tuple(randomObject(resource), fc.nat(), fc.jsonValue()).map(spoil) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
  }),
);

/** The object with the `at`-th of its members replaced. */
function spoil([object, at, value]: [unknown, number, unknown]): unknown {
  const copy = structuredClone(object);
  const members: [any, string][] = [];
  const walk = (parent: any) => {
    for (const name of Object.keys(parent)) {
      members.push([parent, name]);
      if (typeof parent[name] === 'object' && parent[name] !== null) walk(parent[name]);
    }
  };
  walk(copy);
  const [parent, name] = members[at % members.length]!;
  parent[name] = value;
  return copy;
}

const PARAMETERS = [
  'labelSelector',
  'fieldSelector',
  'limit',
  'continue',
  'resourceVersion',
  'resourceVersionMatch',
  'timeoutSeconds',
  'fieldManager',
  'fieldValidation',
  'dryRun',
  'force',
  'pretty',
  'gracePeriodSeconds',
  'propagationPolicy',
  'orphanDependents',
  'sendInitialEvents',
  'allowWatchBookmarks',
  'timeout',
  'includeObject',
  'container',
  'tailLines',
];
const VALUES = [
  '',
  '0',
  '-1',
  '1',
  '5',
  'true',
  'false',
  'All',
  'Strict',
  'Exact',
  'NotOlderThan',
  'metadata.name=a',
  'spec.nodeName=',
  'a in (b,c)',
  '!a',
  '999999999999999999999',
  '1e9',
  'Foreground',
  'a=b,',
  '%',
  'eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ',
];
const query = fc
  .array(fc.tuple(fc.constantFrom(...PARAMETERS), fc.oneof(fc.constantFrom(...VALUES), text)), {
    maxLength: 3,
  })
  .map((pairs) => new URLSearchParams(pairs).toString());

const TYPES = [
  JSON_TYPE,
  PROTOBUF,
  'application/yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  'text/plain',
  '',
  '*/*',
  `${JSON_TYPE};as=Table;g=meta.k8s.io;v=v1`,
  `${PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1`,
  ';;q=',
  'a/b;q=x',
];
const headers = fc.record({ accept: fc.constantFrom(...TYPES), 'content-type': fc.constantFrom(...TYPES) });

const path = fc.oneof(
  fc
    .tuple(
      anyResource,
      segment,
      fc.constantFrom(
        '',
        '/status',
        '/scale',
        '/log',
        '/finalize',
        '/binding',
        '/eviction',
        '/token',
        '/resize',
        '/x',
      ),
    )
    .map(([resource, name, sub]) => `${collectionOf(resource)}/${name}${sub}`),
  anyResource.map(collectionOf),
  anyResource.map(({ plural, ...rest }) => `${rootOf(rest as Resource)}/${plural}`),
  fc
    .array(
      fc.oneof(
        segment,
        fc.constantFrom('api', 'apis', 'v1', 'apps', 'namespaces', 'pods', 'watch', 'openapi', '..'),
      ),
      {
        maxLength: 6,
      },
    )
    .map((parts) => `/${parts.join('/')}`),
);

const rawBody = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((value) => Buffer.from(value)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([Buffer.from('k8s\0'), bytes])),
  fc
    .array(
      fc.record(
        {
          op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
          path: fc.constantFrom(
            '/metadata/labels/a',
            '/spec',
            '/',
            '',
            '/data/~1',
            '/metadata/finalizers/-',
            '/x/9',
          ),
          from: fc.constantFrom('/metadata', '/spec', 'x'),
          value: fc.jsonValue(),
        },
        { requiredKeys: ['op'] },
      ),
      { maxLength: 3 },
    )
    .map((patch) => Buffer.from(JSON.stringify(patch))),
);

describe('apiserver: whatever comes in', function () {
  this.timeout(60_000);
  let server: TestServer;
  before(async () => {
    server = await startServer();
    for (const name of ['a', 'b'])
      await server.http('POST', '/api/v1/namespaces/default/configmaps', {
        headers: { 'content-type': JSON_TYPE },
        body: JSON.stringify({ metadata: { name, labels: { a: 'b' } }, data: { x: 'y' } }),
      });
  });
  after(() => server?.close());

  async function check({ method, path, headers, body }: Sent) {
    const length = body ? { 'content-length': String(body.length) } : {};
    const { code, text } = await server.http(method, path, {
      headers: { ...headers, ...length },
      ...(body && { body }),
    });
    // Other answers from 500 on are those of upstream, which has no reason for some errors of clients.
    assert.ok(
      code < 500 || !text.includes('"reason":"InternalError"'),
      `${method} ${path}: ${code} ${text.slice(0, 500)}`,
    );
  }

  it('takes or refuses objects of every kind', async () => {
    const property = fc.asyncProperty(body, fc.boolean(), async ({ path, object }, asProtobuf) => {
      const bytes = asProtobuf ? tryEncode(object) : undefined;
      const type = bytes ? PROTOBUF : JSON_TYPE;
      await check({
        method: 'POST',
        path,
        headers: { 'content-type': type },
        body: bytes ?? Buffer.from(JSON.stringify(object)),
      });
    });
    await fc.assert(property, LIMIT);
  });

  it('answers any request', async () => {
    const property = fc.asyncProperty(
      fc.record({
        method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'),
        path,
        query,
        headers,
        body: rawBody,
      }),
      async ({ query: search, ...sent }) =>
        check({ ...sent, path: search === '' ? sent.path : `${sent.path}?${search}` }),
    );
    await fc.assert(property, LIMIT);
  });

  it('still works', async () => {
    assert.equal((await server.http('GET', '/livez')).code, 200);
    const { code, json } = await server.http('GET', '/api/v1/namespaces/default/configmaps');
    assert.deepEqual([code, json.kind], [200, 'ConfigMapList']);
  });
});

function tryEncode(object: unknown): Buffer | undefined {
  try {
    return encodeProtobuf(object as { apiVersion: string; kind: string });
  } catch {
    return undefined;
  }
}
