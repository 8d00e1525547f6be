import assert from 'node:assert/strict';
import { compileJsonPath } from '../../../src/api/extensions/json-path.js';

const certificate = {
  spec: { 'dotted.key': 'k', names: ['a', 'b', 'c'] },
  status: {
    conditions: [
      { type: 'Issuing', status: 'False', message: 'none' },
      { type: 'Ready', status: 'True', message: 'up (to date)', age: 3 },
    ],
  },
};

describe('JSONPath of columns', () => {
  const cases: [path: string, values: unknown[]][] = [
    ['.spec.names', [['a', 'b', 'c']]],
    ['{.spec.names[1]}', ['b']],
    ['.spec.names[-1]', ['c']],
    ['.spec.names[:2]', ['a', 'b']],
    ['.spec.names[*]', ['a', 'b', 'c']],
    ['.spec.dotted\\.key', ['k']],
    [".spec['dotted.key']", ['k']],
    ['$..type', ['Issuing', 'Ready']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    ['.status.conditions[?(@.type == "Ready")].message', ['up (to date)']],
    [".status.conditions[?(@.message=='up (to date)')].type", ['Ready']],
    ['.status.conditions[?(@.age>2)].type', ['Ready']],
    ['.status.conditions[?(@.age)].type', ['Ready']],
    ['.spec.names[?(@ != "b")]', ['a', 'c']],
    ['.status.nothing[0].here', []],
  ];
  for (const [path, values] of cases)
    it(path, () => assert.deepEqual(compileJsonPath(path)(certificate), values));

  for (const path of ['.spec[', '.spec..', '.spec.names[?(@.a == "b"]', 'a]b['])
    it(`refuses ${path}`, () => assert.throws(() => compileJsonPath(path), /unrecognized JSON path/));
});
