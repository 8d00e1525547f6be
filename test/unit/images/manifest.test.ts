import assert from 'node:assert/strict';
import { chainIds, sha256 } from '../../../src/runtime/images/digest.js';
import {
  choosePlatform,
  type Descriptor,
  parseConfig,
  parseManifest,
} from '../../../src/runtime/images/manifest.js';
import { parseChallenge } from '../../../src/runtime/images/registry/auth.js';
import { endpointsOf } from '../../../src/runtime/images/registry/config.js';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const descriptor = (n: number, extra: Partial<Descriptor> = {}): Descriptor => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${String(n).repeat(64)}`,
  size: n,
  ...extra,
});

describe('parseManifest', () => {
  it('tells manifests from indexes', () => {
    const layers = [descriptor(2), descriptor(3)];
    assert.deepEqual(parseManifest(json({ config: descriptor(1), layers }), 'm').manifest, {
      config: descriptor(1),
      layers,
    });
    assert.deepEqual(parseManifest(json({ manifests: layers }), 'm').index, layers);
  });

  for (const [what, value, code] of [
    ['no JSON', undefined, 'Corrupt'],
    ['a list', [], 'Corrupt'],
    ['neither', {}, 'Corrupt'],
    ['version 1', { schemaVersion: 1, fsLayers: [] }, 'Unsupported'],
    ['a size below zero', { manifests: [{ ...descriptor(1), size: -1 }] }, 'Corrupt'],
    ['a path for a digest', { manifests: [{ ...descriptor(1), digest: 'sha256:../../etc' }] }, 'Unsupported'],
    ['sha512', { manifests: [{ ...descriptor(1), digest: `sha512:${'a'.repeat(128)}` }] }, 'Unsupported'],
  ] as const)
    it(`refuses ${what}`, () => {
      const text = value === undefined ? Buffer.from('<html>') : json(value);
      assert.throws(() => parseManifest(text, 'the manifest'), { code });
    });
});

describe('choosePlatform', () => {
  const on = (n: number, os: string, architecture: string, variant?: string) =>
    descriptor(n, { platform: { os, architecture, ...(variant ? { variant } : {}) } });
  const linux = { os: 'linux', architecture: 'arm64' };
  const attestation = descriptor(9, {
    platform: { os: 'linux', architecture: 'arm64' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  });
  for (const [what, index, expected] of [
    ['the fitting one', [on(1, 'linux', 'amd64'), on(2, 'linux', 'arm64', 'v8'), on(3, 'linux', 'arm')], 2],
    ['no other system', [on(1, 'windows', 'arm64'), on(2, 'linux', 'arm64')], 2],
    ['the default variant', [on(1, 'linux', 'arm64', 'v9'), on(2, 'linux', 'arm64', 'v8')], 2],
    ['no attestation', [attestation, on(2, 'linux', 'arm64')], 2],
    ['one that tells no platform when nothing fits', [on(1, 'linux', 's390x'), descriptor(4)], 4],
    ['nothing when nothing fits', [on(1, 'linux', 's390x'), on(2, 'unknown', 'unknown')], undefined],
  ] as const)
    it(`takes ${what}`, () => assert.equal(choosePlatform([...index], linux)?.size, expected));
});

describe('parseConfig', () => {
  it('takes what is there and fills in what is not', () => {
    const diffIds = [sha256('a'), sha256('b')];
    const parsed = parseConfig(
      json({ rootfs: { type: 'layers', diff_ids: diffIds }, config: { Cmd: null } }),
      'c',
    );
    assert.deepEqual(parsed.diffIds, diffIds);
    assert.deepEqual(parsed.config.command, []);
    assert.equal(parsed.config.workingDirectory, '');
    assert.throws(
      () => parseConfig(json({}), 'the config'),
      /the config is corrupt: the config tells no layers/,
    );
  });

  it('chains layers as the specification says', () => {
    const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')];
    assert.deepEqual(chainIds([a, b, c]), [a, sha256(`${a} ${b}`), sha256(`${sha256(`${a} ${b}`)} ${c}`)]);
  });
});

describe('registries', () => {
  it('are asked over HTTPS, on loopback over HTTP, mirrors first', () => {
    const bases = (registry: string, settings = {}) =>
      endpointsOf(registry, settings).map(({ base }) => base);
    assert.deepEqual(bases('docker.io'), ['https://registry-1.docker.io']);
    assert.deepEqual(bases('example.com:5000'), ['https://example.com:5000']);
    assert.deepEqual(bases('localhost:5000'), ['http://localhost:5000']);
    assert.deepEqual(bases('127.0.0.1:5000'), ['http://127.0.0.1:5000']);
    assert.deepEqual(bases('x.io', { '*': { mirrors: ['http://m:1/'] }, 'y.io': { http: true } }), [
      'http://m:1',
      'https://x.io',
    ]);
    assert.deepEqual(bases('y.io', { 'y.io': { http: true } }), ['http://y.io']);
  });

  it('challenge with quoted and plain parameters', () => {
    assert.deepEqual(
      parseChallenge('Bearer realm="https://a/t?x=1,2",service=reg,scope="repository:a:pull,push"'),
      {
        scheme: 'bearer',
        parameters: { realm: 'https://a/t?x=1,2', service: 'reg', scope: 'repository:a:pull,push' },
      },
    );
    assert.deepEqual(parseChallenge('Basic'), { scheme: 'basic', parameters: {} });
  });
});
