import assert from 'node:assert/strict';
import { parentEntries, scaleEntries } from '../../../../src/api/apply/index.js';

const PATH = ['spec', 'replicas'];
const REPLICAS = { 'f:spec': { 'f:replicas': {} } };
const BOTH = { 'f:spec': { 'f:replicas': {}, 'f:selector': {} } };
const SELECTOR = { 'f:spec': { 'f:selector': {} } };

const entry = (
  manager: string,
  operation: string,
  apiVersion: string,
  fieldsV1: object,
  rest: object = {},
): any => ({
  manager,
  operation,
  apiVersion,
  fieldsType: 'FieldsV1',
  fieldsV1,
  ...rest,
});

describe('managedFields of a Scale', () => {
  it('are those of the replicas', () => {
    const parent = [
      entry('a', 'Apply', 'apps/v1', SELECTOR),
      entry('b', 'Apply', 'apps/v1', BOTH, { time: 't' }),
      entry('c', 'Update', 'apps/v1', REPLICAS, { subresource: 'scale' }),
    ];
    assert.deepEqual(scaleEntries(parent, PATH), [
      { ...entry('b', 'Apply', 'autoscaling/v1', REPLICAS), time: 't' },
      entry('c', 'Update', 'autoscaling/v1', REPLICAS, { subresource: 'scale' }),
    ]);
    assert.equal(scaleEntries([], PATH), undefined);
    assert.equal(scaleEntries(undefined, PATH), undefined);
  });

  const SCALE = { subresource: 'scale' };
  const table: [string, any[], any[], any[]][] = [
    [
      'an update takes the replicas from an applier',
      [entry('test', 'Apply', 'apps/v1', BOTH)],
      [entry('scale', 'Update', 'autoscaling/v1', REPLICAS, SCALE)],
      [entry('test', 'Apply', 'apps/v1', SELECTOR), entry('scale', 'Update', 'apps/v1', REPLICAS, SCALE)],
    ],
    [
      'and from who updated the object',
      [entry('test', 'Update', 'apps/v1', BOTH)],
      [entry('test', 'Update', 'autoscaling/v1', REPLICAS, SCALE)],
      [entry('test', 'Update', 'apps/v1', SELECTOR), entry('test', 'Update', 'apps/v1', REPLICAS, SCALE)],
    ],
    [
      'who owned nothing else is forgotten',
      [entry('test', 'Update', 'apps/v1', REPLICAS)],
      [entry('scale', 'Apply', 'autoscaling/v1', REPLICAS, SCALE)],
      [entry('scale', 'Apply', 'apps/v1', REPLICAS, SCALE)],
    ],
    [
      'who still owns them stays as it is',
      [
        entry('a', 'Update', 'apps/v1', BOTH, { time: 't' }),
        entry('b', 'Apply', 'apps/v1', BOTH, { time: 't' }),
      ],
      [entry('a', 'Update', 'autoscaling/v1', REPLICAS), entry('b', 'Apply', 'autoscaling/v1', REPLICAS)],
      [
        entry('b', 'Apply', 'apps/v1', BOTH, { time: 't' }),
        entry('a', 'Update', 'apps/v1', BOTH, { time: 't' }),
      ],
    ],
  ];
  for (const [name, parent, scale, expected] of table)
    it(name, () => assert.deepEqual(parentEntries(parent, scale, 'apps/v1', PATH), expected));
});
