/** Peers that do not keep to the rules: they are refused or dropped, and nobody else notices. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { after, before, describe, it } from 'mocha';
import type { Pod } from '#types';
import { pods } from '../../../src/api/resources/index.js';
import { loadOrCreatePki } from '../../../src/auth/pki.js';
import { connect, type Harness, nodeCertificate, pod, RawAgent, startHub } from './harness.js';

describe('hub and wrong peers', () => {
  let harness: Harness;
  let good: RawAgent;
  let serial = 0;

  before(async () => {
    harness = await startHub({ stallMs: 1000 });
    good = await connect(harness, 'good');
  });
  after(async () => {
    good.close();
    await harness.close();
  });

  /** A pod still reaches the node that behaves. */
  async function stillWorks(): Promise<void> {
    const name = `p${++serial}`;
    await harness.client.of<Pod>(pods).create(pod(name, 'good'));
    await good.until((a) => a.told('pods').includes(`default/${name}`));
  }

  async function refused(agent: RawAgent): Promise<number> {
    const { code } = await agent.ended;
    agent.close();
    return code;
  }

  it('refuses a peer without a certificate', async () => {
    const agent = new RawAgent(harness.address, harness.pki.caCert);
    agent.hello({ node: 'x' });
    assert.equal(await refused(agent), status.UNAUTHENTICATED);
    await stillWorks();
  });

  it('refuses a certificate of another CA', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'keelson-test-pki-'));
    const foreign = await loadOrCreatePki(dir);
    const agent = new RawAgent(harness.address, harness.pki.caCert, await nodeCertificate(foreign, 'good'));
    agent.hello({ node: 'good' });
    assert.equal(await refused(agent), status.UNAUTHENTICATED);
    await rm(dir, { recursive: true });
    await stillWorks();
  });

  it('refuses a certificate that has expired', async () => {
    const expired = await nodeCertificate(harness.pki, 'good', -0.00001);
    const agent = new RawAgent(harness.address, harness.pki.caCert, expired);
    agent.hello({ node: 'good' });
    assert.equal(await refused(agent), status.UNAUTHENTICATED);
    await stillWorks();
  });

  it('refuses a certificate that is not of a node', async () => {
    const pair = await harness.pki.issue({ commonName: 'alice', organizations: ['dev'], usage: 'client' });
    const agent = new RawAgent(harness.address, harness.pki.caCert, pair);
    agent.hello({ node: 'alice' });
    assert.equal(await refused(agent), status.PERMISSION_DENIED);
  });

  it("refuses another node's name", async () => {
    const agent = new RawAgent(
      harness.address,
      harness.pki.caCert,
      await nodeCertificate(harness.pki, 'bad'),
    );
    agent.hello({ node: 'good' });
    assert.equal(await refused(agent), status.PERMISSION_DENIED);
    await stillWorks();
  });

  it('drops a peer that sends a message above the limit', async () => {
    const agent = await connect(harness, 'bad');
    agent.call.write({ request: { id: 1, body: Buffer.alloc(5 << 20) } });
    assert.equal(await refused(agent), status.RESOURCE_EXHAUSTED);
    await stillWorks();
  });

  it('survives garbage: on the port, inside TLS, and in a message', async () => {
    const port = Number(harness.address.split(':')[1]);
    const raw = tcpConnect(port, '127.0.0.1', () => raw.write('GET / HTTP/1.0\r\n\r\n'));
    raw.on('error', () => {});
    const pair = await nodeCertificate(harness.pki, 'bad');
    const tls = tlsConnect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...pair,
      ALPNProtocols: ['h2'],
    });
    tls.on('error', () => {});
    tls.resume();
    tls.once('secureConnect', () => tls.write(Buffer.alloc(4096, 0xff)));
    await new Promise((resolve) => tls.once('close', resolve));
    const agent = new RawAgent(harness.address, harness.pki.caCert, pair);
    agent.call.write({ hello: { node: 'bad' } });
    await agent.synced();
    const { path } = { path: '/keelson.v1.Hub/Sync' };
    const garbage = agent.client.makeBidiStreamRequest(
      path,
      () => Buffer.alloc(64, 0xff),
      (bytes) => bytes,
    );
    const code = new Promise((resolve) => garbage.on('status', (s) => resolve(s.code)));
    garbage.on('error', () => {});
    garbage.on('data', () => {});
    garbage.write({});
    assert.notEqual(await code, status.OK);
    agent.close();
    raw.destroy();
    await stillWorks();
  });

  it('drops a peer that never reads, and bounds what waits for it', async () => {
    const agent = await connect(harness, 'bad');
    agent.call.pause();
    // More than the client itself takes before it is read: sixteen messages, and the window of its connection.
    for (let i = 0; i < 24; i++) {
      const annotated = pod(`big${i}`, 'bad');
      annotated.metadata.annotations = { big: 'x'.repeat(200 << 10) };
      await harness.client.of<Pod>(pods).create(annotated);
    }
    const deadline = Date.now() + 8000;
    while (harness.hub.connected.includes('bad') && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(harness.hub.connected, ['good']);
    agent.close();
    await stillWorks();
  });

  it('forgets a peer whose connection is cut', async () => {
    const agent = await connect(harness, 'bad');
    agent.client.close();
    agent.call.cancel();
    const deadline = Date.now() + 5000;
    while (harness.hub.connected.includes('bad') && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(harness.hub.connected, ['good']);
    await stillWorks();
  });
});
