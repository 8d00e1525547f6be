/** The decoder: type errors, unknown fields, canonical forms, and what stays out of an object. */
import assert from 'node:assert/strict';
import { decode, type FieldValidation, typeOfKind } from '../../../src/api/schema/index.js';

const pod = (spec: unknown, metadata: unknown = { name: 'p' }) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata,
  spec,
});
const decodePod = (spec: unknown, metadata?: unknown, mode: FieldValidation = 'strict') =>
  decode('v1', 'Pod', pod(spec, metadata), { mode });
const container = (fields: object) => ({ containers: [{ name: 'c', image: 'i', ...fields }] });

describe('decode', () => {
  const failures: [string, () => unknown, string][] = [
    [
      'a string for a number',
      () => decode('apps/v1', 'Deployment', { spec: { replicas: '3' } }, { mode: 'ignore' }),
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      'a fraction for an integer',
      () => decode('apps/v1', 'Deployment', { spec: { replicas: 1.5 } }, { mode: 'ignore' }),
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      'a number beyond 32 bits',
      () => decode('apps/v1', 'Deployment', { spec: { replicas: 2 ** 31 } }, { mode: 'ignore' }),
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      'a number in a map of strings',
      () => decodePod({}, { labels: { a: 1 } }),
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      'an object for a list',
      () => decodePod({ containers: {} }),
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      'a list for an object',
      () => decodePod([]),
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec',
    ],
    [
      'a boolean for a named string',
      () => decodePod(container({ imagePullPolicy: true })),
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal bool into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy',
    ],
    [
      'a field of an inlined type',
      () => decodePod(container({ livenessProbe: { exec: 'x' } })),
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field Probe.spec.containers.livenessProbe.exec of type v1.ExecAction',
    ],
    [
      'a quantity that is none',
      () => decodePod(container({ resources: { limits: { cpu: 'much' } } })),
      `Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
    ],
    [
      'a time that is none',
      () => decodePod({}, { creationTimestamp: '2024-01-01' }),
      'Pod in version "v1" cannot be handled as a Pod: parsing time "2024-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"',
    ],
    [
      'a time out of range',
      () => decodePod({}, { creationTimestamp: '2023-02-29T00:00:00Z' }),
      'Pod in version "v1" cannot be handled as a Pod: parsing time "2023-02-29T00:00:00Z": day out of range',
    ],
    [
      'bytes that are not base64',
      () => decode('v1', 'Secret', { data: { a: 'ab$d' } }, { mode: 'ignore' }),
      'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 2',
    ],
    [
      'an unknown field',
      () => decodePod({ ...container({ bar: 1 }), foo: 1 }),
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].bar", unknown field "spec.foo"',
    ],
    [
      'a duplicate field',
      () => decode('v1', 'Pod', pod({}), { mode: 'strict', duplicates: ['spec.nodeName'] }),
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "spec.nodeName"',
    ],
    [
      'a list as a whole',
      () => decode('v1', 'Pod', [], { mode: 'ignore' }),
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal array into Go value of type v1.Pod',
    ],
  ];
  for (const [what, run, message] of failures)
    it(`refuses ${what}`, () => assert.throws(run, { code: 400, reason: 'BadRequest', message }));

  it('blames the patch where there is one', () => {
    assert.throws(
      () => decode('v1', 'Pod', pod({ foo: 1 }), { mode: 'strict', patch: '{"spec":{"foo":1}}' }),
      {
        code: 422,
        message:
          ' "" is invalid: patch: Invalid value: "{\\"spec\\":{\\"foo\\":1}}": strict decoding error: unknown field "spec.foo"',
      },
    );
  });

  it('warns about unknown and duplicate fields, and drops the unknown ones', () => {
    const value = pod({ nodeName: 'n', foo: 1 });
    const { object, unknown, warnings } = decode('v1', 'Pod', value, {
      mode: 'warn',
      duplicates: ['spec.nodeName', 'spec.foo'],
    });
    assert.deepEqual(object.spec, { nodeName: 'n' });
    assert.deepEqual(unknown, ['spec.foo']);
    assert.deepEqual(warnings, ['unknown field "spec.foo"', 'duplicate field "spec.nodeName"']);
  });

  it('says nothing in mode ignore', () => {
    assert.deepEqual(decodePod({ foo: 1 }, undefined, 'ignore').warnings, []);
  });

  it('brings values to their stored form', () => {
    const { object } = decodePod(
      container({ resources: { limits: { cpu: 0.5, memory: ' 1024Mi ' }, requests: { cpu: '1000m' } } }),
      { creationTimestamp: '2024-05-01T10:00:00.123+02:00' },
    );
    assert.deepEqual(object.spec.containers[0].resources, {
      limits: { cpu: '500m', memory: '1Gi' },
      requests: { cpu: '1' },
    });
    assert.equal(object.metadata.creationTimestamp, '2024-05-01T08:00:00Z');
    const lease = decode(
      'coordination.k8s.io/v1',
      'Lease',
      { spec: { renewTime: '2024-05-01T10:00:00Z' } },
      { mode: 'strict' },
    );
    assert.equal(lease.object.spec.renewTime, '2024-05-01T10:00:00.000000Z');
    const secret = decode('v1', 'Secret', { data: { a: 'aGVs\nbG8=' } }, { mode: 'strict' });
    assert.equal(secret.object.data.a, 'aGVsbG8=');
  });

  it('drops nulls, and empty values where Go leaves them out', () => {
    const { object } = decodePod(
      {
        ...container({ args: [], command: null, stdin: false, securityContext: { privileged: false } }),
        nodeSelector: {},
        hostNetwork: false,
        terminationGracePeriodSeconds: 0,
        automountServiceAccountToken: false,
      },
      { name: 'p', labels: {}, creationTimestamp: null, generation: 0 },
    );
    assert.deepEqual(object.metadata, { name: 'p' });
    assert.deepEqual(object.spec, {
      containers: [{ name: 'c', image: 'i', securityContext: { privileged: false }, resources: {} }],
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
    });
  });

  it('gives objects that are never absent', () => {
    const { object } = decode('v1', 'Service', { spec: { selector: { a: 'b' } } }, { mode: 'strict' });
    assert.deepEqual(object, {
      metadata: {},
      spec: { selector: { a: 'b' } },
      status: { loadBalancer: {} },
    });
  });

  it('takes null in a list or map for the empty value', () => {
    const { object } = decodePod(container({ args: ['a', null] }), { name: 'p', labels: { a: null } });
    assert.deepEqual(object.spec.containers[0].args, ['a', '']);
    assert.deepEqual(object.metadata.labels, { a: '' });
  });

  it('keeps __proto__ a name like any other', () => {
    const { object } = decodePod({}, JSON.parse('{"labels":{"__proto__":"x"}}'));
    assert.deepEqual(Object.keys(object.metadata.labels), ['__proto__']);
    assert.equal(Object.getPrototypeOf(object.metadata.labels), Object.prototype);
  });

  it('copies: neither the value nor the object changes with the other', () => {
    const value = Object.freeze(pod(container({})));
    const { object } = decode('v1', 'Pod', value, { mode: 'strict' });
    object.spec.containers[0].image = 'other';
    assert.equal((value.spec as any).containers[0].image, 'i');
  });

  it('decodes the metadata of custom resources, and keeps the rest', () => {
    const value = {
      apiVersion: 'x.io/v1',
      kind: 'X',
      metadata: { name: 'x', foo: 1 },
      spec: { a: null, b: [] },
    };
    const { object, unknown } = decode('x.io/v1', 'X', value, { mode: 'warn' });
    assert.deepEqual(unknown, ['metadata.foo']);
    assert.deepEqual(object, {
      apiVersion: 'x.io/v1',
      kind: 'X',
      metadata: { name: 'x' },
      spec: { a: null, b: [] },
    });
  });

  it('knows JSON schemas that may be lists or booleans', () => {
    const openAPIV3Schema = {
      type: 'object',
      additionalProperties: false,
      properties: { a: { type: 'array', items: { type: 'string' } }, b: { default: { x: null } } },
    };
    const spec = { versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }] };
    const { object } = decode(
      'apiextensions.k8s.io/v1',
      'CustomResourceDefinition',
      { spec },
      { mode: 'strict' },
    );
    assert.deepEqual(object.spec.versions[0].schema.openAPIV3Schema, openAPIV3Schema);
  });

  it('knows options in every group version, and no kinds of others', () => {
    assert.equal(typeOfKind('apps/v1', 'DeleteOptions')?.name, 'meta/v1.DeleteOptions');
    assert.equal(typeOfKind('rbac.authorization.k8s.io/v1', 'Role')?.name, 'rbac/v1.Role');
    assert.equal(typeOfKind('apps.example.com/v1', 'Deployment'), undefined);
    assert.equal(typeOfKind('apps.k8s.io/v1', 'Deployment'), undefined);
    assert.equal(typeOfKind('example.com/v1', 'Table'), undefined);
    assert.equal(typeOfKind('v1', 'Nothing'), undefined);
    assert.equal(typeOfKind('v1', 'Status')?.name, 'meta/v1.Status');
    assert.equal(
      typeOfKind('flowcontrol.apiserver.k8s.io/v1', 'FlowSchema')?.name,
      'flowcontrol/v1.FlowSchema',
    );
  });
});
