/** How much rules may cost at most, by the sizes that their schemas allow: the figures are Kubernetes' own. */
import assert from 'node:assert/strict';
import {
  createEnvironment,
  DYN,
  estimateCost,
  schemaType,
  type TypeSchema,
} from '../../../../src/api/cel/index.js';

type Make = (max?: number) => TypeSchema;

const bound = (key: 'maxItems' | 'maxProperties' | 'maxLength', max?: number) =>
  max === undefined ? {} : { [key]: max };
const scalar = (type: string): TypeSchema => {
  if (type === 'int-or-string') return { 'x-kubernetes-int-or-string': true };
  if (['duration', 'date', 'date-time'].includes(type)) return { type: 'string', format: type };
  return { type };
};
const OBJECT: TypeSchema = {
  type: 'object',
  required: ['required'],
  properties: { required: scalar('string'), optional: scalar('string') },
};
const list =
  (items: TypeSchema): Make =>
  (max) => ({ type: 'array', items, ...bound('maxItems', max) });
const map =
  (values: TypeSchema): Make =>
  (max) => ({ type: 'object', additionalProperties: values, ...bound('maxProperties', max) });
const text: Make = (max) => ({ type: 'string', ...bound('maxLength', max) });
const texts: Make = (max) => list(text(max))(max);
const lists = (type: string) => list(scalar(type));
const maps = (type: string) => map(scalar(type));
const both =
  (make: (max?: number) => TypeSchema): Make =>
  (max) => ({ type: 'object', properties: { str: text(max), ...make(max).properties } });

