import assert from 'node:assert/strict';
import type {
  Device,
  DeviceClaim,
  DeviceClass,
  ExactDeviceRequest,
  ResourceV1ResourceClaim as ResourceClaim,
  ResourceSlice,
} from '#types';
import { allocate } from '../../../src/scheduler/devices/allocate.js';
import { poolsOf } from '../../../src/scheduler/devices/pools.js';
import { node } from './objects.js';

const DRIVER = 'd.test';
let serial = 0;

const slice = (devices: Device[], spec: Partial<ResourceSlice['spec']> = {}): ResourceSlice => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceSlice',
  metadata: { name: `slice-${serial++}` },
  spec: {
    driver: DRIVER,
    pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
    devices,
    ...(spec.nodeSelector || spec.allNodes || spec.perDeviceNodeSelection ? {} : { nodeName: 'n1' }),
    ...spec,
  },
});

const model = (name: string, string: string, more: Partial<Device> = {}): Device => ({
  ...{ name, attributes: { model: { string } } },
  ...more,
});

const claim = (devices: DeviceClaim): ResourceClaim => ({
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaim',
  metadata: { name: 'c', namespace: 'default' },
  spec: { devices },
});

const exactly = (name: string, more: Partial<ExactDeviceRequest> = {}) => ({
  name,
  exactly: { deviceClassName: 'any', allocationMode: 'ExactCount' as const, count: 1, ...more },
});

const selecting = (expression: string) => ({ selectors: [{ cel: { expression } }] });

const classes: Record<string, DeviceClass> = {
  any: { apiVersion: 'resource.k8s.io/v1', kind: 'DeviceClass', metadata: { name: 'any' }, spec: {} },
};

/** Names of the devices of each claim, or undefined. */
function given(
  claims: DeviceClaim[],
  slices: ResourceSlice[],
  { taken = [], on = node('n1') }: { taken?: string[]; on?: ReturnType<typeof node> } = {},
) {
  const inventory = {
    pools: poolsOf(slices),
    taken: new Set(taken.map((name) => `${DRIVER}/p/${name}`)),
    deviceClass: (name: string) => classes[name],
  };
  return allocate(claims.map(claim), on, inventory)?.map((one) =>
    one.devices!.results!.map(({ request, device }) => `${request}:${device}`).join(' '),
  );
}

