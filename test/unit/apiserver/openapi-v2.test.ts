/** OpenAPI v2 documents of several servers as one. */
import assert from 'node:assert/strict';
import { mergeParts, partOf } from '../../../src/apiserver/extensions/aggregation/openapi-v2.js';

const ref = (name: string) => ({ $ref: `#/definitions/${name}` });
const document = (group: string, definitions: Record<string, unknown>, first = 'A') => ({
  paths: {
    [`/apis/${group}/v1/as`]: { get: { schema: ref(first) } },
    [`/apis/${group}/v10/as`]: {},
    '/version': {},
  },
  definitions,
});

describe('OpenAPI v2 of several servers', () => {
  it('takes of a document what one group version needs', () => {
    const definitions = { A: { items: ref('B') }, B: { allOf: [ref('A')] }, C: {} };
    const { paths, definitions: own } = partOf(document('g', definitions), 'g', 'v1');
    assert.deepEqual(Object.keys(paths), ['/apis/g/v1/as']);
    assert.deepEqual(own, { A: definitions.A, B: definitions.B });
  });

  it('shares definitions that are the same', () => {
    const part = partOf(document('g', { A: { type: 'object' } }), 'g', 'v1');
    assert.deepEqual(mergeParts({ A: { type: 'object' } }, [part]).definitions, {});
  });

  it('gives definitions that differ names of their own', () => {
    const parts = ['g', 'h', 'i'].map((group, i) =>
      partOf(document(group, { A: { items: ref('B') }, B: { maximum: i % 2 } }), group, 'v1'),
    );
    const { paths, definitions } = mergeParts({ B: { type: 'string' } }, parts);
    assert.deepEqual(definitions, {
      A: { items: ref('B_v2') },
      B_v2: { maximum: 0 },
      A_v2: { items: ref('B_v3') },
      B_v3: { maximum: 1 },
    });
    assert.deepEqual(paths['/apis/h/v1/as'], { get: { schema: ref('A_v2') } });
    assert.deepEqual(Object.keys(paths), ['/apis/g/v1/as', '/apis/h/v1/as', '/apis/i/v1/as']);
  });

  it('changes its id with its content alone', () => {
    const id = (type: string) => partOf(document('g', { A: { type } }), 'g', 'v1').id;
    assert.equal(id('object'), id('object'));
    assert.notEqual(id('object'), id('string'));
  });
});
