/** Protobuf on the wire: every kind of the API in random objects, read in JSON and protobuf by all verbs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseApiVersion } from '../../../src/api/machinery/types.js';
import type { Resource } from '../../../src/api/resources/define.js';
import { resources } from '../../../src/api/resources/index.js';
import { decode } from '../../../src/api/schema/index.js';
import { decodeProtobuf, encodeProtobuf } from '../../../src/api/schema/protobuf/index.js';
import { keyOf } from '../../../src/apiserver/keys.js';
import { randomObject } from '../../fixtures/random-objects.js';
import { SEED } from '../../fixtures/seed.js';
import { startServer, type TestServer } from './server.js';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const PARTIAL = `${PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`;
const OBJECTS = 3;
const stored = resources.filter((resource) => !resource.conversion);

const collection = ({ apiVersion, plural, namespaced }: Resource) => {
  const root = parseApiVersion(apiVersion).group === '' ? '/api' : '/apis';
  return `${root}/${apiVersion}/${namespaced ? 'namespaces/default/' : ''}${plural}`;
};

/** An empty list and none at all are the same in protobuf. */
function withoutEmptyLists(value: any): any {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutEmptyLists);
  const members = Object.entries(value).filter(([, member]) => !Array.isArray(member) || member.length > 0);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutEmptyLists(member)]));
}

/** A body as the decoder leaves it. */
const read = (bytes: Buffer) => {
  const { apiVersion, kind, value } = decodeProtobuf(bytes);
  return decode(apiVersion, kind, value, { mode: 'strict' }).object;
};

/** Frames of four bytes of length and a WatchEvent, those that are whole. */
function events(bytes: Buffer): { type: string; object: any }[] {
  const found: { type: string; object: any }[] = [];
  for (let at = 0; at + 4 < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (at + 4 + length > bytes.length) break;
    const type = bytes.subarray(at + 6, at + 6 + bytes[at + 5]!).toString();
    const object = bytes.subarray(bytes.indexOf('k8s\0', at), at + 4 + length);
    found.push({ type, object: read(object) });
    at += 4 + length;
  }
  return found;
}

describe('apiserver: protobuf', function () {
  this.timeout(60_000);
  let server: TestServer;
  const get = (path: string, accept: string) => server.http('GET', path, { headers: { accept } });
  before(async () => {
    server = await startServer();
  });
  after(() => server?.close());

  it('creates, updates and deletes; errors are Status objects in protobuf', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    const headers = { accept: PROTOBUF, 'content-type': PROTOBUF };
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'written' }, data: { a: '1' } };
    const made = await server.http('POST', path, { headers, body: encodeProtobuf(object)! });
    assert.equal(made.code, 201);
    const changed = { ...read(made.bytes), data: { a: '2' } };
    const put = await server.http('PUT', `${path}/written`, { headers, body: encodeProtobuf(changed)! });
    assert.deepEqual([put.code, read(put.bytes).data], [200, { a: '2' }]);
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'another' } };
    const body = encodeProtobuf(options)!;
    const withLength = { ...headers, 'content-length': body.length };
    const refused = await server.http('DELETE', `${path}/written`, { headers: withLength, body });
    assert.deepEqual([refused.code, read(refused.bytes).reason], [409, 'Conflict']);
    const gone = await server.http('DELETE', `${path}/written`, { headers });
    assert.deepEqual([gone.code, read(gone.bytes).status], [200, 'Success']);
    const missing = await get(`${path}/written`, PROTOBUF);
    assert.equal(missing.headers['content-type'], PROTOBUF);
    assert.deepEqual(read(missing.bytes).message, 'configmaps "written" not found');
  });

  it('refuses what has no form that the client accepts', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    const offered = `only the following media types are accepted: application/json, application/yaml, ${PROTOBUF}`;
    const table = await get(path, `${PROTOBUF};as=Table;g=meta.k8s.io;v=v1`);
    assert.deepEqual([table.code, table.json.message], [406, offered]);
    const watch = await get(`${path}?watch=1`, 'application/yaml');
    assert.deepEqual(
      [watch.code, watch.text.includes(`application/json;stream=watch, ${PROTOBUF};stream=watch`)],
      [406, true],
    );
    const other = await get('/apis/metrics.k8s.io/v1beta1/nodes', PROTOBUF);
    assert.equal(other.code, 406);
    assert.equal((await get('/apis/nowhere.io/v1/things', PROTOBUF)).code, 404);
  });

  it('tells of its groups and resources', async () => {
    const groups = read((await get('/apis', PROTOBUF)).bytes);
    assert.ok(groups.groups.some(({ name }: any) => name === 'apps'));
    const core = read((await get('/api/v1', PROTOBUF)).bytes);
    assert.ok(core.resources.some(({ name, verbs }: any) => name === 'pods' && verbs.includes('watch')));
  });

  // Last: nobody can write past the webhooks among them.
  describe('of random objects', () => {
    before(async () => {
      for (const resource of stored)
        for (const object of fc.sample(randomObject(resource), { numRuns: OBJECTS, seed: SEED })) {
          const { namespace = '', name } = object.metadata;
          await server.store.commit([{ key: keyOf(resource, namespace, name), object }]);
        }
    });

    for (const resource of stored)
      it(`${resource.apiVersion} ${resource.plural} (seed ${SEED})`, async () => {
        const { apiVersion, kind } = resource;
        const path = collection(resource);
        const strict = (value: unknown) =>
          withoutEmptyLists(decode<any>(apiVersion, kind, value, { mode: 'strict' }).object);
        const json = (await get(path, 'application/json')).json;
        const items = json.items.map((item: object) => strict({ apiVersion, kind, ...item }));
        assert.ok(items.length > 0);

        const list = await get(path, PROTOBUF);
        assert.equal(list.headers['content-type'], PROTOBUF);
        const listed = read(list.bytes);
        assert.deepEqual(
          { kind: listed.kind, apiVersion: listed.apiVersion, metadata: listed.metadata },
          { kind: json.kind, apiVersion: json.apiVersion, metadata: json.metadata },
        );
        assert.deepEqual(
          listed.items,
          items.map(({ apiVersion: _v, kind: _k, ...item }: any) => item),
        );

        const one = await get(`${path}/${items[0].metadata.name}`, PROTOBUF);
        assert.deepEqual(read(one.bytes), items[0]);

        const partial = read((await get(path, PARTIAL)).bytes);
        assert.equal(partial.kind, 'PartialObjectMetadataList');
        assert.deepEqual(
          partial.items,
          items.map(({ metadata }: any) => ({ metadata })),
        );

        const query = `watch=true&timeoutSeconds=1&resourceVersion=0`;
        const watched = await server.watch(
          `${path}?${query}`,
          PROTOBUF,
          (bytes) => events(bytes).length === items.length,
        );
        assert.equal(watched.contentType, `${PROTOBUF};stream=watch`);
        const seen = events(watched.bytes);
        assert.deepEqual(
          seen.map(({ type }) => type),
          items.map(() => 'ADDED'),
        );
        assert.deepEqual(
          seen.map(({ object }) => object),
          items,
        );
      });
  });
});