describe('allocation of devices', () => {
  const three = [slice([model('a', 'x'), model('b', 'y'), model('c', 'y')])];

  const cases: [what: string, claims: DeviceClaim[], expected: string[] | undefined, options?: object][] = [
    ['the first that is free', [{ requests: [exactly('r')] }], ['r:b'], { taken: ['a'] }],
    ['none when too few are', [{ requests: [exactly('r', { count: 3 })] }], undefined, { taken: ['a'] }],
    [
      'several claims together',
      [{ requests: [exactly('r')] }, { requests: [exactly('s', { count: 2 })] }],
      ['r:a', 's:b s:c'],
    ],
    [
      'what a selector names',
      [{ requests: [exactly('r', selecting(`device.attributes['${DRIVER}'].model == 'y'`))] }],
      ['r:b'],
    ],
    [
      'nothing for a domain that is not there',
      [
        {
          requests: [
            exactly(
              'r',
              selecting(`'other' in device.attributes && device.attributes['other'].model == 'y'`),
            ),
          ],
        },
      ],
      undefined,
    ],
    ['all of a kind', [{ requests: [exactly('r', { allocationMode: 'All', count: 0 })] }], ['r:a r:b r:c']],
    [
      'not all when one is taken',
      [{ requests: [exactly('r', { allocationMode: 'All', count: 0 })] }],
      undefined,
      { taken: ['b'] },
    ],
    [
      'devices that have something in common, going back from a first choice',
      [{ requests: [exactly('r'), exactly('s')], constraints: [{ matchAttribute: `${DRIVER}/model` }] }],
      ['r:b s:c'],
    ],
    [
      'devices that differ',
      [{ requests: [exactly('r'), exactly('s')], constraints: [{ distinctAttribute: `${DRIVER}/model` }] }],
      ['r:a s:b'],
    ],
    [
      'the first alternative that can be had',
      [
        {
          requests: [
            {
              name: 'r',
              firstAvailable: [
                { name: 'four', deviceClassName: 'any', count: 4 },
                { name: 'two', deviceClassName: 'any', count: 2 },
              ],
            },
          ],
        },
      ],
      ['r/two:a r/two:b'],
    ],
    [
      'what others have, to administrators',
      [{ requests: [exactly('r', { adminAccess: true })] }],
      ['r:a'],
      { taken: ['a'] },
    ],
  ];
  for (const [what, claims, expected, options] of cases)
    it(`gives ${what}`, () => assert.deepEqual(given(claims, three, options), expected));

  it('leaves tainted devices to those who tolerate them', () => {
    const taints = [{ key: 'broken', effect: 'NoSchedule' as const }];
    const slices = [slice([model('a', 'x', { taints })])];
    assert.equal(given([{ requests: [exactly('r')] }], slices), undefined);
    const tolerations = [{ key: 'broken', operator: 'Exists' as const }];
    assert.deepEqual(given([{ requests: [exactly('r', { tolerations })] }], slices), ['r:a']);
  });

  it('gives no more parts of a device than it has', () => {
    const takes = (memory: string): Partial<Device> => ({
      consumesCounters: [{ counterSet: 'gpu', counters: { memory: { value: memory } } }],
    });
    const pool = { name: 'p', generation: 1, resourceSliceCount: 2 };
    const sharedCounters = [{ name: 'gpu', counters: { memory: { value: '8Gi' } } }];
    const parts = [
      model('whole', 'x', takes('8Gi')),
      model('a', 'x', takes('4Gi')),
      model('b', 'x', takes('4Gi')),
    ];
    const slices = [slice(parts, { pool }), slice([], { pool, sharedCounters })];
    assert.deepEqual(given([{ requests: [exactly('r')] }], slices), ['r:whole']);
    assert.deepEqual(given([{ requests: [exactly('r', { count: 2 })] }], slices), ['r:a r:b']);
    assert.deepEqual(given([{ requests: [exactly('r')] }], slices, { taken: ['a'] }), ['r:b']);
    assert.equal(given([{ requests: [exactly('r')] }], slices, { taken: ['whole'] }), undefined);
  });

  it('knows what a node reaches', () => {
    const requests = [exactly('r')];
    const nodeSelector = {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'rack', operator: 'In' as const, values: ['1'] }] }],
    };
    const slices = [slice([model('a', 'x')], { nodeSelector })];
    assert.equal(given([{ requests }], slices), undefined);
    const on = node('n2', { labels: { rack: '1' } });
    assert.deepEqual(given([{ requests }], slices, { on }), ['r:a']);
    assert.deepEqual(given([{ requests }], [slice([model('a', 'x')], { allNodes: true })], { on }), ['r:a']);
    assert.equal(given([{ requests }], three, { on }), undefined);
  });

  it('uses the newest generation of a pool, once all of it is there', () => {
    const requests = [exactly('r')];
    const newer = slice([model('z', 'x')], { pool: { name: 'p', generation: 2, resourceSliceCount: 2 } });
    assert.equal(given([{ requests }], [...three, newer]), undefined);
    const rest = slice([], { pool: { name: 'p', generation: 2, resourceSliceCount: 2 } });
    assert.deepEqual(given([{ requests }], [...three, newer, rest]), ['r:z']);
    assert.throws(
      () => given([{ requests: [exactly('r', { allocationMode: 'All', count: 0 })] }], [newer]),
      /claim default\/c, request r: asks for all devices, but resource pool d\.test\/p is currently being updated/,
    );
  });

  it('tells which selector fails', () => {
    const requests = [exactly('r', selecting(`device.attributes['${DRIVER}'].nothing == 'y'`))];
    assert.throws(
      () => given([{ requests }], three),
      /claim default\/c: selector #0: CEL runtime error: .*no such key: nothing/,
    );
  });
});
