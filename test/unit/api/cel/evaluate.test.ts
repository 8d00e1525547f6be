import assert from 'node:assert/strict';
import {
  createEnvironment,
  DYN,
  estimateCost,
  INT,
  listOf,
  mapOf,
  STRING,
  schemaType,
  toJson,
} from '../../../../src/api/cel/index.js';

const environment = createEnvironment({
  variables: { object: DYN, names: listOf(STRING), counts: listOf(INT), labels: mapOf(STRING, STRING) },
});
const inputs = {
  object: {
    metadata: { name: 'web', labels: { app: 'a', 'x-y': 'b' } },
    spec: { replicas: 3, ratio: 0.5, ports: [80, '443'] },
  },
  names: ['b', 'a', 'c'],
  counts: [3, 1, 2],
  labels: { app: 'web', tier: 'front' },
};

/** What an expression comes to: JSON, or the error's text. */
function run(source: string): unknown {
  const compiled = environment.compile(source);
  if ('issues' in compiled) return `compile: ${compiled.text.split('\n')[0]}`;
  const outcome = compiled.program.evaluate(inputs);
  return 'error' in outcome ? `error: ${outcome.error.message}` : toJson(outcome.value);
}

const GOOD: Record<string, [string, unknown][]> = {
  'arithmetic and order': [
    ['1 + 2 * 3 - 4 / 2 % 3', 5],
    ['-5 / 2', -2],
    ['7 % -3', 1],
    ['1.5 + 2.0', 3.5],
    ['2u + 3u == 5u', true],
    ['1 < 1.5 && 2u > 1 && 3.0 == dyn(3)', true],
    ['9223372036854775807 + 1', 'error: integer overflow'],
    ['1 / 0', 'error: division by zero'],
    ['-9223372036854775808 < 0', true],
    ['"a" + "b" < "b"', true],
    ['b"abc" == bytes("abc")', true],
    ['!(true && false) || false', true],
    ['--1', 1],
    ['0x1F', 31],
  ],
  'short circuits absorb errors': [
    ['1 / 0 == 1 || true', true],
    ['false && 1 / 0 == 1', false],
    ['1 / 0 == 1 && false', false],
    ['1 / 0 == 1 || false', 'error: division by zero'],
    ['true ? 1 : 1 / 0', 1],
    ['[1, 0].exists(x, 1 / x == 1)', true],
    ['[0, 1].exists(x, 1 / x == 1)', true],
    ['[0, 2].all(x, 1 / x == 1)', false],
    ['[0, 1].all(x, 1 / x == 1)', 'error: division by zero'],
  ],
  'fields, indexes and has': [
    ['object.metadata.name', 'web'],
    ['object.metadata.labels["x-y"]', 'b'],
    ['object.spec.replicas', 3],
    ['object.spec.ports[0] == 80 && object.spec.ports[1] == "443"', true],
    ['object.spec.nope', 'error: no such key: nope'],
    ['object.spec.ports[5]', 'error: index out of bounds: 5'],
    ['has(object.spec.replicas) && !has(object.spec.nope)', true],
    ['"app" in labels && !("x" in labels) && 3 in counts', true],
    ['object.?spec.?nope.orValue("none")', 'none'],
    ['object.?spec.replicas.orValue(0)', 3],
    ['labels[?"tier"].hasValue()', true],
    ['optional.none().or(optional.of(1)).value()', 1],
    ['[1, ?optional.none(), ?optional.of(2)]', [1, 2]],
    ['{"a": 1, ?"b": optional.none()}', { a: 1 }],
    ['optional.ofNonZeroValue("").hasValue()', false],
  ],
  macros: [
    ['names.map(n, n + "!")', ['b!', 'a!', 'c!']],
    ['counts.filter(c, c > 1)', [3, 2]],
    ['counts.map(c, c > 1, c * 10)', [30, 20]],
    ['counts.exists_one(c, c == 1)', true],
    ['labels.all(k, k.size() < 5)', true],
    ['names.all(i, n, i < 3 && n != "z")', true],
    ['labels.exists(k, v, k == "app" && v == "web")', true],
    ['counts.transformList(i, c, i + c)', [3, 2, 4]],
    ['labels.transformMap(k, v, k + v)', { app: 'appweb', tier: 'tierfront' }],
    ['labels.transformMapEntry(k, v, {v: k})', { web: 'app', front: 'tier' }],
    ['counts.transformMap(i, c, c > 1, c)', { 0: 3, 2: 2 }],
    ['[[1, 2], [3]].map(l, l.map(x, x + 1))', [[2, 3], [4]]],
    ['[1, 2].map(x, [1, 2].filter(y, y >= x).size())', [2, 1]],
  ],
  conversions: [
    ['int("42") + int(2.9) + int(1u)', 45],
    ['string(1.5) + string(2) + string(true)', '1.52true'],
    ['double("1.25")', 1.25],
    ['int("x")', 'error: strconv.ParseInt: parsing "x": invalid syntax'],
    ['type(1) == int && type("") == string && type([]) == list', true],
    ['string(duration("1h30m"))', '5400s'],
    ['duration("90s") > duration("1m")', true],
    ['timestamp("2024-01-31T10:20:30.5Z").getMonth()', 0],
    ['timestamp("2024-01-31T10:20:30Z").getHours("+02:00")', 12],
    ['timestamp("2024-07-01T00:00:00Z").getHours("America/New_York")', 20],
    ['string(timestamp("2024-01-01T00:00:00Z") + duration("24h"))', '2024-01-02T00:00:00Z'],
    ['timestamp("2024-01-02T00:00:00Z") - timestamp("2024-01-01T00:00:00Z") == duration("24h")', true],
  ],
  strings: [
    ['"tacocat".charAt(3)', 'o'],
    ['"hello mellow".indexOf("ello", 2)', 7],
    ['"hello mellow".lastIndexOf("ello")', 7],
    ['["a", "b"].join("-")', 'a-b'],
    ['"TacoCat".lowerAscii() + "a".upperAscii()', 'tacocatA'],
    ['"hello hello".replace("he", "we", 1)', 'wello hello'],
    ['"ab".replace("", "_")', '_a_b_'],
    ['"a,b,c".split(",", 2)', ['a', 'b,c']],
    ['"tacocat".substring(0, 4)', 'taco'],
    ['" \\t x ".trim()', 'x'],
    ['"%s is %d, %.2f, %x".format(["a", 1, 2.5, 255])', 'a is 1, 2.50, ff'],
    ['strings.quote("a\\"b\\n")', '"a\\"b\\n"'],
    ['"héé".size()', 3],
    ['"abc".matches("^a.c$") && !"abc".matches("z")', true],
    ['"a1b22".findAll("[0-9]+")', ['1', '22']],
    ['"a1b22".find("[0-9]+$")', '22'],
  ],
  'lists and sets': [
    ['[1, 2, 2].isSorted() && !counts.isSorted()', true],
    ['counts.sum() + counts.min() + counts.max()', 10],
    ['[1.5, 2.5].sum()', 4],
    ['[].sum() == 0', true],
    ['[duration("1s"), duration("2s")].sum() == duration("3s")', true],
    ['names.indexOf("a") + names.lastIndexOf("z")', 0],
    ['sets.contains([1, 2], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])', true],
    ['[1, 2] + [3] == [1, 2, 3]', true],
    ['{"a": 1} == dyn({"a": 1.0})', true],
  ],
  quantities: [
    ['quantity("1.5Gi").isGreaterThan(quantity("500Mi"))', true],
    ['quantity("50k").add(20).sub(quantity("20")) == quantity("50000")', true],
    ['quantity("1").compareTo(quantity("2")) + quantity("-3").sign()', -2],
    ['quantity("50k").asInteger()', 50000],
    ['quantity("500m").isInteger() || isQuantity("x")', false],
    ['quantity("500m").asApproximateFloat()', 0.5],
    ['quantity("500m").asInteger()', 'error: cannot convert value to integer'],
    [
      'quantity("x")',
      "error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ],
  addresses: [
    ['ip("192.168.0.1").family() + ip("fe80::1").family()', 10],
    ['isIP("1.2.3.256") || isIP("::ffff:1.2.3.4") || isIP("1::2::3") || isCIDR("10.0.0.0/33")', false],
    ['ip.isCanonical("2001:db8::abcd") && !ip.isCanonical("2001:DB8:0::abcd")', true],
    [
      'ip("127.0.0.1").isLoopback() && ip("::").isUnspecified() && ip("ff02::1").isLinkLocalMulticast()',
      true,
    ],
    ['ip("10.0.0.1").isGlobalUnicast() && !ip("169.254.1.1").isGlobalUnicast()', true],
    [
      'cidr("192.168.0.0/24").containsIP("192.168.0.7") && !cidr("192.168.0.0/24").containsIP(ip("192.168.1.7"))',
      true,
    ],
    [
      'cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && !cidr("10.1.0.0/16").containsCIDR(cidr("10.0.0.0/8"))',
      true,
    ],
    [
      'string(cidr("192.168.1.5/24").masked()) + " " + string(cidr("fd00::/8").ip())',
      '192.168.1.0/24 fd00::',
    ],
    ['cidr("::1/128").prefixLength()', 128],
    ['string(ip("1:0:0:2:0:0:0:3"))', '1:0:0:2::3'],
  ],
  'URLs, formats and versions': [
    ['url("https://user@example.com:80/path?k1=a&k2=b&k1=c").getHost()', 'example.com:80'],
    ['url("https://example.com:80/a%20b?k=a&k=c").getQuery()', { k: ['a', 'c'] }],
    ['url("https://[::1]:8080/x").getHostname() + url("https://[::1]:8080/x").getPort()', '::18080'],
    [
      'url("/just/a/path").getEscapedPath() + url("/a").getHost() + url("https://a.b").getEscapedPath()',
      '/just/a/path',
    ],
    ['url("https://a.b/c").getScheme()', 'https'],
    ['isURL("https://a b") || isURL("a/b")', false],
    ['format.dns1123Label().validate("a-b").hasValue()', false],
    ['format.named("dns1123Label").value().validate("A").value().size()', 1],
    [
      'format.named("nope").hasValue() || format.uuid().validate("123e4567-e89b-12d3-a456-426614174000").hasValue()',
      false,
    ],
    [
      'semver("1.2.3-alpha.1").isLessThan(semver("1.2.3-alpha.beta")) && semver("1.2.3") == semver("1.2.3+build")',
      true,
    ],
    ['semver("v1.0", true).major() + semver("1.22.3").minor() + semver("0.0.4").patch()', 27],
    ['isSemver("v1.0") || isSemver("01.2.3")', false],
    ['semver("1.10.0").compareTo(semver("1.9.9"))', 1],
  ],
};

const BAD: [string, string][] = [
  ['foo', "compile: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')"],
  ['names.x', "compile: ERROR: <input>:1:6: type 'list(string)' does not support field selection"],
  ['1 + "a"', "compile: ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'"],
  [
    '"a".startsWith(1)',
    "compile: ERROR: <input>:1:15: found no matching overload for 'startsWith' applied to 'string.(int)'",
  ],
  ['nope(1)', "compile: ERROR: <input>:1:5: undeclared reference to 'nope' (in container '')"],
  ['[1, "a"]', "compile: ERROR: <input>:1:5: expected type 'int' but found 'string'"],
  [
    '(1).map(x, x)',
    "compile: ERROR: <input>:1:2: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
  ],
  [
    'names.all(x, 1)',
    "compile: ERROR: <input>:1:10: found no matching overload for '_&&_' applied to '(bool, int)'",
  ],
  ['has(names)', 'compile: ERROR: <input>:1:5: invalid argument to has() macro'],
  [
    '1 +',
    "compile: ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
  ],
  ['"a".matches("[")', 'compile: ERROR: <input>:1:13: invalid matches argument'],
  ['duration("x")', 'compile: ERROR: <input>:1:10: invalid duration argument'],
];

describe('CEL', () => {
  for (const [group, cases] of Object.entries(GOOD))
    it(group, () => {
      for (const [source, expected] of cases) assert.deepEqual(run(source), expected, source);
    });

  it('names what is wrong with an expression', () => {
    for (const [source, expected] of BAD) assert.equal(run(source), expected, source);
  });

  it('shows where', () => {
    const compiled = environment.compile('names.size() > 1 &&\n  bad');
    assert('issues' in compiled);
    assert.equal(
      compiled.text,
      "ERROR: <input>:2:3: undeclared reference to 'bad' (in container '')\n |   bad\n | ..^",
    );
  });

  it('ends when the budget is spent', () => {
    const compiled = environment.compile('names.all(a, names.all(b, names.all(c, a + b + c != "")))');
    assert('program' in compiled);
    const spent = compiled.program.evaluate({ ...inputs, names: Array(300).fill('x') });
    assert('error' in spent);
    assert.equal(spent.error.message, 'operation cancelled: actual cost limit exceeded');
    const { cost } = compiled.program.evaluate(inputs);
    assert(cost > 27 && cost < 1000, String(cost));
  });

  it('estimates costs by the sizes that a schema allows', () => {
    const estimate = (source: string, bounds: object = {}): number => {
      const items = { type: 'string', ...bounds };
      const list = { type: 'array', items, ...bounds };
      const type = schemaType({ type: 'object', properties: { list } }, 'self', true)!;
      const compiled = createEnvironment({ variables: { self: type } }).compile(source);
      assert('program' in compiled);
      return estimateCost(compiled.program);
    };
    assert.equal(estimate('self.metadata.name == "x"'), 4);
    assert(estimate('self.list.all(a, self.list.all(b, a != b))') > 100_000_000);
    assert(estimate('self.list.all(a, self.list.all(b, a != b))', { maxItems: 10, maxLength: 10 }) < 2000);
    assert(estimate('self.list.all(a, a.matches("^[a-z]+$"))') > 10_000_000);
    assert(estimate('self.list.join(",").size() > 3', { maxItems: 5, maxLength: 5 }) < 100);
  });
});
