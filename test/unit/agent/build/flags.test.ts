import assert from 'node:assert/strict';
import { modeChange } from '../../../../src/agent/build/file-mode.js';
import { parseMount } from '../../../../src/agent/build/mount-spec.js';
import { isRepository, nameOf } from '../../../../src/agent/build/remote.js';

describe('--mount of RUN', () => {
  for (const [text, expected] of [
    ['target=/a', { type: 'bind', target: '/a', source: '/', from: '', readOnly: true }],
    ['type=bind,src=x,dst=/a,from=one,rw', { source: 'x', target: '/a', from: 'one', readOnly: false }],
    ['type=bind,target=/a,rw=false', { readOnly: true }],
    ['type=cache,target=/a/', { id: '/a/', sharing: 'shared', mode: 0o755, readOnly: false }],
    [
      'type=cache,target=/a,id=x,sharing=locked,mode=1777,uid=5,gid=6,ro',
      { id: 'x', sharing: 'locked', mode: 0o1777, uid: 5, gid: 6, readOnly: true },
    ],
    ['type=tmpfs,target=/a,size=2m', { size: 2 << 20 }],
    ['type=secret,id=x', { target: '/run/secrets/x', mode: 0o400, required: false }],
    ['type=secret,target=/etc/y,required', { id: 'y', target: '/etc/y', required: true }],
    ['type=secret,id=x,env=X', { target: '', env: 'X' }],
    ['"type=secret","id=x"', { id: 'x' }],
  ] as const)
    it(`reads ${text}`, () => {
      const mount = parseMount(text) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(expected)) assert.equal(mount[key], value, key);
    });

  for (const [text, message] of [
    ['type=ssh', 'RUN --mount=type=ssh is not supported'],
    ['type=other,target=/a', 'unsupported mount type "other"'],
    ['type=cache', 'a mount of type cache has to have a target'],
    ['type=secret', 'a secret has to have an id or a target'],
    ['target=/a,colour=red', "unexpected key 'colour' in 'colour=red'"],
    ['type=cache,target=/a,sharing=some', 'unsupported sharing value "some"'],
    ['type=cache,target=/a,uid=x', 'invalid value for uid: x'],
    ['type=tmpfs,target=/a,size=much', 'invalid size: much'],
    ['target=/a,rw=maybe', 'invalid value for readwrite: maybe'],
  ] as const)
    it(`refuses ${text}`, () => assert.throws(() => parseMount(text), { message }));
});

describe('--chmod of COPY and ADD', () => {
  for (const [text, mode, isFolder, expected] of [
    ['640', 0o777, false, 0o640],
    ['1777', 0o700, true, 0o1777],
    ['u=rwX,go=rX', 0o600, false, 0o644],
    ['u=rwX,go=rX', 0o711, false, 0o755],
    ['u=rwX,go=rX', 0o600, true, 0o755],
    ['+x', 0o644, false, 0o755],
    ['a-w', 0o666, false, 0o444],
    ['go-rwx', 0o777, false, 0o700],
    ['u+s,+t', 0o755, false, 0o5755],
    ['u=rw+x', 0o077, false, 0o777],
  ] as const)
    it(`makes of ${mode.toString(8)} with ${text} ${expected.toString(8)}`, () =>
      assert.equal(modeChange(text)(mode, isFolder).toString(8), expected.toString(8)));

  it('refuses what is neither', () => {
    for (const text of ['9', 'u', 'rwx', 'z=r', '']) assert.throws(() => modeChange(text), /invalid chmod/);
  });
});

describe('addresses of ADD', () => {
  for (const [disposition, url, name] of [
    ['', 'http://a/b/c.tar?x=1', 'c.tar'],
    ['', 'http://a/b%20c', 'b c'],
    ['', 'http://a/', ''],
    ['', 'http://a/b/', ''],
    ['attachment; filename="d e.txt"', 'http://a/b', 'd e.txt'],
    ['attachment; filename=../../etc/f', 'http://a/b', 'f'],
    ['attachment; filename=..', 'http://a/b', ''],
  ] as const)
    it(`lead to a file called "${name}": ${url} ${disposition}`, () =>
      assert.equal(nameOf(disposition, url), name));

  it('may be those of repositories', () => {
    for (const address of ['git@a:b', 'https://a/b.git', 'https://a/b.git#main', 'ssh://a/b', 'git://a/b'])
      assert.ok(isRepository(address), address);
    for (const address of ['https://a/b.github', 'http://a/b.git.tar', 'a.git'])
      assert.ok(!isRepository(address), address);
  });
});
