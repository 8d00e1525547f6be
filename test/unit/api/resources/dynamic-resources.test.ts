/** resource.k8s.io: defaults, errors, what an update may change. */
import assert from 'node:assert/strict';
import { describe as text } from '../../../../src/api/machinery/field.js';
import type { KubeObject } from '../../../../src/api/machinery/types.js';
import type { Resource } from '../../../../src/api/resources/define.js';
import {
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
} from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, row, updateErrors } from './support.js';

const of = (resource: unknown) => resource as Resource<KubeObject>;
const make = (resource: unknown, fields: object, metadata = {}) =>
  object(of(resource), fields as Record<string, unknown>, metadata);

const claim = (...requests: object[]) => ({ spec: { devices: { requests } } });
const exactly = (fields: object = {}) => ({ name: 'gpu', exactly: { deviceClassName: 'gpu', ...fields } });
const slice = (fields: object = {}, devices: object[] = []) => ({
  spec: {
    driver: 'gpu.example.com',
    pool: { name: 'node-1', generation: 1, resourceSliceCount: 1 },
    nodeName: 'node-1',
    devices,
    ...fields,
  },
});

describe('resource.k8s.io: errors of creation', () => {
  for (const [resource, fields, expected] of [
    [resourceClaims, claim(exactly()), []],
    [resourceClaims, { spec: {} }, []],
    [
      resourceClaims,
      claim({ name: 'a' }, { name: 'a', exactly: {}, firstAvailable: [{ name: 'b', deviceClassName: 'c' }] }),
      [
        'spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required',
        'spec.devices.requests[1].exactly.deviceClassName: Required value',
        'spec.devices.requests[1]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set',
        'spec.devices.requests[1].name: Duplicate value: "a"',
      ],
    ],
    [
      resourceClaims,
      claim(exactly({ allocationMode: 'All', count: 2 }), {
        name: 'other',
        exactly: { deviceClassName: 'gpu', allocationMode: 'Some', tolerations: [{ operator: 'Like' }] },
      }),
      [
        "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
        'spec.devices.requests[1].exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"',
        'spec.devices.requests[1].exactly.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"',
      ],
    ],
    [
      resourceClaims,
      {
        spec: {
          devices: {
            requests: [exactly()],
            constraints: [{ requests: ['gpu', 'none'], matchAttribute: 'model' }],
            config: [{ requests: ['gpu'], opaque: { driver: 'gpu.example.com', parameters: [1] } }],
          },
        },
      },
      [
        'spec.devices.constraints[0].requests[1]: Invalid value: "none": must be the name of a request in the claim or the name of a request and a subrequest separated by \'/\'',
        'spec.devices.constraints[0].matchAttribute: Invalid value: "model": must include a domain',
        'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": parameters must be a valid JSON object',
      ],
    ],
    [
      resourceClaimTemplates,
      { spec: { spec: claim({ name: 'a' }).spec } },
      [
        'spec.spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required',
      ],
    ],
    [
      deviceClasses,
      { spec: { selectors: [{}], config: [{}] } },
      ['spec.selectors[0].cel: Required value', 'spec.config[0].opaque: Required value'],
    ],
    [resourceSlices, slice({}, [{ name: 'a', attributes: { model: { string: 'x' } } }]), []],
    [
      resourceSlices,
      slice({ allNodes: true, pool: { name: '', generation: -1 } }),
      [
        'spec.pool.name: Required value',
        'spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero',
        'spec.pool.generation: Invalid value: -1: must be greater than or equal to zero',
        'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
      ],
    ],
    [
      resourceSlices,
      slice({}, [
        { name: 'a', attributes: { 'x y': { version: '1' }, none: {}, two: { int: 1, bool: true } } },
      ]),
      [
        "spec.devices[0].attributes[x y]: Invalid value: \"x y\": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
        'spec.devices[0].attributes[x y].version: Invalid value: "1": must be a string compatible with semver.org spec 2.0.0',
        'spec.devices[0].attributes[none]: Required value: exactly one value must be specified',
        'spec.devices[0].attributes[two]: Invalid value: {"int":1,"bool":true}: exactly one value must be specified',
      ],
    ],
  ] as const)
    it(`${of(resource).kind}: ${expected[0] ?? 'none'}`, () => {
      assert.deepEqual(createErrors(of(resource), make(resource, fields)), expected);
    });
});

describe('resource.k8s.io: claims', () => {
  const stored = created(of(resourceClaims), make(resourceClaims, claim(exactly())));
  const result = { request: 'gpu', driver: 'gpu.example.com', pool: 'p', device: 'd' };
  const consumer = { resource: 'pods', name: 'p', uid: 'u' };
  const allocation = { devices: { results: [result] } };
  const statusErrors = (status: object, old: object = {}) =>
    resourceClaims.validateStatusUpdate!({ ...stored, status } as any, { ...stored, status: old } as any).map(
      text,
    );

  it('ask for one device where they do not say how many', () => {
    const { spec } = defaulted(of(resourceClaims), make(resourceClaims, claim(exactly()))) as any;
    assert.deepEqual(spec.devices.requests[0].exactly, {
      deviceClassName: 'gpu',
      allocationMode: 'ExactCount',
      count: 1,
    });
  });

  it('do not change', () => {
    const other = make(resourceClaims, claim(exactly({ count: 2 })));
    const [error] = updateErrors(of(resourceClaims), stored, other);
    assert.match(error!, /^spec: Invalid value: .*field is immutable$/);
  });

  it('are reserved only once allocated, to what stays as it is', () => {
    assert.deepEqual(statusErrors({ allocation, reservedFor: [consumer] }), []);
    assert.deepEqual(statusErrors({ reservedFor: [consumer] }), [
      'status.reservedFor: Forbidden: may not be specified when `allocated` is not set',
    ]);
    assert.match(
      statusErrors({ allocation: { devices: { results: [] } } }, { allocation })[0]!,
      /^status.allocation: Invalid value: .*field is immutable$/,
    );
    assert.deepEqual(statusErrors({ allocation: { devices: { results: [{ ...result, request: 'x' }] } } }), [
      'status.allocation.devices.results[0].request: Invalid value: "x": must be the name of a request in the claim or the name of a request and a subrequest separated by \'/\'',
    ]);
  });

  it('tell the state of their devices while these are theirs', () => {
    const device = { driver: 'gpu.example.com', pool: 'p', device: 'd', networkData: { ips: ['10.0.0.1'] } };
    assert.deepEqual(statusErrors({ allocation, devices: [device] }), [
      'status.devices[0].networkData.ips[0]: Invalid value: "10.0.0.1": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)',
    ]);
    const draft = { ...stored, status: { devices: [device] } } as any;
    resourceClaims.prepareForStatusUpdate!(draft, {
      ...stored,
      status: { allocation, devices: [device] },
    } as any);
    assert.equal(draft.status.devices, undefined);
  });

  it('show what holds of them', () => {
    const state = (fields: object, metadata = {}) =>
      row(of(resourceClaims), make(resourceClaims, { ...claim(exactly()), ...fields }, metadata))['State'];
    assert.equal(state({}), 'pending');
    assert.equal(state({ status: { allocation } }), 'allocated');
    assert.equal(state({ status: { allocation, reservedFor: [consumer] } }), 'allocated,reserved');
    assert.equal(state({}, { deletionTimestamp: '2024-01-01T00:00:00Z' }), 'deleted');
  });
});
