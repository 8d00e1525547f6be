import assert from 'node:assert/strict';
import {
  difference,
  equalSets,
  type FieldSet,
  has,
  intersection,
  leaves,
  paths,
  recursiveDifference,
  setOf,
  union,
} from '../../../../src/api/apply/field-set.js';
import { inOrder, parseFields } from '../../../../src/api/apply/fields-v1.js';
import {
  compareElements,
  elementText,
  isElement,
  keyElement,
  pathText,
  valueElement,
} from '../../../../src/api/apply/path-element.js';

/** `a.b` is field b of field a. */
const set = (...texts: string[]): FieldSet =>
  setOf(...texts.map((text) => text.split('.').map((f) => `f:${f}`)));
const texts = (of: FieldSet) => paths(of).map((path) => path.map((element) => element.slice(2)).join('.'));

describe('path elements', () => {
  it('write fields, keys, values and indexes as FieldsV1 does, and as messages do', () => {
    const table: [string, string, string][] = [
      ['f:spec', 'f:spec', '.spec'],
      [keyElement([['name', 'web']]), 'k:{"name":"web"}', '[name="web"]'],
      [
        keyElement([
          ['containerPort', 80],
          ['protocol', 'TCP'],
        ]),
        'k:{"containerPort":80,"protocol":"TCP"}',
        '[containerPort=80,protocol="TCP"]',
      ],
      [valueElement('a<b'), 'v:"a\\u003cb"', '[="a<b"]'],
      [valueElement(5), 'v:5', '[=5]'],
      [valueElement(true), 'v:true', '[=true]'],
      ['i:3', 'i:3', '[3]'],
    ];
    for (const [made, element, text] of table) {
      assert.equal(made, element);
      assert.equal(elementText(element), text);
    }
    assert.equal(
      pathText(['f:spec', 'f:containers', 'k:{"name":"a"}', 'f:image']),
      '.spec.containers[name="a"].image',
    );
  });

  it('come in order: fields, keys, values, indexes; numbers by size', () => {
    const sorted = [
      '.',
      'f:a',
      'f:b',
      'k:{"name":"a"}',
      'k:{"name":"b"}',
      'k:{"port":80,"protocol":"TCP"}',
      'k:{"port":80,"protocol":"UDP"}',
      'k:{"port":443,"protocol":"TCP"}',
      'k:{"port":8080}',
      'v:9',
      'v:10',
      'v:"a"',
      'i:2',
      'i:10',
    ];
    assert.deepEqual([...sorted].reverse().sort(compareElements), sorted);
  });

  it('are told from what is none', () => {
    for (const good of ['f:', 'f:a.b', 'k:{"a":1}', 'v:null', 'v:"x"', 'i:0', 'i:-1'])
      assert.ok(isElement(good), good);
    for (const bad of ['', 'f', 'spec', 'k:[1]', 'k:x', 'v:', 'i:x', 'z:a']) assert.ok(!isElement(bad), bad);
  });
});

