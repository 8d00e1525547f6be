import assert from 'node:assert/strict';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { deepCopy, type KubeObject } from '../../../../src/api/machinery/types.js';
import type { Resource } from '../../../../src/api/resources/define.js';
import * as kinds from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, updateErrors } from './support.js';

/** Each expected text is the start of an error; there must be as many. */
function check<T extends KubeObject>(
  title: string,
  resource: Resource<T>,
  fields: Record<string, unknown>,
  expected: string[],
  metadata = {},
): void {
  it(title, () => same(createErrors(resource, object(resource, fields, metadata)), expected));
}

function same(errors: string[], expected: string[]): void {
  assert.equal(errors.length, expected.length, errors.join('\n'));
  expected.forEach((start, i) => {
    assert.ok(errors[i]!.startsWith(start), `${errors[i]}\n  is not\n${start}`);
  });
}

const bytes = (value: string) => Buffer.from(value).toString('base64');

describe('namespaces', () => {
  const { namespaces } = kinds;
  it('carry their name as a label and a finalizer from the start', () => {
    const stored = created(namespaces, object(namespaces, {}, { labels: { a: 'b' } }));
    assert.deepEqual(stored.metadata.labels, { a: 'b', 'kubernetes.io/metadata.name': 'x' });
    assert.deepEqual(stored.spec, { finalizers: ['kubernetes'] });
    assert.deepEqual(stored.status, { phase: 'Active' });
  });
  it('keep their finalizers over an update', () => {
    const old = created(namespaces, object(namespaces, {}));
    const draft = object(namespaces, { spec: {} });
    namespaces.prepareForUpdate!(draft, old);
    assert.deepEqual(draft.spec, { finalizers: ['kubernetes'] });
  });
  it('are terminating once they are deleted, and not before', () => {
    const draft = object(namespaces, { spec: {}, status: { phase: 'Terminating' } });
    assert.deepEqual(namespaces.validateStatusUpdate!(draft, draft).map(text), [
      'status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty',
    ]);
    draft.metadata.deletionTimestamp = 'now';
    assert.deepEqual(namespaces.validateStatusUpdate!(draft, draft), []);
  });
  it('have labels for names', () => {
    assert.deepEqual(namespaces.validateName!('a.b'), ['must not contain dots']);
  });
});

describe('nodes', () => {
  const { nodes } = kinds;
  it('hold podCIDR and podCIDRs as one', () => {
    assert.deepEqual(defaulted(nodes, object(nodes, { spec: { podCIDR: '10.0.0.0/24' } })).spec.podCIDRs, [
      '10.0.0.0/24',
    ]);
  });
  it('can allocate what they have unless they say otherwise', () => {
    const node = defaulted(nodes, object(nodes, { status: { capacity: { cpu: '2' } } }));
    assert.deepEqual(node.status!.allocatable, { cpu: '2' });
  });
  const taint = { key: 'a', value: 'b', effect: 'NoSchedule' };
  check('taints', nodes, { spec: { taints: [taint, taint, { key: 'a' }] } }, [
    'metadata.taints[1]: Duplicate value: {"key":"a","value":"b","effect":"NoSchedule"}: taints must be unique by key and effect pair',
    'metadata.taints[2].effect: Required value',
  ]);
  check('pod CIDRs', nodes, { spec: { podCIDRs: ['10.0.0.0/24', '10.1.0.0/24', 'x'] } }, [
    'spec.podCIDRs[2]: Invalid value: "x": must be a valid CIDR value',
    'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.1.0.0/24","x"]: may specify no more than one CIDR for each IP family',
  ]);
  it('keep their pod CIDR and provider', () => {
    const old = created(nodes, object(nodes, { spec: { podCIDR: '10.0.0.0/24', providerID: 'a' } }));
    const next = object(nodes, { spec: { podCIDR: '10.1.0.0/24', providerID: 'b' } });
    same(updateErrors(nodes, old, next), [
      'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
      'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
    ]);
    const blank = created(nodes, object(nodes, {}));
    assert.deepEqual(updateErrors(nodes, blank, next), []);
  });
});

