/** Which requests the typed client makes. */
import assert from 'node:assert/strict';
import { Client, type ResourceRef } from '../../../src/client/client.js';
import { generateName, randomSuffix, safeEncode } from '../../../src/client/names.js';
import { ScriptedTransport, thing, things } from './scripted-transport.js';

describe('Client', () => {
  const nodes: ResourceRef = {
    group: '',
    version: 'v1',
    apiVersion: 'v1',
    kind: 'Node',
    plural: 'nodes',
    namespaced: false,
  };
  let transport: ScriptedTransport;
  let client: Client;
  beforeEach(() => {
    transport = new ScriptedTransport();
    transport.answers = [{ metadata: {}, items: [] }];
    client = new Client(transport);
  });

  const cases: [
    what: string,
    call: (c: Client) => Promise<unknown>,
    method: string,
    path: string,
    query?: object,
  ][] = [
    ['get', (c) => c.of(things).get('ns', 'a'), 'GET', '/apis/test/v1/namespaces/ns/things/a'],
    ['get of a cluster-scoped object', (c) => c.of(nodes).get('', 'n'), 'GET', '/api/v1/nodes/n'],
    ['list of all namespaces', (c) => c.of(things).list(), 'GET', '/apis/test/v1/things'],
    [
      'list of a page',
      (c) =>
        c
          .of(things)
          .list({ namespace: 'ns', labelSelector: 'a in (b,c)', limit: 5, continue: 'x', fieldSelector: '' }),
      'GET',
      '/apis/test/v1/namespaces/ns/things',
      { labelSelector: 'a in (b,c)', limit: '5', continue: 'x' },
    ],
    ['create', (c) => c.of(things).create(thing('a', 1)), 'POST', '/apis/test/v1/namespaces/default/things'],
    [
      'create as a dry run',
      (c) => c.of(things).create(thing('a', 1), { dryRun: true, fieldManager: 'me' }),
      'POST',
      '/apis/test/v1/namespaces/default/things',
      { dryRun: 'All', fieldManager: 'me' },
    ],
    ['update', (c) => c.of(things).update(thing('a', 1)), 'PUT', '/apis/test/v1/namespaces/default/things/a'],
    [
      'status',
      (c) => c.of(things).updateStatus(thing('a', 1)),
      'PUT',
      '/apis/test/v1/namespaces/default/things/a/status',
    ],
    ['delete', (c) => c.of(things).delete('ns', 'a'), 'DELETE', '/apis/test/v1/namespaces/ns/things/a'],
    [
      'deleteCollection',
      (c) => c.of(things).deleteCollection({ namespace: 'ns', labelSelector: 'a=b' }),
      'DELETE',
      '/apis/test/v1/namespaces/ns/things',
      { labelSelector: 'a=b' },
    ],
    [
      'a subresource',
      (c) => c.of(things).createSubresource('ns', 'a', 'binding', {}),
      'POST',
      '/apis/test/v1/namespaces/ns/things/a/binding',
    ],
    ['a name that needs escaping', (c) => c.of(nodes).get('', 'a:b%c'), 'GET', '/api/v1/nodes/a%3Ab%25c'],
  ];
  for (const [what, call, method, path, query = {}] of cases)
    it(`${what}: ${method} ${path}`, async () => {
      await call(client);
      const [request] = transport.requests;
      assert.deepEqual([request!.method, request!.path], [method, path]);
      assert.deepEqual(request!.query ?? {}, query);
    });

  it('names the type of a patch', async () => {
    const types = ['merge', 'strategic', 'json', 'apply'] as const;
    for (const type of types) await client.of(things).patch('ns', 'a', {}, { type });
    assert.deepEqual(
      transport.requests.map((r) => r.headers?.['content-type']),
      [
        'application/merge-patch+json',
        'application/strategic-merge-patch+json',
        'application/json-patch+json',
        'application/apply-patch+yaml',
      ],
    );
  });

  it('sends the options of a delete as its body', async () => {
    await client.of(things).delete('ns', 'a', {
      gracePeriodSeconds: 0,
      propagationPolicy: 'Orphan',
      preconditions: { uid: 'u' },
      dryRun: true,
    });
    assert.deepEqual(transport.requests[0]!.body, {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      gracePeriodSeconds: 0,
      propagationPolicy: 'Orphan',
      preconditions: { uid: 'u' },
      dryRun: ['All'],
    });
  });

  it('gives the items of a list the type that the server leaves out', async () => {
    const { apiVersion: _, kind: __, ...bare } = thing('a', 1);
    transport.answers = [
      { apiVersion: 'test/v1', kind: 'ThingList', metadata: { resourceVersion: '1' }, items: [bare] },
    ];
    const { items } = await client.of(things).list();
    assert.deepEqual([items[0]!.apiVersion, items[0]!.kind], ['test/v1', 'Thing']);
    transport.answers = [{ metadata: { resourceVersion: '1' }, items: null }];
    assert.deepEqual((await client.of(things).list()).items, []);
  });

  it('keeps one ResourceClient a resource', () => {
    assert.equal(client.of(things), client.of(things));
    assert.notEqual(client.of(things), client.of(nodes));
  });
});

describe('names', () => {
  it('have suffixes of upstream’s alphabet', () => {
    assert.match(randomSuffix(1000), /^[bcdfghjklmnpqrstvwxz2456789]{1000}$/);
    assert.equal(randomSuffix().length, 5);
    assert.equal(
      randomSuffix(3, () => 0),
      'bbb',
    );
    assert.equal(
      randomSuffix(3, () => 0.999),
      '999',
    );
  });

  it('are cut to 63 characters', () => {
    const name = generateName('x'.repeat(70), () => 0);
    assert.equal(name, `${'x'.repeat(58)}bbbbb`);
    assert.equal(
      generateName('web-', () => 0),
      'web-bbbbb',
    );
  });

  it('encode a hash as upstream does', () => {
    assert.equal(safeEncode('0123456789'), '456789bcdf');
  });
});
