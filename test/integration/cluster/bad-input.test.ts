import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Pod } from '#types';
import { loadOrCreatePki } from '../../../src/auth/pki.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

describe('bad input', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster?.down());

  const create = (object: object | string) =>
    cluster.kubectl.try(['create', '-f', '-'], {
      stdin: typeof object === 'string' ? object : JSON.stringify(object),
    });
  const container = async (name: string) =>
    (JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json')) as Pod).status
      ?.containerStatuses?.[0];
  const events = (name: string) =>
    cluster.kubectl('get', 'events', '--field-selector', `involvedObject.name=${name}`, '--no-headers');

  it('a wrong manifest: the field and what is wrong with it', async () => {
    const pod = shellPod('wrong', 'true');
    const cases: [object, RegExp][] = [
      [{ ...pod, spec: { containers: [] } }, /spec\.containers: Required value/],
      [{ ...pod, metadata: { name: 'Not_Allowed' } }, /metadata\.name: Invalid value: "Not_Allowed"/],
      [
        { ...pod, spec: { ...pod.spec, restartPolicy: 'Sometimes' } },
        /spec\.restartPolicy: Unsupported value: "Sometimes"/,
      ],
      [{ ...pod, spec: { ...pod.spec, nonsense: 1 } }, /unknown field "spec\.nonsense"/],
      [
        { ...pod, spec: { ...pod.spec, hostNetwork: 'yes' } },
        /cannot unmarshal string into Go struct field .*hostNetwork of type bool/,
      ],
    ];
    for (const [object, says] of cases) {
      const { code, stderr } = await create(object);
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
    assert.match((await create('{ "kind": ')).stderr, /error/);
  });

  it('a missing image: ErrImagePull, then ImagePullBackOff, and why', async () => {
    await create(shellPod('no-image', 'true', { container: { image: '127.0.0.1:9/no/such:1' } }));
    await eventually(
      'ImagePullBackOff',
      async () => (await container('no-image'))?.state?.waiting?.reason === 'ImagePullBackOff',
    );
    assert.match(
      await events('no-image'),
      /Failed\s+pod\/no-image\s+(Error: ErrImagePull|Failed to pull image "127\.0\.0\.1:9\/no\/such:1")/,
    );
  });

  it('an image name that is none: InvalidImageName', async () => {
    await create(shellPod('bad-name', 'true', { container: { image: 'UPPER/Case:x' } }));
    await eventually(
      'InvalidImageName',
      async () => (await container('bad-name'))?.state?.waiting?.reason === 'InvalidImageName',
    );
  });

  it('a missing command: StartError with exit code 128', async () => {
    const spec = { restartPolicy: 'Never' as const };
    await create(shellPod('no-command', '', { container: { command: ['/no/such'] }, spec }));
    await eventually('its end', async () => (await container('no-command'))?.state?.terminated);
    const { reason, exitCode, message } = (await container('no-command'))!.state!.terminated!;
    assert.deepEqual([reason, exitCode], ['StartError', 128]);
    assert.match(message ?? '', /exec: "\/no\/such": stat \/no\/such: no such file or directory/);
  });

  it('exec of a missing command: told over the session, with the reason', async () => {
    await create(shellPod('exec-missing', 'sleep 600'));
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/exec-missing', '--timeout=60s');
    const says =
      /^error: Internal error occurred: error executing command in container: .*exec: "nosuch": executable file not found in \$PATH/m;
    for (const env of ['true', 'false']) {
      const options = { env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: env } };
      const { code, stderr } = await cluster.kubectl.try(['exec', 'exec-missing', '--', 'nosuch'], options);
      assert.deepEqual([code, says.test(stderr)], [1, true], stderr);
    }
  });

  it('a bad token or a foreign certificate: 401; no credentials: 403', async () => {
    const { apiPort } = JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8'));
    const foreign = await (await loadOrCreatePki(join(cluster.dataDir, 'foreign'))).issue({
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usage: 'client',
    });
    const status = (options: RequestOptions) =>
      new Promise<number>((resolve, reject) => {
        const url = `https://127.0.0.1:${apiPort}/api/v1/pods`;
        get(url, { rejectUnauthorized: false, ...options }, (answer) => {
          answer.resume();
          resolve(answer.statusCode!);
        }).on('error', reject);
      });
    assert.equal(await status({ headers: { authorization: 'Bearer nonsense' } }), 401);
    assert.equal(await status(foreign), 401);
    assert.equal(await status({}), 403);
  });

  it('garbage on any port: a closed connection, and everything goes on', async () => {
    const { apiPort, hubPort } = JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8'));
    for (const port of [apiPort, hubPort])
      for (const garbage of [
        'GET / HTTP/1.1\r\n\r\n',
        '\0'.repeat(10_000),
        Buffer.from('16030100ff0100', 'hex'),
      ])
        await new Promise<void>((resolve) => {
          const socket = connect(port, '127.0.0.1', () => socket.end(garbage));
          socket.on('error', () => undefined);
          socket.on('close', () => resolve());
          socket.resume();
        });
    assert.match(await cluster.kubectl('get', 'nodes'), / Ready/);
  });
});
