import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

const LOGS = '/var/log/keelson-endpoints-test';

describe("a node's own endpoints", function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster('--max-pods=77');
    const pod = shellPod(
      'box',
      'echo first; echo second; dd if=/dev/zero of=/data/big bs=1M count=3; sleep 100000',
      {
        spec: { volumes: [{ name: 'data', emptyDir: {} }] },
        container: {
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
          resources: { limits: { cpu: '500m', memory: '64Mi' } },
        },
      },
    );
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(pod) });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/box', '--timeout=30s');
  });
  after(async () => {
    rmSync(LOGS, { recursive: true, force: true });
    await cluster?.down();
  });

  const raw = (path: string) => cluster.kubectl('get', '--raw', `/api/v1/nodes/${cluster.node}/proxy${path}`);
  const refused = async (path: string) => {
    const answer = await cluster.kubectl.try([
      ...['get', '--raw', `/api/v1/nodes/${cluster.node}/proxy${path}`],
    ]);
    assert.notEqual(answer.code, 0, `${path} was answered: ${answer.stdout}`);
    return answer.stderr;
  };
  const box = { namespace: 'default', pod: 'box' };
  /** The values of a series whose labels include those given. */
  function values(text: string, name: string, labels: Record<string, string> = {}): number[] {
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    const fitting = lines.filter((line) =>
      Object.entries(labels).every(([k, v]) => line.includes(`${k}="${v}"`)),
    );
    return fitting.map((line) => Number(/^\S+?(?:\{.*\})? (\S+)/.exec(line)![1]));
  }

  it('sums up what is in use', async () => {
    const summary = await eventually('the file is written', async () => {
      const found = JSON.parse(await raw('/stats/summary'));
      const pod = found.pods.find((p: any) => p.podRef.name === 'box');
      return pod?.volume?.[0]?.usedBytes >= 3 << 20 && pod.cpu.usageNanoCores !== undefined && found;
    });
    const { node } = summary;
    assert.equal(node.nodeName, cluster.node);
    assert.ok(node.cpu.usageCoreNanoSeconds > 0 && node.cpu.usageNanoCores > 0);
    assert.ok(node.memory.workingSetBytes > 0 && node.memory.availableBytes > 0);
    assert.ok(node.fs.capacityBytes > node.fs.usedBytes && node.fs.inodes > 0);
    assert.ok(node.runtime.imageFs.capacityBytes > 0);
    assert.ok(node.rlimit.maxpid >= node.rlimit.curproc && node.rlimit.curproc > 0);
    const pod = summary.pods.find((p: any) => p.podRef.name === 'box');
    assert.equal(pod.podRef.namespace, 'default');
    assert.match(pod.podRef.uid, /^[0-9a-f-]{36}$/);
    assert.equal(pod.network.name, 'eth0');
    assert.equal(pod.network.interfaces[0].name, 'eth0');
    assert.deepEqual(
      pod.volume.map((v: any) => v.name),
      ['data', pod.volume[1].name],
    );
    assert.ok(pod['ephemeral-storage'].usedBytes >= 3 << 20);
    assert.ok(pod.process_stats.process_count >= 1);
    const [container] = pod.containers;
    assert.ok(container.memory.workingSetBytes > 0 && container.memory.workingSetBytes < 64 << 20);
    assert.ok(container.rootfs.capacityBytes > 0);
    assert.ok(container.logs.usedBytes > 0);
    const basics = JSON.parse(await raw('/stats/summary?only_cpu_and_memory=true'));
    assert.equal(basics.node.fs, undefined);
    assert.ok(
      basics.pods.find((p: any) => p.podRef.name === 'box').containers[0].cpu.usageCoreNanoSeconds > 0,
    );
  });

  it('gives the metrics that metrics-server reads', async () => {
    const text = await raw('/metrics/resource');
    assert.ok(values(text, 'node_cpu_usage_seconds_total')[0]! > 0);
    assert.ok(values(text, 'node_memory_working_set_bytes')[0]! > 0);
    assert.ok(values(text, 'pod_cpu_usage_seconds_total', box)[0]! > 0);
    assert.ok(values(text, 'pod_memory_working_set_bytes', box)[0]! > 0);
    assert.ok(values(text, 'container_cpu_usage_seconds_total', box)[0]! > 0);
    assert.ok(values(text, 'container_memory_working_set_bytes', box)[0]! > 0);
    const age = Date.now() / 1000 - values(text, 'container_start_time_seconds', box)[0]!;
    assert.ok(age > 0 && age < 120, `${age} s`);
    assert.deepEqual(values(text, 'resource_scrape_error'), [0]);
    assert.match(text, /^# TYPE pod_cpu_usage_seconds_total counter$/m);
    assert.match(text, /^node_memory_working_set_bytes \d+ \d{13}$/m);
  });

  it('gives the series of cAdvisor', async () => {
    const text = await raw('/metrics/cadvisor');
    const own = { ...box, container: 'c' };
    assert.ok(values(text, 'container_cpu_usage_seconds_total', { ...own, cpu: 'total' })[0]! > 0);
    assert.deepEqual(values(text, 'container_spec_memory_limit_bytes', own), [64 << 20]);
    assert.deepEqual(values(text, 'container_spec_cpu_quota', own), [50_000]);
    assert.ok(values(text, 'container_memory_working_set_bytes', own)[0]! > 0);
    assert.ok(values(text, 'container_network_receive_bytes_total', { ...box, interface: 'eth0' })[0]! >= 0);
    assert.ok(values(text, 'machine_memory_bytes')[0]! > 0);
    assert.match(
      text,
      /^container_last_seen\{container="c",id="[^"]+",image="keelson.dev\/demo[^"]*",name="[0-9a-f]{64}"/m,
    );
  });

  it('counts its pods', async () => {
    const text = await raw('/metrics');
    const running = values(text, 'kubelet_running_pods')[0]!;
    assert.ok(running >= 1);
    assert.ok(values(text, 'kubelet_running_containers', { container_state: 'running' })[0]! >= running);
    assert.deepEqual(values(text, 'kubelet_node_name', { node: cluster.node }), [1]);
    assert.ok(values(text, 'kubelet_active_pods', { static: '' })[0]! >= 1);
    assert.ok(values(text, 'process_resident_memory_bytes')[0]! > 0);
    const { kind, items } = JSON.parse(await raw('/runningpods/'));
    assert.equal(kind, 'PodList');
    const [container] = items.find((pod: any) => pod.metadata.name === 'box').spec.containers;
    assert.equal(container.name, 'c');
    assert.match(container.image, /keelson.dev\/demo/);
  });

  it('tells its settings', async () => {
    const { kubeletconfig } = JSON.parse(await raw('/configz'));
    assert.equal(kubeletconfig.kind, 'KubeletConfiguration');
    assert.equal(kubeletconfig.maxPods, 77);
    assert.equal(kubeletconfig.evictionHard['memory.available'], '100Mi');
    assert.equal(kubeletconfig.evictionHard['nodefs.available'], '10%');
  });

  it("gives the machine's logs, and nothing else of it", async () => {
    mkdirSync(LOGS, { recursive: true });
    writeFileSync(`${LOGS}/a & b.log`, 'one\ntwo\n');
    symlinkSync('/etc/passwd', `${LOGS}/passwd`);
    assert.match(await raw('/logs/'), /<a href="keelson-endpoints-test\/">keelson-endpoints-test\/<\/a>/);
    assert.match(await raw('/logs/keelson-endpoints-test/'), /a%20%26%20b\.log">a &amp; b\.log</);
    assert.equal(await raw('/logs/keelson-endpoints-test/a%20%26%20b.log'), 'one\ntwo\n');
    for (const path of [
      'keelson-endpoints-test/passwd',
      '..%2f..%2fetc/passwd',
      '%2e%2e/%2e%2e/etc/passwd',
      'none',
    ])
      assert.match(await refused(`/logs/${path}`), /could not find|page not found/, path);
  });

  it("gives containers' logs", async () => {
    const at = '/containerLogs/default/box/c';
    assert.match(await raw(at), /^first\nsecond\n/);
    assert.match(await raw(`${at}?tailLines=1&limitBytes=3`), /^.{3}$/);
    assert.match(await raw(`${at}?timestamps=true`), /^\d{4}-\d\d-\d\dT\S+ first\n/);
    await refused('/containerLogs/default/none/c');
    await refused('/containerLogs/default/box/none');
  });

  it('knows no other paths', async () => {
    for (const path of ['/none', '/stats', '/metrics/none', '/%zz']) await refused(path);
  });
});
