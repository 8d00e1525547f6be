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

const ONE_PLACE =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec';

describe('resource.k8s.io: errors of creation', () => {
  for (const [resource, fields, expected] of [
    [resourceClaims, claim(exactly()), []],
    [resourceClaims, { spec: {} }, []],
    [
      resourceClaims,
      claim({ name: 'a' }, { name: 'a', exactly: {}, firstAvailable: [{ name: 'b', deviceClassName: 'c' }] }),
      [
        'spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required',
        'spec.devices.requests[1]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set',
        'spec.devices.requests[1]: Duplicate value: "a"',
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
        'spec.devices.constraints[0].matchAttribute: Invalid value: "model": a fully qualified name must be a domain and a name separated by a slash',
        'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
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
        'spec.devices[0].attributes[none]: Invalid value: "": exactly one value must be specified',
        'spec.devices[0].attributes[two]: Invalid value: {"int":1,"bool":true}: exactly one value must be specified',
      ],
    ],
    [
      resourceSlices,
      slice({ allNodes: false, sharedCounters: [{ name: '', counters: {} }] }, [
        { name: 'a', nodeName: 'n', bindingConditions: ['x', 'x'], bindingFailureConditions: ['x'] },
        { name: 'b', bindingConditions: ['x'] },
      ]),
      [
        'spec.allNodes: Invalid value: false: must be either unset or set to true',
        'spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed',
        'spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
        'spec.devices[0].bindingConditions[1]: Duplicate value: "x"',
        'spec.devices[0].bindingFailureConditions[0]: Invalid value: "x": bindingFailureConditions must not overlap with bindingConditions',
        'spec.devices[1].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions',
        'spec.sharedCounters[0].name: Required value',
        'spec.sharedCounters[0].counters: Required value',
      ],
    ],
    [
      resourceSlices,
      slice({ nodeName: undefined, perDeviceNodeSelection: true }, [
        { name: 'a' },
        { name: 'b', nodeName: '', allNodes: true },
        { name: 'c', nodeName: 'n', allNodes: true },
      ]),
      [
        `spec.devices[0]: Required value: ${ONE_PLACE}`,
        'spec.devices[1].nodeName: Invalid value: "": must not be empty',
        `spec.devices[2]: Invalid value: "{\`nodeName\`, \`allNodes\`}": ${ONE_PLACE}`,
      ],
    ],
  ] as const)
    it(`${of(resource).kind}: ${expected[0] ?? 'none'}`, () => {
      assert.deepEqual(createErrors(of(resource), make(resource, fields)), expected);
    });
});

describe('resource.k8s.io: what a request may take of a capacity', () => {
  const errors = (requestPolicy: object, allowMultipleAllocations = true) => {
    const device = {
      name: 'a',
      allowMultipleAllocations,
      capacity: { mem: { value: '10Gi', requestPolicy } },
    };
    const at = 'spec.devices[0].capacity[mem].requestPolicy';
    return createErrors(of(resourceSlices), make(resourceSlices, slice({}, [device]))).map((error) =>
      error.replace(at, ''),
    );
  };
  for (const [policy, expected] of [
    [{}, []],
    [{ default: '1Gi', validValues: ['1Gi', '2Gi'] }, []],
    [{ default: '1Gi', validRange: { min: '1Gi', max: '8Gi', step: '1Gi' } }, []],
    [
      { validValues: ['1Gi'], validRange: { min: '1Gi' } },
      [
        ': Forbidden: exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time',
      ],
    ],
    [{ validValues: ['1Gi'] }, ['.default: Required value: required when validValues is defined']],
    [
      { default: '3Gi', validValues: ['2Gi', '1Gi', '1Gi', '11Gi'] },
      [
        '.validValues[1]: Invalid value: "1Gi": values must be sorted in ascending order',
        '.validValues[3]: Invalid value: "11Gi": option is larger than capacity value: 10Gi',
        '.validValues[2]: Duplicate value: "1073741824"',
        '.validValues: Invalid value: "3Gi": default value is not valid according to the requestPolicy',
      ],
    ],
    [
      { default: '1Gi', validRange: {} },
      ['.validRange.min: Required value: required when validRange is defined'],
    ],
    [
      { default: '1Gi', validRange: { min: '4Gi', max: '11Gi', step: '2Gi' } },
      [
        '.validRange.min: Invalid value: "1Gi": default is less than min: 4Gi',
        '.validRange.max: Invalid value: "11Gi": max is larger than capacity value: 10Gi',
        '.validRange.step: Invalid value: "1Gi": value is not a multiple of a given step (2Gi) from (4Gi)',
        '.validRange.step: Invalid value: "11Gi": value is not a multiple of a given step (2Gi) from (4Gi)',
      ],
    ],
  ] as const)
    it(expected[0] ?? JSON.stringify(policy), () => {
      assert.deepEqual(errors(policy), expected);
    });

  it('none where a device is for one alone', () => {
    assert.deepEqual(errors({ default: '1Gi' }, false), [
      ': Forbidden: allowMultipleAllocations must be true',
    ]);
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

  it('have shares of devices under ids of their own', () => {
    const share = (shareID: string) =>
      statusErrors({ allocation: { devices: { results: [{ ...result, shareID }] } } });
    const at = 'status.allocation.devices.results[0].shareID: Invalid value';
    assert.deepEqual(share('11111111-2222-3333-4444-55555555555a'), []);
    assert.deepEqual(share('x'), [`${at}: "x": error validating uid: invalid UUID length: 1`]);
    assert.deepEqual(share('11111111-2222-3333-4444-55555555555A'), [
      `${at}: "11111111-2222-3333-4444-55555555555A": uid must be in RFC 4122 normalized form, \`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx\` with lowercase hexadecimal characters`,
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
