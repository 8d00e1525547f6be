/** The API's protobuf form. */
import assert from 'node:assert/strict';
import { decode } from '../../../src/api/schema/index.js';
import { decodeProtobuf, encodeProtobuf, isProtobuf } from '../../../src/api/schema/protobuf/index.js';

const objects = [
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      labels: { b: '2', a: '1' },
      creationTimestamp: '2024-05-01T10:00:00Z',
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', controller: false },
      ],
      managedFields: [{ manager: 'm', fieldsV1: { 'f:spec': {} } }],
    },
    spec: {
      volumes: [{ name: 'v', hostPath: { path: '/' } }],
      containers: [
        {
          name: 'c',
          resources: { limits: { cpu: '500m', memory: '1Gi' } },
          livenessProbe: { httpGet: { port: 'http' }, periodSeconds: 3 },
          readinessProbe: { tcpSocket: { port: 8080 } },
        },
      ],
      securityContext: { supplementalGroups: [1, 5_000_000_000], runAsUser: 0 },
      terminationGracePeriodSeconds: 0,
    },
    status: {},
  },
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    immutable: false,
    data: { key: 'AAEC/w==', none: '' },
  },
  {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'l' },
    spec: { renewTime: '2024-05-01T10:00:00.012345Z', leaseDurationSeconds: 40 },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'r' },
    data: { spec: { a: [1, null] } },
    revision: -3,
  },
  {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'xs.x.io' },
    spec: {
      group: 'x.io',
      names: { plural: 'xs', kind: 'X' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              additionalProperties: { type: 'string' },
              properties: { a: { items: { type: 'integer' }, minimum: 0.5, default: [{}] } },
              not: { additionalItems: false },
            },
          },
        },
      ],
    },
    status: { conditions: null, acceptedNames: { plural: '', kind: '' }, storedVersions: null },
  },
  {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    metadata: {},
    spec: {},
    status: { authenticated: true, user: { username: 'u', extra: { a: ['1', '2'] } } },
  },
];

describe('protobuf', () => {
  for (const object of objects)
    it(`keeps a ${object.kind} as it is`, () => {
      const { object: stored } = decode(object.apiVersion, object.kind, object, { mode: 'strict' });
      const bytes = encodeProtobuf(stored) as Uint8Array;
      assert.ok(isProtobuf(bytes));
      const { apiVersion, kind, value } = decodeProtobuf(bytes);
      assert.deepEqual([apiVersion, kind], [object.apiVersion, object.kind]);
      assert.deepEqual(decode(apiVersion, kind, value, { mode: 'strict' }).object, stored);
    });

  it('reads what kubectl sends to create a namespace', () => {
    const body = Buffer.concat([
      Buffer.from('k8s\0'),
      Buffer.from('0a0f0a0276311209', 'hex'),
      Buffer.from('Namespace'),
      Buffer.from('12190a130a03666f6f12001a0022002a0032003800420012001a00', 'hex'),
      Buffer.from('1a002200', 'hex'),
    ]);
    const { apiVersion, kind, value } = decodeProtobuf(body);
    assert.deepEqual(decode(apiVersion, kind, value, { mode: 'strict' }).object, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'foo' },
      spec: {},
      status: {},
    });
  });

  it('refuses what is no protobuf, what is cut off, and unknown kinds', () => {
    assert.throws(() => decodeProtobuf(Buffer.from('{}')), { code: 400 });
    const whole = encodeProtobuf({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
    } as any) as Uint8Array;
    assert.throws(() => decodeProtobuf(whole.subarray(0, whole.length - 8)), {
      code: 400,
      message: /decode protobuf/,
    });
    const other = Buffer.from(whole);
    other.write('Pox', other.indexOf('Pod'));
    assert.throws(() => decodeProtobuf(other), {
      code: 400,
      message: 'no kind "Pox" is registered for version "v1"',
    });
    assert.equal(encodeProtobuf({ apiVersion: 'x.io/v1', kind: 'X' }), undefined);
  });
});
