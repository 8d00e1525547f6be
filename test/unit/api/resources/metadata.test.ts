import assert from 'node:assert/strict';
import type { ObjectMeta } from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { validateCidr, validateIp, validateNonSpecialIp } from '../../../../src/api/machinery/ip.js';
import {
  sameJson,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from '../../../../src/api/machinery/validation.js';

const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'a', uid: '1' };

describe('object metadata', () => {
  const cases: [string, Partial<ObjectMeta>, string[]][] = [
    ['valid', { labels: { 'example.com/a': 'b' }, annotations: { 'a/B': 'any text' } }, []],
    ['no name', { name: '' }, ['metadata.name: Required value: name or generateName is required']],
    ['no namespace', { namespace: '' }, ['metadata.namespace: Required value']],
    ['generateName may end in a dash', { generateName: 'web-' }, []],
    ['label', { labels: { a: 'b c' } }, ['metadata.labels: Invalid value: "b c": a valid label must']],
    ['label key', { labels: { 'a b': '' } }, ['metadata.labels: Invalid value: "a b": name part must']],
    [
      'annotations of 256 KiB',
      { annotations: { a: 'x'.repeat(256 * 1024) } },
      ['metadata.annotations: Too long: may not be more than 262144 bytes'],
    ],
    [
      'finalizer',
      { finalizers: ['mine'] },
      [
        'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
      ],
    ],
    ['standard finalizers', { finalizers: ['orphan', 'example.com/a'] }, []],
    [
      'owner without uid',
      { ownerReferences: [{ ...owner, uid: '' }] },
      ['metadata.ownerReferences.uid: Invalid value: "": must not be empty'],
    ],
    [
      'two controllers',
      {
        ownerReferences: [
          { ...owner, controller: true },
          { ...owner, name: 'b', controller: true },
        ],
      },
      ['metadata.ownerReferences: Invalid value: [{'],
    ],
  ];
  for (const [what, meta, expected] of cases)
    it(what, () => {
      const errors = validateObjectMeta({ name: 'x', namespace: 'default', ...meta }, { namespaced: true });
      assert.equal(errors.length, expected.length, errors.map(text).join('\n'));
      expected.forEach((start, i) => {
        assert.ok(text(errors[i]!).startsWith(start), text(errors[i]!));
      });
    });

  it('keeps identity, times and generation over an update', () => {
    const old: ObjectMeta = { name: 'x', namespace: 'a', uid: '1', generation: 2, deletionTimestamp: 't' };
    const errors = validateObjectMetaUpdate(
      { ...old, name: 'y', uid: '2', generation: 1, finalizers: ['a.b/c'] },
      old,
    );
    assert.deepEqual(errors.map(text), [
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/c"}',
      'metadata.generation: Invalid value: 1: must not be decremented',
      'metadata.name: Invalid value: "y": field is immutable',
      'metadata.uid: Invalid value: "2": field is immutable',
    ]);
    assert.deepEqual(validateObjectMetaUpdate(old, old), []);
  });
});

describe('addresses', () => {
  const special: [string, string | undefined][] = [
    ['10.0.0.1', undefined],
    ['2001:db8::1', undefined],
    ['0.0.0.0', 'may not be unspecified (0.0.0.0)'],
    ['127.0.0.1', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ['::1', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ['169.254.1.1', 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
    ['fe80::1', 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
    ['224.0.0.5', 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
    ['x', 'must be a valid IP address'],
  ];
  for (const [ip, rule] of special)
    it(`endpoint ${ip}`, () => {
      const errors = validateNonSpecialIp(ip, 'ip').map(text);
      assert.deepEqual(errors, rule ? [`ip: Invalid value: ${JSON.stringify(ip)}: ${rule}`] : []);
    });

  it('CIDRs and IPs', () => {
    for (const cidr of ['10.0.0.0/8', '2001:db8::/64']) assert.deepEqual(validateCidr(cidr, 'c'), []);
    for (const cidr of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/8/8', '/8', '10.0.0.0/a'])
      assert.equal(validateCidr(cidr, 'c').length, 1, cidr);
    assert.equal(
      text(validateIp('1.2.3', 'ip')[0]!),
      'ip: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    );
  });
});

describe('sameJson', () => {
  const cases: [unknown, unknown, boolean][] = [
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [{ a: [] }, {}, true],
    [{}, { a: {} }, true],
    [{ a: 0 }, {}, false],
    [[1, 2], [2, 1], false],
    [{ a: { b: 'x' } }, { a: { b: 'y' } }, false],
    [undefined, null, true],
  ];
  for (const [a, b, same] of cases)
    it(`${JSON.stringify(a)} ${same ? 'is' : 'is not'} ${JSON.stringify(b)}`, () => {
      assert.equal(sameJson(a, b), same);
      assert.equal(sameJson(b, a), same);
    });
});
