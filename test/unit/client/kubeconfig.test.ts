/** Reading kubeconfig files. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadKubeconfig } from '../../../src/client/kubeconfig.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const CONFIG = `
apiVersion: v1
kind: Config
current-context: here
clusters:
- name: c1
  cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: ${base64('the CA')}}
- name: c2
  cluster: {server: 'https://example:443', certificate-authority: ca.pem, tls-server-name: other}
- name: c3
  cluster: {insecure-skip-tls-verify: true}
users:
- name: u1
  user: {client-certificate-data: ${base64('cert')}, client-key-data: ${base64('key')}}
- name: u2
  user: {tokenFile: token}
- name: u3
  user: {exec: {command: x}}
- name: u4
  user: {username: jo, password: pw}
contexts:
- name: here
  context: {cluster: c1, user: u1}
- name: there
  context: {cluster: c2, user: u2, namespace: work}
- name: no-server
  context: {cluster: c3, user: u1}
- name: plugin
  context: {cluster: c1, user: u3}
- name: basic
  context: {cluster: c1, user: u4}
- name: nobody
  context: {cluster: c1, user: missing}
`;

describe('loadKubeconfig', () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-kubeconfig-'));
    path = join(dir, 'config');
    writeFileSync(path, CONFIG);
    writeFileSync(join(dir, 'ca.pem'), 'file CA');
    writeFileSync(join(dir, 'token'), 'secret\n');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('takes the current context', async () => {
    const { transport, ...context } = await loadKubeconfig(path);
    assert.deepEqual(context, { context: 'here', cluster: 'c1', user: 'u1', namespace: 'default' });
    assert.equal(transport.server, 'https://127.0.0.1:6443');
    assert.deepEqual([transport.ca, transport.cert, transport.key].map(String), ['the CA', 'cert', 'key']);
    assert.equal(transport.insecure, false);
  });

  it('takes a named one, with files beside the kubeconfig', async () => {
    const { transport, namespace } = await loadKubeconfig(path, 'there');
    assert.equal(namespace, 'work');
    assert.equal(String(transport.ca), 'file CA');
    assert.equal(transport.serverName, 'other');
    assert.ok(typeof transport.token === 'function');
    assert.equal(await transport.token(), 'secret');
    writeFileSync(join(dir, 'token'), 'renewed');
    assert.equal(await transport.token(), 'renewed');
  });

  it('knows basic authentication', async () => {
    const { transport } = await loadKubeconfig(path, 'basic');
    assert.equal(transport.headers?.['authorization'], `Basic ${base64('jo:pw')}`);
  });

  const refused: [context: string, message: RegExp][] = [
    ['missing', /has no context "missing"/],
    ['nobody', /has no user "missing"/],
    ['no-server', /cluster "c3" has no server/],
    ['plugin', /credential plugin/],
  ];
  for (const [context, message] of refused)
    it(`says what is wrong with the context ${context}`, () =>
      assert.rejects(loadKubeconfig(path, context), message));

  it('says that there is no current context', async () => {
    writeFileSync(path, 'kind: Config');
    await assert.rejects(loadKubeconfig(path), /has no current context/);
  });
});
