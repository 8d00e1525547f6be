import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { mergeKubeconfig, unmergeKubeconfig } from '../../../src/cli/kubeconfig.js';
import { renderKubeconfig } from '../../../src/server/kubeconfig.js';

describe('kubeconfig', () => {
  let dir: string;
  let admin: string;
  let user: string;
  const read = () => parse(readFileSync(user, 'utf8'));

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-'));
    admin = join(dir, 'admin');
    user = join(dir, 'deep/er/config');
    const pem = { caCert: 'ca', cert: 'cert', key: 'key' };
    writeFileSync(admin, renderKubeconfig({ clusterName: 'a', server: 'https://127.0.0.1:1', ...pem }));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('makes a file that was not there, readable by its owner only', () => {
    mergeKubeconfig(admin, user);
    assert.equal(read()['current-context'], 'keelson-a');
    assert.equal(statSync(user).mode & 0o777, 0o600);
  });

  it('keeps what others wrote, replaces its own, and takes only its own away', () => {
    mergeKubeconfig(admin, user);
    const other = { name: 'other', cluster: { server: 'https://other' } };
    const before = read();
    writeFileSync(
      user,
      JSON.stringify({
        ...before,
        clusters: [...before.clusters, other],
        'current-context': 'other',
        extra: 1,
      }),
    );
    mergeKubeconfig(admin, user);
    assert.deepEqual(
      read()
        .clusters.map((c: { name: string }) => c.name)
        .sort(),
      ['keelson-a', 'other'],
    );
    assert.equal(read().extra, 1);
    unmergeKubeconfig('a', user);
    assert.deepEqual(read().clusters, [other]);
    assert.deepEqual(read().users, []);
    assert.equal(read()['current-context'], '');
  });

  it('leaves the current context alone when it is another', () => {
    mergeKubeconfig(admin, user);
    writeFileSync(user, JSON.stringify({ ...read(), 'current-context': 'other' }));
    unmergeKubeconfig('a', user);
    assert.equal(read()['current-context'], 'other');
  });

  it('refuses a file that is no YAML, and does not touch it', () => {
    const broken = join(dir, 'broken');
    writeFileSync(broken, '{ not: [yaml');
    assert.throws(() => mergeKubeconfig(admin, broken), /broken is not a kubeconfig/);
    assert.equal(readFileSync(broken, 'utf8'), '{ not: [yaml');
  });
});
