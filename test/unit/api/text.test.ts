/** Reading JSON and YAML texts strictly. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { JsonSyntaxError, parseJsonStrict, parseYamlStrict } from '../../../src/api/schema/index.js';

describe('parseJsonStrict', () => {
  const duplicates: [string, string[]][] = [
    ['{"a":1,"b":{"a":1}}', []],
    ['{"a":1,"a":2}', ['a']],
    ['{"a":{"b":[{"c":1},{"c":1,"c":2}]},"a":3}', ['a.b[1].c', 'a']],
    ['{"a":1,"\\u0061":2}', ['a']],
    ['{"x":"a:1","y":"\\"q\\":1"}', []],
    ['{"a":1,"a":2,"a":3}', ['a']],
  ];
  for (const [text, expected] of duplicates)
    it(`finds ${JSON.stringify(expected)} in ${text}`, () => {
      assert.deepEqual(parseJsonStrict(text), { value: JSON.parse(text), duplicates: expected });
    });

  const wrong: [string, string][] = [
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a":}', "invalid character '}' looking for beginning of value"],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
    ['[1 2]', "invalid character '2' after array element"],
    ['{}x', "invalid character 'x' after top-level value"],
    ['nul1', "invalid character '1' in literal null (expecting 'l')"],
    ['-', 'unexpected end of JSON input'],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ['"\\q"', "invalid character 'q' in string escape code"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['apiVersion: v1', "invalid character 'a' looking for beginning of value"],
  ];
  for (const [text, message] of wrong)
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(
        () => parseJsonStrict(text),
        (error: Error) => {
          assert.ok(error instanceof JsonSyntaxError);
          assert.equal(error.message, message);
          return true;
        },
      ));

  it('finds no duplicates in what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(parseJsonStrict(text), { value: JSON.parse(text), duplicates: [] });
      }),
    );
  });
});

describe('parseYamlStrict', () => {
  it('tells keys that a mapping has twice, by line', async () => {
    assert.deepEqual(await parseYamlStrict('a: 1\nb:\n  c: 2\n  c: 3\na: 4\n'), {
      value: { a: 4, b: { c: 3 } },
      errors: [
        'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n  line 5: key "a" already set in map',
      ],
    });
  });

  it('reads scalars as Go does: yes is true, dates and 12:30 are strings', async () => {
    const { value } = await parseYamlStrict(
      'a: yes\nb: 2001-12-14\nc: 12:30\nd: 0777\ne: ~\nf: 1.5\ng: "1"\n',
    );
    assert.deepEqual(value, { a: true, b: '2001-12-14', c: '12:30', d: 511, e: null, f: 1.5, g: '1' });
  });

  it('refuses what is no YAML, and aliases that explode', async () => {
    await assert.rejects(parseYamlStrict('a: [1'), SyntaxError);
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed'].map((pair) => [pair[0], pair[1]]))
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${of}`).join(',')}]`);
    await assert.rejects(parseYamlStrict(bomb.join('\n')));
  });
});
