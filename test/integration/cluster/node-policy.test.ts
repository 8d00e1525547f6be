import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Container, Node, Pod, PodSpec } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

const HUGE_PAGES = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
const hasHugetlb = (): boolean =>
  /^\S+ \S+ cgroup \S*\bhugetlb\b/m.test(readFileSync('/proc/mounts', 'utf8')) ||
  (existsSync('/sys/fs/cgroup/cgroup.controllers') &&
    /\bhugetlb\b/.test(readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8')));

describe('what a node makes of a pod', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  /** How many there were; undefined: this machine lets nobody set some aside. */
  let hugePages: string | undefined;

  before(async () => {
    try {
      hugePages = readFileSync(HUGE_PAGES, 'utf8').trim();
      writeFileSync(HUGE_PAGES, `${Number(hugePages) + 8}`);
    } catch {
      hugePages = undefined;
    }
    cluster = await startTestCluster(
      '--allowed-unsafe-sysctls=kernel.msg*',
      '--pod-max-pids=64',
      '--max-pods=50',
      '--cpu-manager-policy=static',
    );
  });
  after(async () => {
    await cluster?.down();
    if (hugePages !== undefined) writeFileSync(HUGE_PAGES, hugePages);
  });

  const get = async <T>(...what: string[]): Promise<T> =>
    JSON.parse(await cluster.kubectl('get', ...what, '-o', 'json'));
  async function create(
    name: string,
    script: string,
    spec: Partial<PodSpec> = {},
    container: Partial<Container> = {},
  ) {
    const pod = shellPod(name, script, { container, spec });
    const { code, stderr } = await cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(code, 0, stderr);
  }
  const phase = (name: string, wanted: string) =>
    eventually(`${name} ${wanted}`, async () => {
      const pod = await get<Pod>('pod', name);
      return pod.status?.phase === wanted && pod;
    });
  const log = async (name: string) => (await cluster.kubectl('logs', name)).trim();

  it('tells what it can, and how many pods it takes', async () => {
    const { status } = await get<Node>('node', cluster.node);
    assert.equal(status?.allocatable?.['pods'], '50');
    assert.equal(status?.features?.supplementalGroupsPolicy, true);
    assert.equal(status?.runtimeHandlers?.[0]?.features?.userNamespaces, true);
  });

  it('gives a container of a Guaranteed pod its CPU alone, also after a restart of the agent', async function () {
    if (cpus().length < 2) this.skip();
    const allowed = async (name: string) =>
      (await cluster.kubectl('exec', name, '--', 'grep', 'Cpus_allowed_list', '/proc/1/status'))
        .split(':')[1]!
        .trim();
    await create('shares', 'sleep 1000');
    await phase('shares', 'Running');
    const all = await allowed('shares');
    const amounts = { cpu: '1', memory: '16Mi' };
    await create('alone', 'sleep 1000', {}, { resources: { requests: amounts, limits: amounts } });
    await phase('alone', 'Running');
    const own = await allowed('alone');
    assert.match(own, /^[1-9]\d*$/);
    // What nobody else uses needs no quota.
    const quota =
      'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d " " -f 1 /sys/fs/cgroup/cpu.max';
    assert.match(await cluster.kubectl('exec', 'alone', '--', 'sh', '-c', quota), /^(-1|max)\n$/);
    await eventually('the others to leave it', async () => (await allowed('shares')) !== all);
    const shared = await allowed('shares');
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    await create('later', 'sleep 1000');
    await phase('later', 'Running');
    assert.deepEqual([await allowed('alone'), await allowed('later')], [own, shared]);
    const more = { cpu: '2', memory: '16Mi' };
    const resources = { requests: more, limits: more };
    const patch = JSON.stringify({ spec: { containers: [{ name: 'c', resources }] } });
    await cluster.kubectl('patch', 'pod', 'alone', '--subresource', 'resize', '--patch', patch);
    await eventually('the resize to be refused', async () =>
      (await get<Pod>('pod', 'alone')).status?.conditions?.some(
        ({ reason, message }) => reason === 'Infeasible' && message?.includes('CPU Manager static policy'),
      ),
    );
    await cluster.kubectl('delete', 'pod', 'alone');
    await eventually('its CPU to be free for all', async () => (await allowed('shares')) === all);
    await cluster.kubectl('delete', 'pod', 'shares', 'later');
  });

  it('gives folders of huge pages to pods that request some', async function () {
    const { status } = await get<Node>('node', cluster.node);
    if (hugePages === undefined || status?.capacity?.['hugepages-2Mi'] === '0') this.skip();
    const volumes = [{ name: 'huge', emptyDir: { medium: 'HugePages' } }];
    const volumeMounts = [{ name: 'huge', mountPath: '/huge' }];
    const amounts = { 'hugepages-2Mi': '4Mi', memory: '16Mi', cpu: '10m' };
    const resources = { requests: amounts, limits: amounts };
    const script =
      'grep " /huge " /proc/mounts; fallocate -l 4M /huge/a; fallocate -l 6M /huge/b && echo given || echo refused; sleep 1000';
    await create('huge', script, { volumes }, { volumeMounts, resources });
    await phase('huge', 'Running');
    const mounts = await eventually(
      'its log',
      async () => /given|refused/.test(await log('huge')) && log('huge'),
    );
    assert.match(mounts, /hugetlbfs .*pagesize=2M/);
    // Nobody limits them where the controller is not mounted.
    assert.match(mounts, hasHugetlb() ? /refused/ : /given/);
    await create('none-requested', 'true', { volumes }, { volumeMounts });
    await eventually('a refusal', async () =>
      /FailedMount.*hugePages storage requested, but there is no resource request for huge pages/.test(
        await cluster.kubectl('get', 'events', '--field-selector', 'involvedObject.name=none-requested'),
      ),
    );
    await cluster.kubectl('delete', 'pod', 'huge', 'none-requested');
  });

  it('sets safe sysctls and those that its owner allows, and refuses others', async () => {
    const sysctls = (...names: string[]) => ({
      securityContext: { sysctls: names.map((name) => ({ name, value: '1024' })) },
      restartPolicy: 'Never',
    });
    await create(
      'allowed',
      'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/tcp_keepalive_time',
      sysctls('kernel.msgmax', 'net.ipv4.tcp_keepalive_time'),
    );
    await phase('allowed', 'Succeeded');
    assert.equal(await log('allowed'), '1024\n1024');
    await create('forbidden', 'true', sysctls('kernel.sem'));
    const { status } = await phase('forbidden', 'Failed');
    assert.equal(status?.reason, 'SysctlForbidden');
    assert.equal(status?.message, 'Pod was rejected: forbidden sysctl: "kernel.sem" not allowlisted');
  });

  it('runs pods by the handlers that it has, with the overhead and the place of their class', async () => {
    const classes = [
      {
        metadata: { name: 'own' },
        handler: 'keelson',
        overhead: { podFixed: { cpu: '20m' } },
        scheduling: { nodeSelector: { 'kubernetes.io/os': 'linux' } },
      },
      { metadata: { name: 'strange' }, handler: 'strange' },
    ].map((one) => ({ apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', ...one }));
    const list = { apiVersion: 'v1', kind: 'List', items: classes };
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    await create('classy', 'true', { runtimeClassName: 'own', restartPolicy: 'Never' });
    const { spec } = await phase('classy', 'Succeeded');
    assert.deepEqual(spec.overhead, { cpu: '20m' });
    assert.equal(spec.nodeSelector?.['kubernetes.io/os'], 'linux');
    await create('strange', 'true', { runtimeClassName: 'strange' });
    await eventually('an event tells why', async () =>
      (await cluster.kubectl('get', 'events', '--field-selector=involvedObject.name=strange')).includes(
        'RuntimeHandler "strange" not supported',
      ),
    );
    const missing = shellPod('missing', 'true', { spec: { runtimeClassName: 'none' } });
    const refused = await cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(missing) });
    assert.match(refused.stderr, /pods "missing" is forbidden: pod rejected: RuntimeClass "none" not found/);
    await cluster.kubectl('delete', 'pod', 'strange', '--wait=false');
  });

  it('says that it has no AppArmor', async function () {
    if (existsSync('/sys/module/apparmor')) this.skip();
    await create('armored', 'true', { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } });
    const { status } = await phase('armored', 'Failed');
    assert.equal(status?.reason, 'AppArmor');
    assert.equal(
      status?.message,
      'Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host',
    );
  });

  it('gives host names', async () => {
    const never = { restartPolicy: 'Never' };
    const script = 'hostname; cat /etc/hostname; echo $HOSTNAME; tail -n 1 /etc/hosts | cut -f 2-';
    await create('full', script, { ...never, hostname: 'web', subdomain: 'sub', setHostnameAsFQDN: true });
    await create('override', script, { ...never, hostnameOverride: 'other.example' });
    await Promise.all([phase('full', 'Succeeded'), phase('override', 'Succeeded')]);
    const name = 'web.sub.default.svc.cluster.local';
    assert.equal(await log('full'), [name, name, name, `${name}\tweb`].join('\n'));
    assert.equal(await log('override'), Array(4).fill('other.example').join('\n'));
  });

  it('starts a container again by its own rules', async () => {
    const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }];
    const script = 'if [ -e /v/again ]; then exit 1; else touch /v/again; exit 42; fi';
    await create(
      'ruled',
      script,
      { restartPolicy: 'Never', volumes: [{ name: 'v', emptyDir: {} }] },
      { restartPolicy: 'Never', restartPolicyRules: rules, volumeMounts: [{ name: 'v', mountPath: '/v' }] },
    );
    const { status } = await phase('ruled', 'Failed');
    assert.equal(status?.containerStatuses?.[0]?.restartCount, 1);
    assert.equal(status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 1);
  });

  it('starts all containers again by the rule of one', async () => {
    const rules = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }];
    const script = 'if [ -e /v/again ]; then exit 0; else touch /v/again; exit 42; fi';
    const volumeMounts = [{ name: 'v', mountPath: '/v' }];
    const step = {
      image: 'keelson.dev/demo:1',
      command: ['sh', '-c', 'echo step >> /v/steps'],
      volumeMounts,
    };
    await create(
      'together',
      script,
      {
        restartPolicy: 'Never',
        volumes: [{ name: 'v', emptyDir: {} }],
        initContainers: [{ name: 'i', ...step }],
      },
      { restartPolicy: 'Never', restartPolicyRules: rules, volumeMounts },
    );
    const { status } = await phase('together', 'Succeeded');
    const [first, last] = [...status!.initContainerStatuses!, ...status!.containerStatuses!];
    assert.deepEqual([first?.restartCount, last?.restartCount], [1, 1]);
    assert.equal(last?.lastState?.terminated?.exitCode, 42);
    const events = await cluster.kubectl('get', 'events', '-o', 'jsonpath={.items[*].message}');
    assert.doesNotMatch(events, /Back-off restarting failed container \w+ in pod together_/);
  });

  it('limits processes, and a container by what its pod has', async () => {
    const script =
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max; for i in $(seq 100); do sleep 1000 & done; echo survived';
    await create('limited', script, {
      restartPolicy: 'Never',
      resources: { limits: { memory: '64Mi', cpu: '1' } },
    });
    await eventually('an end', async () =>
      ['Failed', 'Succeeded'].includes((await get<Pod>('pod', 'limited')).status?.phase ?? ''),
    );
    const text = await log('limited');
    assert.match(text, new RegExp(`^${64 << 20}$`, 'm'));
    assert.match(text, /can't fork|Resource temporarily unavailable/);
  });

  it('shares the CPU out between the classes', async () => {
    await create('burstable', 'sleep 1000', {}, { resources: { requests: { cpu: '250m' } } });
    await phase('burstable', 'Running');
    const v1 = '/sys/fs/cgroup/cpu';
    const group = (path: string) => {
      const place = join(`keelson/${cluster.name}/${cluster.node}`, path);
      return existsSync(v1)
        ? Number(readFileSync(join(v1, place, 'cpu.shares'), 'utf8'))
        : Number(readFileSync(join('/sys/fs/cgroup', place, 'cpu.weight'), 'utf8'));
    };
    const expected = existsSync(v1) ? 256 : 35;
    await eventually('shares of the Burstable class', async () => group('burstable') === expected);
  });

  it('starts a container again whose image is another', async () => {
    await create('image', 'sleep 1000');
    await phase('image', 'Running');
    await cluster.kubectl('set', 'image', 'pod/image', 'c=keelson.dev/demo:green');
    const { status } = await eventually('a restart', async () => {
      const pod = await get<Pod>('pod', 'image');
      const [c] = pod.status?.containerStatuses ?? [];
      return c?.restartCount === 1 && c.state?.running && pod;
    });
    assert.match(status?.containerStatuses?.[0]?.image ?? '', /green/);
  });
});
