/** The services are set up as docs/install.md says, restarted, and go down with the machine. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import * as service from './services.js';
import { kubectl, runOf, systemctl } from './services.js';

const AGENT = 'keelson-agent.service';
const SERVER = 'keelson-server.service';

describe('services of systemd', function () {
  this.timeout(240_000);

  it('have units without a mistake', async () => {
    const files = service.shownFiles();
    for (const [path, text] of files) {
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text);
    }
    const units = [SERVER, AGENT].map((name) => join(service.UNITS, name));
    for (const unit of units) assert.ok(files.has(unit), unit);
    assert.equal(await service.command('sh', '-c', `systemd-analyze verify ${units.join(' ')} 2>&1`), '');
    await systemctl('restart', 'systemd-logind');
  });

  it('start a control plane and a node', async () => {
    await systemctl('enable', '--now', SERVER);
    const joining = await eventually(
      'the control plane',
      async () => {
        await kubectl('get', '--raw', '/readyz');
        return service.keelson('token');
      },
      120_000,
    );
    const argv = joining.replace('keelson agent ', '');
    service.writeAgent(
      `${argv} --shutdown-grace-period 30s --shutdown-grace-period-critical-pods 15s --cpu-manager-policy static`,
    );
    await systemctl('daemon-reload');
    await systemctl('enable', '--now', AGENT);
    await eventually('a node', async () => (await kubectl('get', 'nodes', '-o', 'name')) !== '', 120_000);
    await service.nodeIsReady();
  });

  it('run pods in cgroups that are not of any service, within their limits', async () => {
    mkdirSync(service.PROOF);
    chmodSync(service.PROOF, 0o777);
    const amounts = { cpu: '200m', memory: '32Mi' };
    const resources = { requests: amounts, limits: amounts };
    await service.apply(shellPod('stays', 'sleep 100000', { container: { resources } }));
    await kubectl('wait', '--for=condition=Ready', 'pod/stays', '--timeout=300s');
    const uid = (await service.getPod('stays')).metadata!.uid!;
    const processes = service.processesIn('/keelson');
    assert.ok(processes.some(({ cgroup, command }) => cgroup.includes(uid) && command === 'sleep'));
    const read = (file: string) => kubectl('exec', 'stays', '--', 'cat', `/sys/fs/cgroup/${file}`);
    assert.equal((await read('memory.max')).trim(), `${32 << 20}`);
    assert.equal((await read('cpu.max')).trim(), '20000 100000');
    const own = service.processesIn('/system.slice/keelson-agent.service');
    assert.deepEqual(
      own.filter(({ command }) => ['sleep', 'keelson-shim'].includes(command)),
      [],
      'parts of pods in the cgroup of the service',
    );
  });

  it('leave containers alone when the agent is restarted, killed or stopped, and systemd is reloaded', async () => {
    const before = await runOf('stays');
    const same = async (why: string) => {
      await service.nodeIsReady();
      await eventually(`an answer after ${why}`, async () =>
        kubectl('exec', 'stays', '--', 'true').then(() => true),
      );
      assert.deepEqual(await runOf('stays'), before, why);
    };
    const agent = await service.mainPid(AGENT);
    await systemctl('restart', AGENT);
    assert.notEqual(await service.mainPid(AGENT), agent);
    await same('a restart');
    await systemctl('kill', '--signal=KILL', '--kill-whom=main', AGENT);
    await eventually('another agent', async () => (await systemctl('is-active', AGENT)) === 'active');
    await same('a kill');
    const watchers = () =>
      service.processesIn('/system.slice/keelson-agent.service').filter((p) => p.command === 'busctl');
    assert.equal(watchers().length, 1, 'that of the killed agent is gone');
    await systemctl('daemon-reexec');
    await systemctl('daemon-reload');
    await systemctl('stop', AGENT);
    assert.ok(service.processesIn('/keelson').some(({ command }) => command === 'sleep'));
    await systemctl('start', AGENT);
    await same('a stop');
    await systemctl('restart', SERVER);
    await same('a restart of the control plane');
    const amounts = { cpu: '1', memory: '32Mi' };
    const resources = { requests: amounts, limits: amounts };
    await service.apply(shellPod('alone', 'sleep 100000', { container: { resources } }));
    await kubectl('wait', '--for=condition=Ready', 'pod/alone', '--timeout=300s');
    const cpus = await kubectl('exec', 'alone', '--', 'cat', '/sys/fs/cgroup/cpuset.cpus.effective');
    assert.match(cpus.trim(), /^\d$/);
  });

  it('have logs in the journal', async () => {
    for (const unit of [SERVER, AGENT]) {
      const lines = (await service.command('journalctl', '-u', unit, '-o', 'cat', '--no-pager')).split('\n');
      const told = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
      assert.ok(told.length > 0 && told.every(({ msg }) => typeof msg === 'string'), unit);
    }
  });

  it('have pods whose end the machine is to wait for', async () => {
    const pod = (name: string, priorityClassName?: string) =>
      shellPod(name, `trap 'sleep 2; echo ${name} >> /o/ended; exit 0' TERM; sleep 100000 & wait`, {
        container: { volumeMounts: [{ name: 'o', mountPath: '/o' }] },
        spec: {
          terminationGracePeriodSeconds: 30,
          volumes: [{ name: 'o', hostPath: { path: service.PROOF } }],
          ...(priorityClassName ? { priorityClassName } : {}),
        },
      });
    const critical = pod('critical', 'system-node-critical');
    critical.metadata!.namespace = 'kube-system';
    await service.apply(pod('ordinary'), critical);
    await kubectl('wait', '--for=condition=Ready', 'pod/ordinary', '--timeout=300s');
    await kubectl('wait', '-n', 'kube-system', '--for=condition=Ready', 'pod/critical', '--timeout=300s');
    const template = shellPod('web', 'exec sleep 100000').spec!;
    await service.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { ...template, restartPolicy: 'Always' } },
      },
    });
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=300s');
    assert.match(
      await service.command('systemd-inhibit', '--list', '--no-pager'),
      /keelson .*shutdown.*delay/s,
    );
    assert.ok(!existsSync(join(service.PROOF, 'ended')));
  });
});
