import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Aliases, defaultAliases, findAlias, parseAliases } from '../../../src/runtime/images/aliases.js';
import { parseReference } from '../../../src/runtime/images/reference.js';

const target = (text: string, name: string) =>
  findAlias(parseAliases(text), parseReference(name))?.target.full;

describe('image aliases', () => {
  for (const [name, expected] of [
    ['gcr.io/kuar-demo/kuard-amd64:blue', 'keelson.dev/demo:blue'],
    ['gcr.io/kuar-demo/kuard-arm64:2', 'keelson.dev/demo:2'],
    ['busybox', 'keelson.dev/busybox:latest'],
    ['docker.io/library/busybox:1.36', 'keelson.dev/busybox:latest'],
    ['nginx', undefined],
    ['gcr.io/kuar-demo/other:1', undefined],
    ['user/busybox', undefined],
  ] as const)
    it(`lead ${name} to ${expected} by default`, () => assert.equal(target(defaultAliases, name), expected));

  it('are by default what the file says', () => {
    assert.deepEqual(parseAliases(defaultAliases), parseAliases(`${defaultAliases}\n`));
  });

  it('know the parts of the asked name, and take the first rule that fits', () => {
    const text = `aliases:
- { match: "a.io/x/*:1", image: "b.io/{registry}/{name}:{tag}-{tag}", when: always }
- { match: "a.io/*", image: "c.io/all" }`;
    assert.equal(target(text, 'a.io/x/y:1'), 'b.io/a.io/x/y:1-1');
    assert.equal(target(text, 'a.io/x/y:2'), 'c.io/all:latest');
    assert.deepEqual(
      parseAliases(text).map((rule) => rule.when),
      ['always', 'unreachable'],
    );
  });

  it('take dots in names as dots', () => {
    assert.equal(target('aliases: [{ match: "a.io/x:1.0", image: b }]', 'a.io/x:1a0'), undefined);
  });

  for (const [text, problem] of [
    ['aliases: 3', /not a list/],
    ['aliases: [{ match: a }]', /aliases\[0\] needs match and image/],
    ['aliases: [{ match: a, image: b, when: never }]', /aliases\[0\]\.when/],
    ['aliases: [', /./],
  ] as const)
    it(`say what is wrong with ${text}`, () => assert.throws(() => parseAliases(text), problem));

  it('are read again when the file changes, and stay when it is broken', () => {
    const dir = mkdtempSync('/tmp/keelson-test-aliases-');
    try {
      const path = join(dir, 'deep/image-aliases.yaml');
      const aliases = new Aliases(path);
      const find = (name: string) => aliases.find(parseReference(name))?.target.full;
      assert.equal(readFileSync(path, 'utf8'), defaultAliases);
      assert.equal(find('busybox'), 'keelson.dev/busybox:latest');
      writeFileSync(path, 'aliases: [{ match: nginx, image: "x.io/n:{tag}" }]');
      assert.equal(find('busybox'), undefined);
      assert.equal(find('nginx:3'), 'x.io/n:3');
      writeFileSync(path, 'aliases: {');
      assert.equal(find('nginx:3'), 'x.io/n:3');
      rmSync(path);
      assert.equal(find('nginx:3'), undefined);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