describe('config maps and secrets', () => {
  const { configMaps, secrets } = kinds;
  check('keys', configMaps, { data: { 'a b': '', c: '' }, binaryData: { c: '' } }, [
    'data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters',
    'data[c]: Invalid value: "c": duplicate of key present in binaryData',
  ]);
  check('more than 1 MiB', configMaps, { data: { a: 'x'.repeat(1024 * 1024 + 1) } }, [
    '[]: Too long: may not be more than 1048576 bytes',
  ]);
  check('1 MiB of bytes', secrets, { data: { a: bytes('x'.repeat(1024 * 1024)) } }, []);
  check('more bytes', secrets, { data: { a: bytes('x'.repeat(1024 * 1024 + 1)) } }, [
    'data: Too long: may not be more than 1048576 bytes',
  ]);

  it('do not change once they are immutable', () => {
    const map = (data: string, immutable?: boolean) => object(configMaps, { data: { a: data }, immutable });
    assert.deepEqual(updateErrors(configMaps, map('1', true), map('2')), [
      'immutable: Forbidden: field is immutable when `immutable` is set',
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
    assert.deepEqual(updateErrors(configMaps, map('1'), map('2', true)), []);
    assert.deepEqual(updateErrors(configMaps, map('1', true), map('1', true)), []);
  });

  it('take text as bytes and are opaque by default', () => {
    const secret = defaulted(
      secrets,
      object(secrets, { data: { a: 'eA==' }, stringData: { a: 'y', b: 'z' } }),
    );
    assert.deepEqual(secret.data, { a: bytes('y'), b: bytes('z') });
    assert.equal(secret.type, 'Opaque');
    assert.ok(!('stringData' in secret));
  });
  it('keep their type', () => {
    const secret = (type: string) => object(secrets, { type });
    assert.deepEqual(updateErrors(secrets, secret('a'), secret('b')), [
      'type: Invalid value: "b": field is immutable',
    ]);
  });

  const types: [string, Record<string, string>, string[]][] = [
    ['kubernetes.io/tls', { 'tls.crt': '' }, ['data[tls.key]: Required value']],
    ['kubernetes.io/tls', { 'tls.crt': '', 'tls.key': '' }, []],
    ['kubernetes.io/basic-auth', {}, ['data[username]: Required value', 'data[password]: Required value']],
    ['kubernetes.io/basic-auth', { username: '' }, []],
    ['kubernetes.io/ssh-auth', { 'ssh-privatekey': '' }, ['data[ssh-privatekey]: Required value']],
    ['kubernetes.io/dockerconfigjson', {}, ['data[.dockerconfigjson]: Required value']],
    [
      'kubernetes.io/dockerconfigjson',
      { '.dockerconfigjson': bytes('{') },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": '],
    ],
    ['kubernetes.io/dockerconfigjson', { '.dockerconfigjson': bytes('{"auths":{}}') }, []],
    [
      'kubernetes.io/service-account-token',
      {},
      ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    ],
    ['example.com/own', {}, []],
  ];
  for (const [type, data, expected] of types)
    check(`${type} with ${Object.keys(data)}`, secrets, { type, data }, expected);
});

describe('service accounts', () => {
  it('refer to secrets by name alone', () => {
    const account = object(kinds.serviceAccounts, { secrets: [{ name: 'a', namespace: 'b', uid: '1' }] });
    assert.deepEqual(created(kinds.serviceAccounts, account).secrets, [{ name: 'a' }]);
  });
});

describe('events', () => {
  const { events } = kinds;
  const involvedObject = { kind: 'Pod', namespace: 'default', name: 'web' };
  const modern = {
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingComponent: 'kubelet',
    reportingInstance: 'n',
    action: 'Pull',
    reason: 'Pulled',
  };
  check('what client-go writes', events, { involvedObject, reason: 'A', source: { component: 'a' } }, []);
  check('of a cluster-scoped object', events, { involvedObject: { kind: 'Node', name: 'n' } }, []);
  check('in another namespace', events, { involvedObject: { ...involvedObject, namespace: 'other' } }, [
    'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
  ]);
  check('new style', events, { involvedObject, ...modern }, []);
  check('new style without an action', events, { involvedObject, ...modern, action: '' }, [
    'action: Required value',
  ]);
  it('are selected by what they are about', () => {
    const event = object(events, { involvedObject, source: { component: 'kubelet' }, type: 'Normal' });
    const value = (field: string) => events.fields[field]!(event);
    assert.deepEqual(
      ['involvedObject.name', 'involvedObject.kind', 'source', 'type', 'involvedObject.uid'].map(value),
      ['web', 'Pod', 'kubelet', 'Normal', ''],
    );
  });
});

describe('endpoints, slices, leases, revisions', () => {
  check(
    'endpoints',
    kinds.endpoints,
    { subsets: [{}, { addresses: [{ ip: '127.0.0.1' }], ports: [{ port: 0 }, { port: 1, name: 'a' }] }] },
    [
      'subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`',
      'subsets[1].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range',
      'subsets[1].ports[0].name: Required value',
      'subsets[1].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
  );
  check(
    'slices',
    kinds.endpointSlices,
    {
      addressType: 'IPv4',
      endpoints: [{ addresses: [] }, { addresses: ['fd00::1'] }],
      ports: [{ port: 1 }, { port: 2 }],
    },
    [
      'endpoints[0].addresses: Required value: must contain at least 1 address',
      'endpoints[1].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address',
      'ports[1].name: Duplicate value: ""',
    ],
  );
  check('no address type', kinds.endpointSlices, {}, ['addressType: Required value']);
  it('a slice keeps its address type and counts its labels as content', () => {
    const slice = (addressType: string, labels = {}) =>
      object(kinds.endpointSlices, { addressType }, { generation: 1, labels });
    assert.deepEqual(updateErrors(kinds.endpointSlices, slice('IPv4'), slice('IPv6')), [
      'addressType: Invalid value: "IPv6": field is immutable',
    ]);
    const draft = slice('IPv4', { a: 'b' });
    kinds.endpointSlices.prepareForUpdate!(draft, slice('IPv4'));
    assert.equal(draft.metadata.generation, 2);
  });
  check('leases', kinds.leases, { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } }, [
    'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
  ]);
  check('revisions', kinds.controllerRevisions, { revision: -1 }, [
    'revision: Invalid value: -1: must be greater than or equal to 0',
    'data: Required value: data is mandatory',
  ]);
  check('a revision of a list', kinds.controllerRevisions, { revision: 1, data: [1] }, [
    'data: Required value: data must be a valid JSON object',
  ]);
  it('a revision keeps its data', () => {
    const revision = (data: unknown) => object(kinds.controllerRevisions, { revision: 1, data });
    const errors = updateErrors(kinds.controllerRevisions, revision({ a: 1 }), revision({ a: 2 }));
    assert.deepEqual(errors, ['data: Invalid value: {"a":2}: field is immutable']);
  });
});

describe('the registry', () => {
  it('finds by plural name and by kind', () => {
    assert.equal(kinds.findResource('apps', 'v1', 'deployments'), kinds.deployments);
    assert.equal(kinds.findResource('', 'v1', 'pods'), kinds.pods);
    assert.equal(kinds.findResource('apps', 'v1', 'pods'), undefined);
    assert.equal(kinds.findKind('v1', 'Pod'), kinds.pods);
    assert.equal(kinds.resourceOf(object(kinds.leases, {})), kinds.leases);
  });
  it('defaults change nothing the second time', () => {
    for (const resource of kinds.resources) {
      const once = defaulted(resource, object(resource, {}));
      assert.deepEqual(defaulted(resource, deepCopy(once)), once, resource.plural);
    }
  });
});
