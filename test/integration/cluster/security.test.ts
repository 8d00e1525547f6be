/** Secrets at rest and from registries, users, and Pod Security, on a whole cluster with the real kubectl. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import { register } from '../../fixtures/registry.js';
import { makeLayout, sh, startRegistry, type TestRegistry } from '../images/fixture.js';

/** Of the user `ann` with the password `open-sesame`. */
const HTPASSWD = 'ann:$2b$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n';
const TREASURE = 'a-treasure-that-must-not-be-found';

describe('security', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let registry: TestRegistry;
  let dir: string;
  const k = (line: string) => cluster.kubectl(...line.split(' '));
  const attempt = (line: string, stdin?: string) =>
    cluster.kubectl.try(line.split(' '), stdin === undefined ? {} : { stdin });
  /** Whether a file of the database has the text, plain or as the API has it. */
  const onDisk = (text: string): boolean => {
    const db = join(cluster.dataDir, 'db');
    const forms = [text, Buffer.from(text).toString('base64')];
    return readdirSync(db).some((name) => {
      const bytes = readFileSync(join(db, name));
      return forms.some((form) => bytes.includes(form));
    });
  };
  const read = async () =>
    Buffer.from(await k('get secret chest -o jsonpath={.data.gold}'), 'base64').toString();
  const killServer = () => process.kill(cluster.pid('server'), 'SIGKILL');

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-security-'));
    register({ kind: 'dir', path: dir });
    registry = await startRegistry(dir, HTPASSWD);
    const tokens = join(dir, 'tokens.csv');
    writeFileSync(tokens, 'sesame,ali,u-40,thieves\n');
    cluster = await startTestCluster('--token-auth-file', tokens);
  });
  after(async () => {
    await cluster?.down();
    await registry?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('keeps Secrets encrypted at rest, through kills and a change of the key', async () => {
    await k(`create secret generic chest --from-literal=gold=${TREASURE}`);
    await k('create configmap shelf --from-literal=dust=plain-dust');
    assert.equal(onDisk('plain-dust'), true, 'what is not secret is found');
    assert.equal(onDisk(TREASURE), false);
    const file = join(cluster.dataDir, 'encryption.yaml');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const before = readFileSync(file, 'utf8');

    const { stdout, code } = await cluster.keelson(['secrets', 'rotate-key']);
    assert.equal(code, 0);
    assert.match(stdout, /^Secrets are encrypted with the new key "key-\w+" \(\d+ values rewritten\)\.$/m);
    assert.notEqual(readFileSync(file, 'utf8'), before);
    assert.equal(await read(), TREASURE);
    assert.equal(onDisk(TREASURE), false);

    const rotation = cluster.keelson(['secrets', 'rotate-key']);
    await new Promise((resolve) => setTimeout(resolve, 300));
    killServer();
    await rotation;
    await cluster.restart('server');
    assert.equal(await read(), TREASURE);
    assert.equal(onDisk(TREASURE), false);
  });

  it('says that a key is missing, and loses nothing', async () => {
    const file = join(cluster.dataDir, 'encryption.yaml');
    const good = readFileSync(file);
    killServer();
    rmSync(file);
    await assert.rejects(
      cluster.restart('server'),
      /a value in the database .* can't be read \(core\/secrets\/.*encrypted with the key "key-\w+", which is not configured .*encryption\.yaml is missing/,
    );
    writeFileSync(file, good, { mode: 0o600 });
    await cluster.restart('server');
    assert.equal(await read(), TREASURE);
  });

  it('keeps the options of up, and takes tokens of a file after restarts', async () => {
    const token = ['--token=sesame', '--kubeconfig=/dev/null', '--insecure-skip-tls-verify'];
    const server = (await k('config view --minify -o jsonpath={.clusters[0].cluster.server}')).trim();
    const who = await cluster.kubectl(...token, `--server=${server}`, 'auth', 'whoami');
    assert.match(who, /^Username +ali$/m);
    assert.match(who, /^Groups +\[thieves system:authenticated\]$/m);
    const { stderr } = await attempt(
      `--token=barley --kubeconfig=/dev/null --insecure-skip-tls-verify --server=${server} get pods`,
    );
    assert.match(stderr, /You must be logged in to the server \(Unauthorized\)/);
  });

  it('lets nobody in who was removed, with a certificate or a token, and ends what they have open', async () => {
    const file = join(dir, 'people.kubeconfig');
    const user = (line: string) => cluster.keelson(['user', ...line.split(' '), '--kubeconfig', file]);
    const as = (line: string, kubeconfig = file) => attempt(`--kubeconfig=${kubeconfig} ${line}`);
    await user('add ali --group thieves --days 30');
    await user('add baba');
    assert.match(
      (await cluster.keelson(['user', 'list'])).stdout,
      /^ali +thieves +until .*\nbaba +- +until /m,
    );
    assert.match((await as('auth whoami')).stdout, /^Username +ali$/m);
    const stolen = join(dir, 'stolen.kubeconfig');
    writeFileSync(stolen, readFileSync(file));
    await k('create clusterrolebinding ali-views --clusterrole=view --user=ali');
    const watch = as('get pods --watch-only --request-timeout=60s', stolen);
    await eventually('the watch', async () =>
      /longrunning_requests.*resource="pods".* 1$/m.test(await k('get --raw /metrics')),
    );
    assert.match((await user('remove ali')).stdout, /^User "ali" can't come in any more, and the context /);
    await watch;
    assert.match((await as('get pods', stolen)).stderr, /\(Unauthorized\)/);
    const server = (await k('config view --minify -o jsonpath={.clusters[0].cluster.server}')).trim();
    const byToken = `--token=sesame --kubeconfig=/dev/null --insecure-skip-tls-verify --server=${server} auth whoami`;
    assert.match((await attempt(byToken)).stderr, /\(Unauthorized\)/);
    assert.doesNotMatch((await cluster.keelson(['user', 'list'])).stdout, /^ali /m);
    assert.match((await user('remove ali')).stderr, /^keelson: Cluster ".*" has no user "ali"/);
    killServer();
    await cluster.restart('server');
    assert.match((await as('get pods', stolen)).stderr, /\(Unauthorized\)/, 'after a restart, too');
    await user('add ali');
    assert.match((await as('config get-contexts -o name')).stdout, /-ali$/m);
    assert.equal((await as('get pods')).code, 0, 'the new certificate counts');
    assert.match((await as('get pods', stolen)).stderr, /\(Unauthorized\)/, 'the old one never again');
    assert.match((await attempt(byToken)).stdout, /^Username +ali$/m);
  });

  it('fills a Secret with a token of an account, which holds as long as the Secret', async () => {
    await k('create serviceaccount robot');
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'robot', annotations: { 'kubernetes.io/service-account.name': 'robot' } },
      type: 'kubernetes.io/service-account-token',
    };
    await attempt('apply -f -', JSON.stringify(secret));
    const token = await eventually('the token', async () =>
      Buffer.from(await k('get secret robot -o jsonpath={.data.token}'), 'base64').toString(),
    );
    const server = (await k('config view --minify -o jsonpath={.clusters[0].cluster.server}')).trim();
    const whoami = () =>
      attempt(
        `--token=${token} --kubeconfig=/dev/null --insecure-skip-tls-verify --server=${server} auth whoami`,
      );
    assert.match((await whoami()).stdout, /^Username +system:serviceaccount:default:robot$/m);
    const day = new Date().toISOString().slice(0, 10);
    await eventually('the day of its last use', async () =>
      (await k('get secret robot --show-labels')).includes(`kubernetes.io/legacy-token-last-used=${day}`),
    );
    await k('delete secret robot');
    assert.match((await whoami()).stderr, /\(Unauthorized\)/);
    const { data } = JSON.parse(await k('get configmap cluster-info -n kube-public -o json'));
    assert.match(data.kubeconfig, /server: https:/);
    assert.ok(Object.keys(data).some((key) => key.startsWith('jws-kubeconfig-')));
  });

  it('pulls an image with the credentials of a Secret, and not without', async () => {
    const layout = await makeLayout(dir);
    const image = `${registry.host}/private/app:v1`;
    await sh(
      'skopeo',
      'copy',
      '--dest-tls-verify=false',
      '--dest-creds=ann:open-sesame',
      `oci:${layout}`,
      `docker://${image}`,
    );
    const container = { image, command: ['/bin/sh', '-c', 'exec busybox sleep 1000'] };
    const apply = (name: string, spec: object) => {
      const pod = shellPod(name, '', { container }) as any;
      Object.assign(pod.spec, spec);
      return attempt('apply -f -', JSON.stringify(pod));
    };
    await apply('bare', {});
    await eventually('a refused pull', async () =>
      /ErrImagePull|ImagePullBackOff/.test(await k('get pod bare --no-headers')),
    );
    await k(
      `create secret docker-registry pull --docker-server=${registry.host} --docker-username=ann --docker-password=open-sesame`,
    );
    await apply('trusted', { imagePullSecrets: [{ name: 'pull' }] });
    await k('wait --for=condition=Ready pod/trusted --timeout=30s');
    await k('patch serviceaccount default -p {"imagePullSecrets":[{"name":"pull"}]}');
    await apply('by-account', {});
    await k('wait --for=condition=Ready pod/by-account --timeout=30s');
    await k('delete pod bare trusted by-account --now');
  });

  it('brings the change of a mounted ConfigMap within ten seconds', async () => {
    await k('create configmap live --from-literal=word=first');
    const pod = shellPod('reader', 'while true; do cat /live/word; echo; sleep 0.2; done') as any;
    pod.spec.volumes = [{ name: 'live', configMap: { name: 'live' } }];
    pod.spec.containers[0].volumeMounts = [{ name: 'live', mountPath: '/live' }];
    await attempt('apply -f -', JSON.stringify(pod));
    await k('wait --for=condition=Ready pod/reader --timeout=30s');
    await k('patch configmap live --type=merge -p {"data":{"word":"second"}}');
    await eventually(
      'the new word',
      async () => (await k('logs reader --tail=1')).trim() === 'second',
      10_000,
    );
    await k('delete pod reader --now');
  });
});