/** What the schema is, the rule, its cost without a limit, the limit, and its cost with it. */
const COSTS: [string, Make, string, number, number, number][] = [
  ['numbers', lists('number'), 'self.all(x, true)', 4718591, 10, 32],
  ['strings', lists('string'), 'self.all(x, true)', 3145727, 20, 62],
  ['booleans', lists('boolean'), 'self.all(x, true)', 1887437, 5, 17],
  ['lists', list(lists('number')()), 'self.all(x, true)', 3145727, 100, 302],
  ['objects', list(OBJECT), 'self.all(x, true)', 555128, 50, 152],
  ['map of numbers', maps('number'), 'self.all(x, true)', 1348169, 10, 32],
  ['map of strings', maps('string'), 'self.all(x, true)', 1179647, 3, 11],
  ['map of booleans', maps('boolean'), 'self.all(x, true)', 943718, 100, 302],
  ['text', text, "self.contains('test')", 314574, 10, 5],
  ['text', text, "self.startsWith('test')", 2, 15, 2],
  ['text', text, "self.endsWith('test')", 2, 30, 2],
  ['text', text, 'size(self + "hello") > size("hello")', 314578, 4, 7],
  ['numbers', lists('number'), 'self[1] == 0.0', 2, 5000, 2],
  ['strings', lists('string'), 'self[1] == self[1]', 314577, 8, 314577],
  ['text', text, 'self.matches("x")', 314574, 50, 22],
  ['text', text, '"".matches("(((((((((())))))))))[0-9]")', 7, 10, 7],
  ['text', text, 'self.matches("")', 1, 100, 1],
  ['map of texts', (max) => map(text(max))(max), 'self.all(x, x.contains(self[x]))', 2752507, 10, 72],
  ['map of numbers', maps('number'), 'self["x"] == 0.0', 2, 0, 2],
  ['text', text, 'self == "x"', 2, 0, 1],
  ['bytes', (max) => ({ ...text(max), format: 'byte' }), 'self == b"x"', 2, 0, 1],
  ['numbers', lists('number'), 'self.all(x, x == 0.0)', 6291454, 3 * 1024 * 2048, 25165826],
  ['nested', (max) => list(map(OBJECT)(max))(max), 'self.all(x, x["y"].required == "z")', 7340027, 10, 72],
  ['int-or-strings', lists('int-or-string'), 'self.all(x, true)', 4718591, 10, 32],
  ['int-or-strings', lists('int-or-string'), 'self[0] == 5', 3, 10, 3],
  ['objects', list(OBJECT), 'self[0] == null', 2, 422, 2],
  ['lists', list(lists('number')()), 'self[0][0] == -1.0', 3, 51, 3],
  ['maps', list(maps('number')()), 'self.all(x, x.y == 25.2)', 6291452, 12, 74],
  ['maps', list(maps('number')()), 'self[0].x > 2.0', 4, 3000, 4],
  ['durations', lists('duration'), 'self.all(x, true)', 2359295, 5, 17],
  ['durations', lists('duration'), 'self[0].getHours() == 2', 4, 525, 4],
  ['dates', lists('date'), 'self.all(x, true)', 725936, 15, 47],
  ['dates', lists('date'), 'self[2].getDayOfMonth() == 13', 4, 42, 4],
  ['times', lists('date-time'), 'self.all(x, true)', 428963, 25, 77],
  ['map of int-or-strings', maps('int-or-string'), 'self.all(x, true)', 1348169, 15, 47],
  ['map of objects', map(OBJECT), 'self.all(x, true)', 428963, 20, 62],
  ['map of maps', map(maps('number')()), 'self.all(x, true)', 1179647, 10, 32],
  ['map of lists', map(lists('number')()), 'self.all(x, true)', 1179647, 25, 77],
  ['map of durations', maps('duration'), 'self.all(x, true)', 1048577, 5, 17],
  ['map of dates', maps('date'), 'self.all(x, true)', 524288, 10, 32],
  ['map of times', maps('date-time'), 'self.all(x, true)', 349526, 25, 77],
  ['text', text, "self.find('[0-9]+') == ''", 629147, 10, 11],
  ['texts', texts, "self.join(' ') == 'aa bb'", 329853068905, 10, 43],
  ['texts', texts, 'self.isSorted() == true', 329854432052, 10, 52],
  [
    'texts',
    both(() => ({ properties: { before: text(2), after: text(4) } })),
    "self.str.replace(self.before, self.after) == 'does not matter'",
    629154,
    4,
    12,
  ],
  [
    'texts',
    both((max) => ({ properties: { separator: text(max) } })),
    'self.str.split(self.separator) == []',
    629160,
    10,
    22,
  ],
  ['text', text, "self.lowerAscii() == 'lower!'", 314575, 10, 6],
  ['map of integers', maps('integer'), 'oldSelf.size() == self.size()', 5, 10, 5],
  ['map of times', maps('date-time'), 'self["a"] == self["b"]', 8, 7, 8],
  ['map of durations', maps('duration'), 'self["c"] == self["d"]', 8, 42, 8],
  [
    'choice',
    (max) => ({ ...text(max), enum: ['A', 'B', 'C', 'LongValue'] }),
    "self.contains('A')",
    2,
    1000,
    401,
  ],
  [
    'int-or-string',
    (max) => ({ ...scalar('int-or-string'), ...bound('maxLength', max) }),
    'isQuantity(self)',
    314574,
    20,
    9,
  ],
];

function costOf(schema: TypeSchema, rule: string): number {
  const self = schemaType(schema, 'self') ?? DYN;
  const compiled = createEnvironment({ variables: { self, oldSelf: self } }).compile(rule);
  assert('program' in compiled, 'text' in compiled ? compiled.text : '');
  return estimateCost(compiled.program);
}

describe('estimated costs of rules', () => {
  for (const [what, make, rule, unlimited, max, limited] of COSTS)
    it(`${what}: ${rule}`, () => {
      assert.deepEqual([costOf(make(), rule), costOf(make(max), rule)], [unlimited, limited]);
    });

  it('grow by nesting', () => {
    const nested = 'self.all(x, self.all(y, true))';
    assert.equal(costOf(lists('number')(10), nested), 352);
    assert(costOf(lists('number')(), nested) > 10_000_000);
    assert.equal(costOf(lists('number')(10), 'self.all(x, self.all(y, self.all(z, true)))'), 3552);
  });
});
