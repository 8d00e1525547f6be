/** JSON patch, merge patch and strategic merge patch. */
import assert from 'node:assert/strict';
import { deepFreeze } from '../../../src/api/machinery/types.js';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch } from '../../../src/api/patch/index.js';
import { type TypeSchema, typeOfKind } from '../../../src/api/schema/index.js';

const REFUSED = 'the server rejected our request due to an error in our request';

describe('JSON patch', () => {
  const doc = deepFreeze({ a: { b: [1, 2, 3] }, 'x/y': 1, 'm~n': 2, n: null });
  const applied: [string, object[], unknown][] = [
    ['adds a member', [{ op: 'add', path: '/c', value: 1 }], { ...doc, c: 1 }],
    ['inserts an element', [{ op: 'add', path: '/a/b/1', value: 9 }], { ...doc, a: { b: [1, 9, 2, 3] } }],
    ['appends an element', [{ op: 'add', path: '/a/b/-', value: 9 }], { ...doc, a: { b: [1, 2, 3, 9] } }],
    ['removes', [{ op: 'remove', path: '/a/b/0' }], { ...doc, a: { b: [2, 3] } }],
    ['counts from the end', [{ op: 'remove', path: '/a/b/-1' }], { ...doc, a: { b: [1, 2] } }],
    ['replaces', [{ op: 'replace', path: '/a', value: 0 }], { ...doc, a: 0 }],
    ['replaces the document', [{ op: 'replace', path: '', value: { z: 1 } }], { z: 1 }],
    [
      'unescapes paths',
      [
        { op: 'remove', path: '/x~1y' },
        { op: 'remove', path: '/m~0n' },
      ],
      { a: doc.a, n: null },
    ],
    ['moves', [{ op: 'move', from: '/a/b', path: '/b' }], { ...doc, a: {}, b: [1, 2, 3] }],
    [
      'copies',
      [
        { op: 'copy', from: '/a', path: '/c' },
        { op: 'add', path: '/c/d', value: 1 },
      ],
      { ...doc, c: { b: [1, 2, 3], d: 1 } },
    ],
    ['tests what is equal', [{ op: 'test', path: '/a', value: { b: [1, 2, 3] } }], doc],
    ['tests what is absent against null', [{ op: 'test', path: '/nothing', value: null }], doc],
  ];
  for (const [what, operations, expected] of applied)
    it(what, () => assert.deepEqual(applyJsonPatch(doc, operations), expected));

  const refused: [string, object][] = [
    ['a failed test', { op: 'test', path: '/a/b/0', value: 2 }],
    ['a test against what is empty', { op: 'test', path: '/nothing', value: {} }],
    ['a path whose parent is missing', { op: 'add', path: '/no/way', value: 1 }],
    ['a missing member', { op: 'remove', path: '/no' }],
    ['a missing member to replace', { op: 'replace', path: '/no', value: 1 }],
    ['an index out of bounds', { op: 'add', path: '/a/b/4', value: 1 }],
    ['an index that is none', { op: 'add', path: '/a/b/01', value: 1 }],
    ['an unknown operation', { op: 'spam', path: '/a' }],
    ['an operation without a path', { op: 'add', value: 1 }],
    ['a path into a prototype', { op: 'add', path: '/__proto__/polluted', value: 1 }],
  ];
  for (const [what, operation] of refused)
    it(`refuses ${what} with 422`, () =>
      assert.throws(() => applyJsonPatch(doc, [operation]), {
        code: 422,
        reason: 'Invalid',
        message: REFUSED,
      }));

  it('refuses what is no patch with 400, and too many operations with 413', () => {
    assert.throws(() => applyJsonPatch(doc, { op: 'add' }), {
      code: 400,
      message: 'json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    });
    const many = Array(10_001).fill({ op: 'test', path: '/n', value: null });
    assert.throws(() => applyJsonPatch(doc, many), {
      code: 413,
      message: /maximum operations in a JSON patch is 10000/,
    });
  });
});

describe('JSON merge patch', () => {
  // The examples of RFC 7386, appendix A, but those whose patch is no object.
  const cases: [unknown, object, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [doc, patch, expected] of cases)
    it(`${JSON.stringify(doc)} + ${JSON.stringify(patch)}`, () =>
      assert.deepEqual(applyMergePatch(deepFreeze(doc), deepFreeze(patch)), expected));

  it('refuses a patch that is no object', () =>
    assert.throws(() => applyMergePatch({}, []), { code: 400, message: 'Invalid JSON Patch' }));
});

describe('strategic merge patch', () => {
  const type = typeOfKind('v1', 'Pod') as TypeSchema;
  const doc = deepFreeze({
    metadata: { name: 'p', labels: { a: '1', b: '2' }, finalizers: ['x', 'y'] },
    spec: {
      containers: [
        {
          name: 'a',
          image: 'a:1',
          args: ['1'],
          ports: [{ containerPort: 80 }],
          env: [{ name: 'E', value: '1' }],
        },
        { name: 'b', image: 'b:1' },
      ],
      volumes: [{ name: 'v', emptyDir: {} }],
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 't' }],
    },
  });
  const [a, b] = doc.spec.containers;
  const patched = (patch: object): any => applyStrategicMergePatch(doc, deepFreeze(patch), type);
  const metadata = (patch: object) => patched({ metadata: patch }).metadata;
  const spec = (patch: object) => patched({ spec: patch }).spec;

  const cases: [string, () => unknown, unknown][] = [
    [
      'merges maps and removes with null',
      () => metadata({ labels: { a: null, c: '3' } }).labels,
      { b: '2', c: '3' },
    ],
    [
      'merges lists by their key',
      () => spec({ containers: [{ name: 'b', image: 'b:2' }] }).containers,
      [a, { name: 'b', image: 'b:2' }],
    ],
    [
      'puts new elements before those that only the server has',
      () => spec({ containers: [{ name: 'c', image: 'c:1', tty: null }] }).containers,
      [{ name: 'c', image: 'c:1' }, a, b],
    ],
    [
      'merges lists in lists',
      () => spec({ containers: [{ name: 'a', env: [{ name: 'F', value: '2' }] }] }).containers[0].env,
      [
        { name: 'F', value: '2' },
        { name: 'E', value: '1' },
      ],
    ],
    [
      'replaces atomic lists',
      () => spec({ containers: [{ name: 'a', args: ['2'] }] }).containers[0].args,
      ['2'],
    ],
    [
      'replaces lists without a strategy',
      () => spec({ tolerations: [{ key: 'u' }] }).tolerations,
      [{ key: 'u' }],
    ],
    ['deletes elements', () => spec({ containers: [{ name: 'a', $patch: 'delete' }] }).containers, [b]],
    [
      'replaces a list that merges',
      () => spec({ containers: [{ name: 'z' }, { $patch: 'replace' }] }).containers,
      [{ name: 'z' }],
    ],
    ['replaces an object', () => spec({ $patch: 'replace', nodeName: 'n' }), { nodeName: 'n' }],
    ['empties an object', () => spec({ nodeSelector: { $patch: 'delete' } }).nodeSelector, {}],
    [
      'orders elements',
      () => spec({ '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] }).containers,
      [b, a],
    ],
    [
      'orders and merges at once',
      () =>
        spec({
          '$setElementOrder/containers': [{ name: 'b' }, { name: 'c' }, { name: 'a' }],
          containers: [{ name: 'c' }, { name: 'a', image: 'a:2' }],
        }).containers,
      [b, { name: 'c' }, { ...a, image: 'a:2' }],
    ],
    [
      'keeps what the order does not name where it was',
      () => spec({ '$setElementOrder/containers': [{ name: 'b' }] }).containers,
      [a, b],
    ],
    ['merges lists of scalars', () => metadata({ finalizers: ['z', 'x'] }).finalizers, ['z', 'x', 'y']],
    [
      'deletes from lists of scalars',
      () => metadata({ '$deleteFromPrimitiveList/finalizers': ['x'] }).finalizers,
      ['y'],
    ],
    [
      'orders lists of scalars while it deletes from them',
      () =>
        metadata({
          '$deleteFromPrimitiveList/finalizers': ['x'],
          '$setElementOrder/finalizers': ['z', 'y'],
          finalizers: ['z'],
        }).finalizers,
      ['z', 'y'],
    ],
    [
      'keeps only the keys of $retainKeys',
      () =>
        spec({ volumes: [{ name: 'v', hostPath: { path: '/' }, $retainKeys: ['name', 'hostPath'] }] })
          .volumes,
      [{ name: 'v', hostPath: { path: '/' } }],
    ],
    [
      'takes directives out of what is new',
      () =>
        spec({
          initContainers: [
            { name: 'i', $retainKeys: ['name'] },
            { name: 'j', $patch: 'delete' },
          ],
        }).initContainers,
      [{ name: 'i' }],
    ],
    [
      'ignores deletion from a list that is absent',
      () =>
        spec({ containers: [{ name: 'a', ports: [{ containerPort: 80, $patch: 'delete' }] }] }).containers[0]
          .ports,
      [],
    ],
  ];
  for (const [what, run, expected] of cases) it(what, () => assert.deepEqual(run(), expected));

  const refused: [string, object, number, string][] = [
    [
      'an element without its key',
      { spec: { containers: [{ image: 'x' }] } },
      500,
      'map: map[image:x] does not contain declared merge key: name',
    ],
    [
      'an unknown directive',
      { spec: { $patch: 'merge' } },
      500,
      'unknown patch type: merge in map: map[$patch:merge]',
    ],
    ['a list of lists', { metadata: { finalizers: [['x']] } }, 422, REFUSED],
    [
      'fields that $retainKeys does not name',
      { spec: { volumes: [{ name: 'v', hostPath: {}, $retainKeys: ['name'] }] } },
      400,
      'invalid patch format of retainKeys',
    ],
    [
      'an order that is no list',
      { spec: { '$setElementOrder/containers': 'a' } },
      400,
      'invalid patch format of setElementOrder list',
    ],
    [
      'a deletion that is no list',
      { metadata: { '$deleteFromPrimitiveList/finalizers': 'x' } },
      400,
      'invalid patch format of primitive list',
    ],
    [
      'a list that does not follow its order',
      {
        metadata: { finalizers: ['p', 'q'], '$setElementOrder/finalizers': ['q', 'p'] },
      },
      500,
      "The order in patch list:\n[p q]\n doesn't match $setElementOrder list:\n[q p]\n",
    ],
  ];
  for (const [what, patch, code, message] of refused)
    it(`refuses ${what}`, () => assert.throws(() => patched(patch), { code, message }));

  it('leaves the document and the patch alone', () => {
    const result = patched({ spec: { containers: [{ name: 'a', resources: { limits: { cpu: '1' } } }] } });
    result.spec.containers[0].resources.limits.cpu = '2';
    result.metadata.labels.a = 'changed';
    assert.equal(doc.metadata.labels.a, '1');
  });
});
