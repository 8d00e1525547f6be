/** Label and field selectors: matching, text forms, errors. */
import assert from 'node:assert/strict';
import {
  labelSelector,
  labelSet,
  parseFieldSelector,
  parseLabelSelector,
} from '../../../src/api/machinery/selectors.js';

const labels = { app: 'web', tier: 'front', size: '7', empty: '' };

describe('label selector', () => {
  const matching: [string, boolean][] = [
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier=front', true],
    ['app=web,tier=back', false],
    ['app!=db', true],
    ['missing!=x', true],
    ['app!=web', false],
    ['app', true],
    ['missing', false],
    ['!missing', true],
    ['!app', false],
    ['app in (web, db)', true],
    ['app in (db)', false],
    ['app notin (db)', true],
    ['missing notin (db)', true],
    ['missing in (db)', false],
    ['size>6', true],
    ['size>7', false],
    ['size<8', true],
    ['app>1', false],
    ['empty=', true],
    ['empty in (,x)', true],
    ['in in (a)', false],
    ['toString', false],
  ];
  for (const [text, expected] of matching)
    it(`${JSON.stringify(text)} ${expected ? 'matches' : 'does not match'}`, () =>
      assert.equal(parseLabelSelector(text).matches(labels), expected));

  const NAME =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
  const wrong: [string, string][] = [
    ['a=b,', "found '', expected: identifier after ','"],
    ['=b', "found '=', expected: !, identifier, or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['a=b c=d', "found 'c', expected: ',' or 'end of string'"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    ['a=(', "unable to parse requirement: found '(', expected: identifier"],
    [
      'a>x',
      `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
    ['-a=b', `unable to parse requirement: <nil>: Invalid value: "-a": ${NAME}`],
  ];
  for (const [text, message] of wrong)
    it(`${JSON.stringify(text)} is refused`, () =>
      assert.throws(() => parseLabelSelector(text), { code: 400, reason: 'BadRequest', message }));

  it('checks values as labels', () => {
    assert.throws(() => parseLabelSelector('a=b@c'), {
      message: /^unable to parse requirement: values\[0\]\[a\]: Invalid value: "b@c": a valid label must be/,
    });
  });

  it('has a sorted text form', () => {
    const text = parseLabelSelector('z,b notin (y,x),a==1,!c,d>3').toString();
    assert.equal(text, 'a==1,b notin (x,y),!c,d>3,z');
    assert.equal(parseLabelSelector(text).toString(), text);
  });

  it('comes from a LabelSelector object', () => {
    const selector = labelSelector({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['front', 'back'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    });
    assert.equal(selector.toString(), 'app=web,!old,tier in (back,front)');
    assert.equal(selector.matches(labels), true);
    assert.equal(selector.matches({ ...labels, old: '' }), false);
  });

  it('selects nothing when absent and everything when empty', () => {
    assert.equal(labelSelector(undefined).matches(labels), false);
    assert.equal(labelSelector({}).matches(undefined), true);
    assert.equal(labelSelector({}).empty, true);
  });

  it('refuses operators that are none', () => {
    assert.throws(() => labelSelector({ matchExpressions: [{ key: 'a', operator: 'Like' }] }), {
      message: '"Like" is not a valid label selector operator',
    });
    assert.throws(() => labelSelector({ matchExpressions: [{ key: 'a', operator: 'In', values: [] }] }), {
      message: /for 'in', 'notin' operators, values set can't be empty/,
    });
  });

  it('of a set asks for every label of it', () => {
    assert.equal(labelSet({ app: 'web' }).matches(labels), true);
    assert.equal(labelSet({ app: 'web', x: 'y' }).matches(labels), false);
    assert.equal(labelSet({ b: '2', a: '1' }).toString(), 'a=1,b=2');
  });
});

describe('field selector', () => {
  const fields: Record<string, string> = { 'status.phase': 'Running', 'spec.nodeName': '', x: 'a,b=c\\d' };
  const get = (field: string): string => fields[field] ?? '';
  const matching: [string, boolean][] = [
    ['', true],
    ['status.phase=Running', true],
    ['status.phase==Running,spec.nodeName=', true],
    ['status.phase!=Running', false],
    ['status.phase!=Failed,status.phase!=Succeeded', true],
    ['x=a\\,b\\=c\\\\d', true],
    [',,status.phase=Running,', true],
  ];
  for (const [text, expected] of matching)
    it(`${JSON.stringify(text)} ${expected ? 'matches' : 'does not match'}`, () =>
      assert.equal(parseFieldSelector(text).matches(get), expected));

  it('keeps its escapes in the text form', () => {
    assert.equal(parseFieldSelector('x==a\\,b').toString(), 'x=a\\,b');
  });

  const wrong: [string, RegExp][] = [
    ['status.phase', /^invalid selector: 'status.phase'; can't understand 'status.phase'$/],
    ['a=b\\c', /^invalid field selector: invalid escape sequence: \\c$/],
    ['a=b=c', /^invalid field selector: unescaped character in value: 61$/],
  ];
  for (const [text, message] of wrong)
    it(`${JSON.stringify(text)} is refused`, () =>
      assert.throws(() => parseFieldSelector(text), { code: 400, message }));
});
