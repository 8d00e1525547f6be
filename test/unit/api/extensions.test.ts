/** Values of custom resources by their schemas: what is pruned, defaulted, and wrong in upstream's words. */
import assert from 'node:assert/strict';
import { applyDefaults } from '../../../src/api/extensions/defaults.js';
import { hasFormat } from '../../../src/api/extensions/formats.js';
import { listTypeErrors } from '../../../src/api/extensions/list-types.js';
import { prune } from '../../../src/api/extensions/prune.js';
import type { Schema } from '../../../src/api/extensions/schema.js';
import { structuralErrors } from '../../../src/api/extensions/structural.js';
import { validateValue } from '../../../src/api/extensions/validate-value.js';
import { describe as text } from '../../../src/api/machinery/field.js';

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
const object = (properties: Record<string, Schema>, more: Schema = {}): Schema => ({
  type: 'object',
  properties,
  ...more,
});
const string: Schema = { type: 'string' };
const a = (schema: Schema) => object({ a: schema });

describe('schemas of custom resources', () => {
  const structural: [string, Schema, string[]][] = [
    ['complete ones', object({ a: string }, { anyOf: [{ required: ['a'] }] }), []],
    [
      'value validations of what is not declared, at the root',
      object({ a: string }, { allOf: [{ properties: { b: { minimum: 1 } } }] }),
      ['s.properties[b]: Required value: because it is defined in s.allOf[0].properties[b]'],
    ],
    [
      'the same below it, which upstream lets be',
      object({ a: object({}, { allOf: [{ properties: { b: { minimum: 1 } } }] }) }),
      [],
    ],
    [
      'fields without a type',
      object({ a: {} }),
      ['s.properties[a].type: Required value: must not be empty for specified object fields'],
    ],
    [
      'types within value validations',
      object({ a: string }, { allOf: [{ type: 'object' }] }),
      ['s.allOf[0].type: Forbidden: must be empty to be structural'],
    ],
    ['patterns in the syntax of RE2', a({ type: 'string', pattern: '^(?i)[[:alpha:]]+\\pN?$' }), []],
    [
      'patterns that are none',
      a({ type: 'string', pattern: '(x' }),
      [
        's.properties[a].pattern: Invalid value: "(x": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(x`',
      ],
    ],
  ];
  for (const [title, schema, errors] of structural)
    it(`judges ${title}`, () => assert.deepEqual(structuralErrors(schema, 's').map(text), errors));

  const pruned: [string, Schema, object, object, string[]][] = [
    ['unknown fields', object({ a: string }), { a: 'x', b: 1 }, { a: 'x' }, ['b']],
    [
      'nothing where they are preserved',
      object({}, { [PRESERVE]: true }),
      { b: { c: 1 } },
      { b: { c: 1 } },
      [],
    ],
    [
      'what is within values of any kind',
      object({ a: { type: 'object', additionalProperties: true } }),
      { a: { k: { b: 1 }, l: 1 } },
      { a: { k: {}, l: 1 } },
      ['a.k.b'],
    ],
    [
      'unknown fields of items',
      object({ a: { type: 'array', items: object({ b: string }) } }),
      { a: [{ b: 'x', c: 1 }] },
      { a: [{ b: 'x' }] },
      ['a[0].c'],
    ],
  ];
  for (const [title, schema, value, left, dropped] of pruned)
    it(`prunes ${title}`, () => {
      assert.deepEqual(prune(value, schema), dropped);
      assert.deepEqual(value, left);
    });

  const defaulted: [string, Schema, object, object][] = [
    ['what is absent', object({ a: { type: 'string', default: 'x' } }), {}, { a: 'x' }],
    ['nulls that have a default', object({ a: { type: 'string', default: 'x' } }), { a: null }, { a: 'x' }],
    [
      'nothing where null is a value',
      object({ a: { type: 'string', default: 'x', nullable: true } }),
      { a: null },
      { a: null },
    ],
    [
      'nothing, and drops other nulls',
      object({ a: string, b: { 'x-kubernetes-int-or-string': true } }),
      { a: null, b: null },
      {},
    ],
    [
      'within values of a map',
      object({ m: { type: 'object', additionalProperties: object({ a: { type: 'integer', default: 1 } }) } }),
      { m: { k: {}, l: null } },
      { m: { k: { a: 1 } } },
    ],
  ];
  for (const [title, schema, value, after] of defaulted)
    it(`gives defaults to ${title}`, () => {
      applyDefaults(value, schema);
      assert.deepEqual(value, after);
    });

  const wrong: [string, Schema, object, string[]][] = [
    [
      'one item too many',
      object({ a: { type: 'array', items: string, maxItems: 1 } }),
      { a: ['x', 'y'] },
      ['a: Too many: 2: must have at most 1 item'],
    ],
    [
      'too many at the root',
      object({ a: string, b: string }, { maxProperties: 1 }),
      { a: '', b: '' },
      ['<nil>: Too many: 2: must have at most 1 item'],
    ],
    [
      'length alone, not the pattern too',
      a({ type: 'string', minLength: 2, pattern: '^x+$' }),
      { a: 'y' },
      ['a: Invalid value: "y": a in body should be at least 2 chars long'],
    ],
    ['a match whatever the case', a({ type: 'string', pattern: '^(?i)[a-z]+$' }), { a: 'Kind' }, []],
    [
      'a pattern that would take other engines ages',
      a({ type: 'string', pattern: '^(a+)+$' }),
      { a: `${'a'.repeat(60)}!` },
      [`a: Invalid value: "${'a'.repeat(60)}!": a in body should match '^(a+)+$'`],
    ],
    [
      'the type, and what is combined with it',
      a({ 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }),
      { a: false },
      [
        'a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"',
        '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
        'a: Invalid value: "boolean": a in body must be of type integer: "boolean"',
      ],
    ],
    [
      'the same once',
      object({}, { required: ['a'], oneOf: [{ required: ['a'] }, { required: ['b'] }] }),
      {},
      [
        'a: Required value',
        '<nil>: Invalid value: "": "" must validate one and only one schema (oneOf). Found none valid',
      ],
    ],
    [
      'fractions of integers',
      a({ type: 'integer' }),
      { a: 1.5 },
      [
        'a: Invalid value: "number": a in body must be of type integer: "number"',
        '<nil>: Invalid value: "": Checked value must be of type integer (default format) in a',
      ],
    ],
    [
      'more than 32 bits',
      a({ type: 'integer', format: 'int32' }),
      { a: 3_000_000_000 },
      ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in a'],
    ],
    [
      'null where it is none of the values',
      a({ type: 'string', nullable: true, enum: ['x'] }),
      { a: null },
      ['a: Unsupported value: null: supported values: "x"'],
    ],
    [
      'another type than that of a format',
      a({ type: 'string', format: 'ipv4' }),
      { a: { b: 1 } },
      ['a: Invalid value: "": a in body must be of type ipv4: ""'],
    ],
  ];
  for (const [title, schema, value, errors] of wrong)
    it(`tells of ${title}`, () => assert.deepEqual(validateValue(value, schema).map(text), errors));

  it('tells of items that are there twice, by the keys of maps', () => {
    const list: Schema = { type: 'array', 'x-kubernetes-list-type': 'set', items: string };
    const schema = object({ a: list, m: { type: 'object', additionalProperties: list } });
    assert.deepEqual(listTypeErrors({ a: ['x', 'x'], m: { k: ['y', 'y'] } }, schema).map(text), [
      'a[1]: Duplicate value: "x"',
      'm[k][1]: Duplicate value: "y"',
    ]);
  });

  const formats: [string, string[], string[]][] = [
    ['ipv4', ['1.2.3.4', '01.2.3.4', '::ffff:1.2.3.4'], ['1.2.3', '::1']],
    ['ipv6', ['::1'], ['fe80::1%eth0', '1.2.3.4']],
    [
      'hostname',
      ['example.com', 'x', 'a-b', 'a-b.example'],
      ['1.2.3.4', 'x_y', 'a.b.', 'a-b-c', '2020-01-01'],
    ],
    ['email', ['a@b.c', 'A <a@b.c>', '"a b"@c.d', 'a@b_c.d'], ['a@', 'a b@c', '@b']],
    ['byte', ['YQ=='], ['', 'YQ', 'Y Q==']],
    ['rgbcolor', ['rgb(1,2,3)'], ['rgb(256,2,3)']],
    ['date-time', ['2020-01-01T00:00:00Z'], ['2020-01-01', '2020-01-01T25:00:00Z']],
    ['unknown', ['anything'], []],
  ];
  for (const [format, good, bad] of formats)
    it(`knows the format ${format}`, () => {
      for (const value of good) assert.ok(hasFormat(value, format), value);
      for (const value of bad) assert.ok(!hasFormat(value, format), value);
    });
});
