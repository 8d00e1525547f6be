/** Joining: tokens, names that are taken, the pin of the CA, renewal. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { after, before, describe, it } from 'mocha';
import type { Node, Secret } from '#types';
import { joinCluster, loadCredentials, renew } from '../../../src/agent/hub/credentials.js';
import { nodes, secrets } from '../../../src/api/resources/index.js';
import { caHash } from '../../../src/auth/pki.js';
import { type Harness, startHub } from './harness.js';

const encode = (text: string) => Buffer.from(text).toString('base64');

describe('joining', () => {
  let harness: Harness;
  let base: string;

  before(async () => {
    harness = await startHub();
    base = await mkdtemp(join(tmpdir(), 'keelson-test-join-'));
    await token('aaaaaa', {});
    await token('bbbbbb', { 'keelson-allow-replace': 'true' });
    await token('cccccc', { expiration: '2020-01-01T00:00:00Z' });
    await token('dddddd', { 'usage-bootstrap-authentication': 'false' });
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'taken' }, spec: {} };
    await harness.client.of<Node>(nodes).create(node);
  });
  after(async () => {
    await harness.close();
    await rm(base, { recursive: true });
  });

  async function token(id: string, extra: Record<string, string>): Promise<void> {
    const data = {
      'token-id': id,
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-authentication': 'true',
      ...extra,
    };
    await harness.client.of<Secret>(secrets).create({
      ...{ apiVersion: 'v1', kind: 'Secret', type: 'bootstrap.kubernetes.io/token' },
      metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
      data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, encode(v)])),
    });
  }

  const source = (node: string, id = 'aaaaaa', caHash = harness.pki.caHash) => ({
    ...{ node, hub: harness.address, dir: join(base, `${node}-${id}`), caHash },
    token: `${id}.0123456789abcdef`,
  });

  it('gives a certificate of the node, and keeps it', async () => {
    const { cert, ca } = await joinCluster(source('fresh'));
    const parsed = new X509Certificate(cert);
    assert.deepEqual(parsed.subject.split('\n').sort(), ['CN=system:node:fresh', 'O=system:nodes']);
    assert.equal(caHash(ca), harness.pki.caHash);
    assert.deepEqual(await loadCredentials(source('fresh'), Date.now()), {
      ca: await readFile(join(source('fresh').dir, 'ca.crt'), 'utf8'),
      cert,
      key: await readFile(join(source('fresh').dir, 'node.key'), 'utf8'),
    });
    assert.equal(await loadCredentials({ ...source('fresh'), node: 'other' }, Date.now()), undefined);
  });

  for (const [what, id] of [
    ['that nobody made', 'zzzzzz'],
    ['that has expired', 'cccccc'],
    ['that is for another use', 'dddddd'],
  ] as const)
    it(`refuses a token ${what}`, async () => {
      await assert.rejects(joinCluster(source('fresh', id)), { code: status.PERMISSION_DENIED });
    });

  it('refuses a name that a Node has, unless the token allows it', async () => {
    await assert.rejects(joinCluster(source('taken')), { code: status.ALREADY_EXISTS });
    assert.ok((await joinCluster(source('taken', 'bbbbbb'))).cert);
  });

  it('refuses a name that another has just joined with', async () => {
    await joinCluster(source('double'));
    await assert.rejects(joinCluster({ ...source('double'), dir: join(base, 'second') }), {
      code: status.ALREADY_EXISTS,
    });
  });

  it('does not show its token to a hub whose CA is not the pinned one', async () => {
    const pin = `sha256:${'0'.repeat(64)}`;
    await assert.rejects(joinCluster(source('pinned', 'aaaaaa', pin)), /shows no CA with the hash/);
  });

  it('renews', async () => {
    const first = await joinCluster(source('renewing'));
    const second = await renew(source('renewing'), first);
    assert.notEqual(second.cert, first.cert);
    assert.ok(new X509Certificate(second.cert).subject.includes('CN=system:node:renewing'));
    await assert.rejects(renew(source('nobody'), { ...first, cert: first.cert, key: second.key }));
  });
});