describe('field sets', () => {
  it('hold parents apart from what is within them', () => {
    const s = set('a', 'a.b', 'c.d');
    assert.deepEqual(s, { 'f:a': { '.': {}, 'f:b': {} }, 'f:c': { 'f:d': {} } });
    const table: [string, boolean][] = [
      ['a', true],
      ['a.b', true],
      ['a.b.c', false],
      ['c', false],
      ['c.d', true],
      ['toString', false],
    ];
    for (const [path, there] of table)
      assert.equal(
        has(
          s,
          path.split('.').map((f) => `f:${f}`),
        ),
        there,
        path,
      );
    assert.equal(has(s, []), false);
  });

  it('list members of a level before those within', () => {
    assert.deepEqual(texts(set('b.a', 'a.x.y', 'c', 'a', 'b')), ['a', 'b', 'c', 'a.x.y', 'b.a']);
  });

  const operations: [string, (a: FieldSet, b: FieldSet) => FieldSet, string[], string[], string[]][] = [
    ['union', union, ['a'], ['b'], ['a', 'b']],
    ['union', union, ['a'], ['a.b'], ['a', 'a.b']],
    ['union', union, ['a.b'], ['a'], ['a', 'a.b']],
    ['union', union, ['a.b', 'c'], ['a.c.d', 'c'], ['c', 'a.b', 'a.c.d']],
    ['union', union, [], ['a'], ['a']],
    ['union', union, ['a', 'a.b'], ['a', 'a.c'], ['a', 'a.b', 'a.c']],
    ['intersection', intersection, ['a', 'b'], ['b', 'c'], ['b']],
    ['intersection', intersection, ['a', 'a.b'], ['a.b', 'a.c'], ['a.b']],
    ['intersection', intersection, ['a'], ['a.b'], []],
    ['intersection', intersection, ['a', 'a.b.c'], ['a', 'a.b'], ['a']],
    ['difference', difference, ['a', 'b'], ['b'], ['a']],
    ['difference', difference, ['a.b'], ['a'], ['a.b']],
    ['difference', difference, ['a'], ['a.b'], ['a']],
    ['difference', difference, ['a', 'a.b'], ['a'], ['a.b']],
    ['difference', difference, ['a', 'a.b'], ['a.b'], ['a']],
    ['difference', difference, ['a', 'a.b', 'a.c'], ['a', 'a.b'], ['a.c']],
    ['difference', difference, ['a.b.c'], ['a.b.c'], []],
    ['recursive difference', recursiveDifference, ['a.b', 'c'], ['a'], ['c']],
    ['recursive difference', recursiveDifference, ['a', 'a.b.c', 'a.d'], ['a.b'], ['a', 'a.d']],
    ['recursive difference', recursiveDifference, ['a.b'], ['a.b.c'], ['a.b']],
  ];
  for (const [name, operation, a, b, expected] of operations)
    it(`${name} of {${a}} and {${b}} is {${expected}}`, () => {
      const [left, right] = [Object.freeze(set(...a)), Object.freeze(set(...b))];
      assert.deepEqual(texts(operation(left, right)), expected);
    });

  it('share what does not change', () => {
    const a = set('a.b', 'c.d');
    assert.equal(union(a, set('a.b')), a);
    assert.equal(difference(a, set('x', 'c')), a);
    assert.equal((difference(a, set('a.b')) as any)['f:c'], a['f:c']);
  });

  it('give their leaves', () => {
    assert.deepEqual(texts(leaves(set('a', 'a.b', 'c', 'd.e'))), ['c', 'a.b', 'd.e']);
  });

  it('are equal whatever their order', () => {
    assert.ok(equalSets(set('a', 'b.c'), set('b.c', 'a')));
    assert.ok(!equalSets(set('a'), set('a', 'b')));
    assert.ok(!equalSets(set('a.b'), set('a', 'a.b')));
    assert.ok(!equalSets(set('a', 'b'), set('a')));
  });

  it('are written in order', () => {
    const s = inOrder({ 'f:b': {}, 'f:a': { 'f:z': {}, '.': {}, 'f:y': {} } });
    assert.equal(JSON.stringify(s), '{"f:a":{".":{},"f:y":{},"f:z":{}},"f:b":{}}');
    assert.equal(inOrder(s), s);
  });

  it('are read from JSON: kinds of elements that are not known are dropped, what is no set is refused', () => {
    const table: [unknown, FieldSet | undefined][] = [
      [{}, {}],
      [{ 'f:a': { '.': {}, 'f:b': {} } }, { 'f:a': { '.': {}, 'f:b': {} } }],
      [{ 'x:new': {}, 'f:a': {} }, { 'f:a': {} }],
      [null, undefined],
      ['f:a', undefined],
      [[], undefined],
      [{ 'f:a': 1 }, undefined],
      [{ 'k:{': {} }, undefined],
      [{ spec: {} }, undefined],
    ];
    for (const [value, expected] of table)
      assert.deepEqual(parseFields(value), expected, JSON.stringify(value));
  });
});
