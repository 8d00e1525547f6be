import assert from 'node:assert/strict';
import { normalizePattern, parseReference } from '../../../src/runtime/images/reference.js';

describe('parseReference', () => {
  const digest = `sha256:${'a1'.repeat(32)}`;
  for (const [text, full] of [
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['user/app', 'docker.io/user/app:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['gcr.io/kuar-demo/kuard-amd64:blue', 'gcr.io/kuar-demo/kuard-amd64:blue'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app:1', 'localhost:5000/app:1'],
    ['host:5000/a/b/c', 'host:5000/a/b/c:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['Host/app', 'Host/app:latest'],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`],
    [`busybox:1@${digest}`, `docker.io/library/busybox@${digest}`],
    ['a__b/c--d/e.f', 'docker.io/a__b/c--d/e.f:latest'],
    ['app:V_1.2-x', 'docker.io/library/app:V_1.2-x'],
  ] as const)
    it(`completes ${text}`, () => assert.equal(parseReference(text).full, full));

  it('keeps the parts', () => {
    assert.deepEqual(parseReference(`localhost:5000/a/b:1@${digest}`), {
      registry: 'localhost:5000',
      repository: 'a/b',
      tag: '1',
      digest,
      name: 'localhost:5000/a/b',
      full: `localhost:5000/a/b@${digest}`,
    });
  });

  for (const [text, why] of [
    ['', 'invalid reference format'],
    ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
    ['a b', 'invalid reference format'],
    ['a/', 'invalid reference format'],
    ['/a', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    ['a::b', 'invalid reference format'],
    ['a:b/c:d:e', 'invalid reference format'],
    ['-host.com/a', 'invalid reference format'],
    ['a___b', 'invalid reference format'],
    ['a@sha256:12', 'invalid reference format'],
    [`a@sha256:${'a'.repeat(40)}`, 'invalid checksum digest length'],
    ['a:.tag', 'invalid reference format'],
    [`a:${'t'.repeat(129)}`, 'invalid reference format'],
    ['a'.repeat(256), 'repository name must not be more than 255 characters'],
    [
      'a'.repeat(64),
      `invalid repository name (${'a'.repeat(64)}), cannot specify 64-byte hexadecimal strings`,
    ],
  ] as const)
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(() => parseReference(text), {
        code: 'InvalidName',
        message: `couldn't parse image name ${JSON.stringify(text)}: ${why}`,
      });
    });
});

describe('normalizePattern', () => {
  for (const [pattern, full] of [
    ['busybox:*', 'docker.io/library/busybox:*'],
    ['busybox', 'docker.io/library/busybox:*'],
    ['user/app:1', 'docker.io/user/app:1'],
    ['gcr.io/kuar-demo/kuard-*:*', 'gcr.io/kuar-demo/kuard-*:*'],
    ['localhost:5000/*', 'localhost:5000/*'],
    ['*', 'docker.io/*'],
  ] as const)
    it(`completes ${pattern}`, () => assert.equal(normalizePattern(pattern), full));
});
