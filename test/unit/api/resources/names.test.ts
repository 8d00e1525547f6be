import assert from 'node:assert/strict';
import * as names from '../../../../src/api/machinery/names.js';

const LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const DNS1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

describe('names', () => {
  const cases: [string, names.NameCheck, string, string[]][] = [
    ['label', names.dns1123Label, 'my-name', []],
    ['label with capitals', names.dns1123Label, 'My', [LABEL]],
    ['label with dots', names.dns1123Label, 'a.b', ['must not contain dots']],
    ['empty label', names.dns1123Label, '', [LABEL]],
    ['long label', names.dns1123Label, 'a'.repeat(64), ['must be no more than 63 characters']],
    ['subdomain', names.dns1123Subdomain, 'a.b-c.d', []],
    ['subdomain with underscore', names.dns1123Subdomain, 'a_b', [SUBDOMAIN]],
    ['subdomain ending in a newline', names.dns1123Subdomain, 'a\n', [SUBDOMAIN]],
    ['service', names.dns1035Label, 'web', []],
    ['service starting with a digit', names.dns1035Label, '1web', [DNS1035]],
    ['qualified name', names.qualifiedName, 'example.com/My.Name_1', []],
    ['qualified name with a space', names.qualifiedName, 'a b', [QUALIFIED]],
    ['empty prefix', names.qualifiedName, '/a', ['prefix part must be non-empty']],
    ['bad prefix', names.qualifiedName, 'A/a', [`prefix part ${SUBDOMAIN}`]],
    ['empty name', names.qualifiedName, 'a/', ['name part must be non-empty', QUALIFIED]],
    ['long name', names.qualifiedName, 'a'.repeat(64), ['name part must be no more than 63 bytes']],
    ['empty label value', names.labelValue, '', []],
    ['long label value', names.labelValue, 'a'.repeat(64), ['must be no more than 63 bytes']],
    ['config key', names.configMapKey, 'a.b_c-D', []],
    ['config key ..', names.configMapKey, '..', ["must not be '..'"]],
    ['config key ..x', names.configMapKey, '..x', ["must not start with '..'"]],
    ['env name', names.envVarName, 'my var-1', []],
    [
      'env name with =',
      names.envVarName,
      'A=B',
      ["a valid environment variable name must consist only of printable ASCII characters other than '='"],
    ],
    ['port name', names.portName, 'http-2', []],
    ['port name of digits', names.portName, '80', ['must contain at least one letter (a-z)']],
    ['port name --', names.portName, 'a--b', ['must not contain consecutive hyphens']],
    ['port name -a', names.portName, '-a', ['must not begin or end with a hyphen']],
    ['long port name', names.portName, 'a'.repeat(16), ['must be no more than 15 characters']],
    ['path segment', names.pathSegment, 'system:a', []],
    ['path segment with slash', names.pathSegment, 'a/b%', ["may not contain '/'", "may not contain '%'"]],
  ];
  for (const [what, check, value, expected] of cases)
    it(what, () => {
      assert.deepEqual(check(value), expected);
    });

  it('tells of a label value in one sentence', () => {
    assert.match(
      names.labelValue('-')[0]!,
      /^a valid label must be an empty string or consist of alphanumeric characters, .*regex used for validation is '\(\(\[A-Za-z0-9\]/,
    );
  });

  it('generates names that fit a label', () => {
    const name = names.generateName(`${'a'.repeat(70)}-`, () => 0);
    assert.equal(name, `${'a'.repeat(58)}bbbbb`);
    assert.match(names.generateName('web-'), /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });
});
