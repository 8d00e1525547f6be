import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import { register } from '../../fixtures/registry.js';
import { makeLayout, sh, startRegistry, type TestRegistry } from '../images/fixture.js';

describe('keelson image', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let registry: TestRegistry;
  let dir: string;
  let layout: string;
  const image = async (...argv: string[]) => {
    const { code, stdout, stderr } = await cluster.keelson(['image', argv[0]!], ...argv.slice(1));
    assert.equal(code, 0, stderr);
    return stdout;
  };

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-'));
    register({ kind: 'dir', path: dir });
    layout = await makeLayout(dir);
    registry = await startRegistry(dir);
    await sh(
      'skopeo',
      'copy',
      '--dest-tls-verify=false',
      `oci:${layout}`,
      `docker://${registry.host}/team/app:v1`,
    );
    cluster = await startTestCluster();
  });
  after(async () => {
    await cluster?.down();
    await registry?.stop();
    rmSync(dir, { recursive: true });
  });

  it('lists what every node has', async () => {
    assert.match(
      await image('list'),
      /^IMAGE\s+ID\s+SIZE\n[\s\S]*keelson\.dev\/demo:blue\s+[0-9a-f]{12}\s+\d/,
    );
  });

  it('imports an archive under a name, and a pod runs from it', async () => {
    await sh('skopeo', 'copy', `oci:${layout}`, `docker-archive:${join(dir, 'app.tar')}:made.example/app:1`);
    assert.match(await image('import', join(dir, 'app.tar')), /made\.example\/app:1/);
    const container = {
      image: 'made.example/app:1',
      imagePullPolicy: 'Never' as const,
      command: ['/bin/sh', '-c', 'busybox cat /opt/new; exec busybox sleep 1000'],
    };
    await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(shellPod('imported', '', { container })),
    });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/imported', '--timeout=30s');
    await eventually('its log', async () => (await cluster.kubectl('logs', 'imported')) === 'new\n');
    const busy = await cluster.keelson(['image', 'remove'], 'made.example/app:1');
    assert.equal(busy.code, 1);
    assert.match(busy.stderr, /^keelson: made\.example\/app:1 is in use by container c/);
    await cluster.kubectl('delete', 'pod', 'imported', '--now');
    await image('remove', 'made.example/app:1');
    assert.doesNotMatch(await image('list'), /made\.example/);
  });

  it('pulls from a registry, by hand and for a pod', async () => {
    const name = `${registry.host}/team/app:v1`;
    assert.match(await image('pull', name), new RegExp(name));
    await image('remove', name);
    const container = { image: name, command: ['/bin/sh', '-c', 'exec busybox sleep 1000'] };
    await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(shellPod('pulled', '', { container })),
    });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/pulled', '--timeout=30s');
    assert.match(await cluster.kubectl('describe', 'pod', 'pulled'), /Successfully pulled image/);
  });

  it('builds from a Dockerfile: what commands hide and change is hidden and changed in a pod', async () => {
    const context = join(dir, 'context');
    mkdirSync(join(context, 'files/sub'), { recursive: true });
    writeFileSync(join(context, 'files/sub/kept.txt'), 'kept\n');
    writeFileSync(join(context, 'files/left.out'), 'no\n');
    writeFileSync(join(context, '.dockerignore'), '**/*.out\n');
    await sh('tar', '-C', context, '-cf', join(context, 'archive.tar'), 'files/sub');
    writeFileSync(
      join(context, 'Dockerfile'),
      `FROM keelson.dev/busybox AS tools
RUN mkdir -p /made/old && echo 1 > /made/old/file && ln /made/old/file /made/hard
FROM tools
ARG WHO=nobody
ENV GREETING="hello $WHO"
RUN rm -r /made/old /bin/vi && mkdir /made/old && echo "$GREETING" > /made/new
COPY --chown=65534:65534 --chmod=640 files /files/
ADD archive.tar /unpacked
COPY --from=tools /made/old/file /from-tools
COPY <<EOF /inline
for $WHO
EOF
`,
    );
    const built = await image('build', '-t', 'built.example/app:1', '--build-arg', 'WHO=you', context);
    assert.match(built, /Built built\.example\/app:1\n$/);
    const again = await image('build', '-t', 'built.example/app:1', '--build-arg', 'WHO=you', '-q', context);
    assert.equal(JSON.parse(await image('inspect', 'built.example/app:1'))[0].Id, again.trim());
    const look =
      'ls /made /made/old; ls /bin/vi; cat /made/new /made/hard; find /files /unpacked -type f; stat -c %a:%u /files/sub/kept.txt; cat /from-tools /inline; ls /etc/resolv.conf';
    const expected = `/made:\nhard\nnew\nold\n\n/made/old:\nls: /bin/vi: No such file or directory\nhello you\n1\n/files/sub/kept.txt\n/unpacked/files/sub/kept.txt\n640:65534\n1\nfor you\n/etc/resolv.conf\n`;
    const shows = async (name: string) => {
      const container = {
        image: 'built.example/app:1',
        imagePullPolicy: 'Never' as const,
        command: ['sh', '-c', `{ ${look}; } 2>&1; exec sleep 1000`],
        securityContext: { runAsUser: 0 },
      };
      await cluster.kubectl.try(['apply', '-f', '-'], {
        stdin: JSON.stringify(shellPod(name, '', { container })),
      });
      await cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
      await eventually('its log', async () =>
        (await cluster.kubectl('logs', name)).includes('/etc/resolv.conf\n'),
      );
      assert.equal(await cluster.kubectl('logs', name), expected);
      await cluster.kubectl('delete', 'pod', name, '--now');
    };
    await shows('built');
    // The same image again from an archive, which other tools read as well.
    const archive = join(dir, 'built.tar');
    await image('save', '-o', archive, 'built.example/app:1');
    await image('remove', 'built.example/app:1');
    await image('prune');
    assert.match(await sh('skopeo', 'inspect', `docker-archive:${archive}`), /GREETING=hello you/);
    await image('import', archive);
    assert.equal(JSON.parse(await image('inspect', 'built.example/app:1'))[0].Id, again.trim());
    await shows('loaded');
  });

  it('builds with mounts, triggers of the base, and files from a server', async () => {
    const context = join(dir, 'mounts');
    mkdirSync(join(context, 'folder'), { recursive: true });
    for (const name of ['kept.txt', 'left.md', 'no.out']) writeFileSync(join(context, 'folder', name), name);
    writeFileSync(join(context, '.dockerignore'), '**/*.out\n');
    writeFileSync(join(context, 'secret'), 'do not tell');
    const server = createServer((_request, answer) => answer.end('from afar'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/afar`;
    const build = async (name: string, text: string, ...more: string[]) => {
      writeFileSync(join(context, 'Dockerfile'), text);
      return image('build', '-t', `built.example/${name}:1`, ...more, context);
    };
    try {
      await build(
        'base',
        'FROM keelson.dev/busybox\nONBUILD RUN echo "for you" > /trigger\nONBUILD COPY <<A /inline\na\nA\n',
      );
      const cached = '--mount=type=cache,target=/cache,sharing=locked';
      const output = await build(
        'top',
        `FROM built.example/base:1 AS one
RUN cat /trigger /inline && mkdir /sub && echo other > /sub/file
FROM built.example/base:1
RUN ${cached} echo one >> /cache/list
RUN ${cached} echo two >> /cache/list && echo cached $(cat /cache/list)
RUN --mount=target=/context,rw touch /context/mine && echo context $(ls /context /context/folder)
RUN --mount=from=one,source=/sub,target=/one echo other $(cat /one/file) $(touch /one/x 2>&1)
RUN --mount=type=secret,id=told,mode=444 --mount=type=tmpfs,target=/memory echo told $(cat /run/secrets/told)
RUN --mount=type=secret,id=told,env=TOLD echo variable $TOLD
RUN <<E
#!/bin/busybox sh
echo said by $0
E
ADD --chmod=u=rw,go=r ${address} ${address}2 /remote/
COPY --parents --exclude=*.md ./folder /all/
RUN echo left $(find /cache /context /one /run/secrets /memory 2> /dev/null) and $(find /remote /all -type f)
`,
        ...['--secret', `id=told,src=${join(context, 'secret')}`],
      );
      for (const line of [
        'for you',
        'cached one two',
        'context /context: Dockerfile folder mine secret /context/folder: kept.txt left.md',
        'other other touch: /one/x: Read-only file system',
        'told do not tell',
        'variable do not tell',
        'said by /dev/pipes/E',
        'left and /remote/afar /remote/afar2 /all/folder/kept.txt',
      ])
        assert.ok(output.split('\n').includes(line), `"${line}" is not in ${output}`);
      assert.ok(!(await image('inspect', 'built.example/top:1')).includes('do not tell'));
      const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
      assert.deepEqual(
        mounts.filter((line) => line.includes(cluster.dataDir) && line.includes('/mount-')),
        [],
      );
    } finally {
      server.close();
    }
  });

  it('says where a build goes wrong', async () => {
    const context = join(dir, 'wrong');
    mkdirSync(context);
    for (const [lines, says] of [
      [
        'FROM keelson.dev/busybox\nRUN exit 3',
        /Dockerfile:2: the command "\/bin\/sh -c exit 3" ended with exit code 3/,
      ],
      ['FROM keelson.dev/busybox\n\nCOPY nothing /', /Dockerfile:3: "nothing" is not in the build context/],
      [
        'FROM keelson.dev/busybox\nCOPY --from=keelson.dev/demo /no /',
        /Dockerfile:2: "\/no" is not in the image/,
      ],
      ['FROM keelson.dev/busybox\nUSER nobody:none\nRUN id', /Dockerfile:3: unable to find group none/],
      ['FROM keelson.dev/none', /Dockerfile:1: .*not found/],
      ['FROM keelson.dev/busybox\nONBUILD FROM a', /Dockerfile:2: FROM isn't allowed as an ONBUILD trigger/],
      [
        'FROM keelson.dev/busybox\nRUN --mount=type=secret,id=none,required id',
        /Dockerfile:2: secret none: not found/,
      ],
      ['FROM keelson.dev/busybox\nCOPY http://127.0.0.1:1/a /', /Dockerfile:2: .*ADD takes addresses/],
      ['FROM keelson.dev/busybox\nADD http://127.0.0.1:1/a /', /Dockerfile:2: .*connection refused/],
    ] as const) {
      writeFileSync(join(context, 'Dockerfile'), `${lines}\n`);
      const { code, stderr } = await cluster.keelson(['image', 'build'], context);
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
  });

  it('pushes to a registry that wants a password, from where pods with the secret alone have it', async () => {
    const [user, password] = ['hauler', 'pass:word'];
    const locked = await startRegistry(
      dir,
      'hauler:$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki\n',
    );
    try {
      const name = `${locked.host}/team/private:1`;
      await image('pull', `${registry.host}/team/app:v1`);
      await image('tag', `${registry.host}/team/app:v1`, name);
      const refused = await cluster.keelson(['image', 'push'], name);
      assert.match(refused.stderr, /^keelson: failed to push .*no basic auth credentials/);
      const pushed = await image('push', name, '--creds', `${user}:${password}`);
      assert.match(pushed, new RegExp(`^${name}@sha256:[0-9a-f]{64}\n$`));
      const auth = ['--creds', `${user}:${password}`, '--tls-verify=false'];
      assert.match(await sh('skopeo', 'inspect', ...auth, `docker://${name}`), /"Digest"/);
      await image('remove', name);

      await cluster.kubectl(
        ...['create', 'secret', 'docker-registry', 'login', `--docker-server=${locked.host}`],
        ...[`--docker-username=${user}`, `--docker-password=${password}`],
      );
      const start = async (pod: string, secrets: string[], imagePullPolicy: 'IfNotPresent' | 'Never') => {
        const container = { image: name, imagePullPolicy, command: ['busybox', 'sleep', '1000'] };
        const made = shellPod(pod, '', { container });
        Object.assign(made.spec, { imagePullSecrets: secrets.map((secret) => ({ name: secret })) });
        await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(made) });
      };
      const waiting = (pod: string) =>
        cluster.kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.containerStatuses[0].state.waiting}');
      await start('with-secret', ['login'], 'IfNotPresent');
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/with-secret', '--timeout=30s');
      await start('without', [], 'IfNotPresent');
      await start('never', [], 'Never');
      await start('never-with', ['login'], 'Never');
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/never-with', '--timeout=30s');
      await eventually('refusal', async () =>
        /"reason":"(ErrImagePull|ImagePullBackOff)"/.test(await waiting('without')),
      );
      assert.match(await waiting('without'), /authorization failed: no basic auth credentials/);
      await eventually('refusal', async () => (await waiting('never')).includes('ErrImageNeverPull'));
      assert.match(
        await waiting('never'),
        /is present with pull policy of Never but does not have the proper credentials to access the image/,
      );

      // What the node itself has is for all its pods.
      const auths = { [locked.host]: { username: user, password } };
      const kubelet = join(cluster.dataDir, 'nodes', cluster.node, 'kubelet');
      writeFileSync(join(kubelet, 'config.json'), JSON.stringify({ auths }));
      await cluster.kubectl('delete', 'pod', 'without', '--now');
      await start('without', [], 'IfNotPresent');
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/without', '--timeout=30s');
      await cluster.kubectl('delete', 'pod', 'with-secret', 'without', 'never', 'never-with', '--now');
    } finally {
      await locked.stop();
    }
  });

  it('says what is wrong, in one sentence', async () => {
    for (const [argv, says] of [
      [['pull', `${registry.host}/no/such:1`], /^keelson: .*not found/],
      [['import', '/no/such.tar'], /^keelson: .*\/no\/such\.tar/],
      [['remove', 'no.such/image:1'], /^keelson: .*no\.such\/image:1/],
    ] as const) {
      const { code, stderr } = await cluster.keelson(['image', argv[0]], ...argv.slice(1));
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
  });
});
