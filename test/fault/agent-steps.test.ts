import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pod } from '#types';
import { startDaemon } from '../../src/cli/daemon.js';
import { START_STEPS, STOP_STEPS } from '../../src/runtime/crash-points.js';
import { eventually, startTestCluster, type TestCluster } from '../fixtures/cluster.js';
import { OURS, snapshot } from '../fixtures/leaks.js';
import { shellPod } from '../fixtures/pods.js';
import { register } from '../fixtures/registry.js';

const exec = (script: string) => ({ exec: { command: ['sh', '-c', script] } });

/** Says in `runs` how often each of its containers has started. */
function pod(name: string, runs: string): Pod {
  const run = { name: 'runs', mountPath: '/runs' };
  const made = shellPod(
    name,
    `echo main >> /runs/${name}; cat /memory/file /config/key; echo; trap 'exit 0' TERM; sleep 1000 & wait`,
    {
      container: {
        volumeMounts: [
          run,
          { name: 'memory', mountPath: '/memory' },
          { name: 'config', mountPath: '/config' },
        ],
        lifecycle: { postStart: exec('true'), preStop: exec('true') },
      },
      spec: {
        volumes: [
          { name: 'runs', hostPath: { path: runs } },
          { name: 'memory', emptyDir: { medium: 'Memory' } },
          { name: 'config', secret: { secretName: 's' } },
        ],
      },
    },
  );
  made.spec.initContainers = [
    {
      ...made.spec.containers[0]!,
      name: 'i',
      command: ['sh', '-c', `echo init >> /runs/${name}; echo hello > /memory/file`],
      lifecycle: undefined as never,
    },
  ];
  return made;
}

describe('an agent that is killed at any step', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let work: string;
  let crashFile: string;
  let runs: string;
  let argv: string[];
  let clean: ReturnType<typeof left>;

  /** Whatever a pod may leave. */
  const left = () => {
    const { mounts, links, cgroups, processes } = snapshot({
      containing: [...OURS.containing!, cluster.dataDir, 'sleep 1000'],
    });
    const node = join(cluster.dataDir, 'nodes', cluster.node);
    const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
    return {
      ...{ mounts, links },
      // Groups of the classes stay.
      cgroups: cgroups.filter((path) => /\/pod|\/shims\//.test(path)),
      processes: processes.filter((line) => !line.includes('/main.js ')),
      files: [
        ...names(join(node, 'pods')),
        ...names(join(node, 'containers')),
        ...names(join(cluster.runDir, 'nodes', cluster.node, 'sandboxes/sandboxes')),
        ...names('/var/log/pods').filter((name) => name.startsWith('default_step-')),
        ...names('/var/log/containers').filter((name) => name.startsWith('step-')),
      ],
    };
  };
  /** As a service manager does. */
  const restart = async () => {
    const node = join(cluster.runDir, 'nodes', cluster.node);
    const agent = startDaemon(argv, {
      log: join(cluster.dataDir, 'nodes', cluster.node, 'agent.log'),
      pid: join(node, 'agent.pid'),
    });
    agent.send(readFileSync(join(cluster.dataDir, 'join.json'), 'utf8'));
    await agent.ready;
  };
  /** Lets the agent die at the step, and another go on. */
  const crash = async (step: string, begin: () => Promise<unknown>) => {
    writeFileSync(crashFile, step);
    await begin();
    await eventually(`the agent to get to "${step}"`, async () => !existsSync(crashFile), 15_000);
    await restart();
  };
  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));

  before(async () => {
    work = mkdtempSync(join(tmpdir(), 'keelson-test-steps-'));
    register({ kind: 'dir', path: work });
    crashFile = join(work, 'step');
    runs = join(work, 'runs');
    mkdirSync(runs);
    chmodSync(runs, 0o777);
    process.env['KEELSON_CRASH_FILE'] = crashFile;
    cluster = await startTestCluster();
    argv = readFileSync(`/proc/${cluster.pid('agent')}/cmdline`, 'utf8')
      .split('\0')
      .slice(0, -1);
    argv = argv.slice(argv.findIndex((word) => word.endsWith('/main.js')) + 1);
    await cluster.kubectl('create', 'secret', 'generic', 's', '--from-literal=key=value');
    clean = left();
  });
  after(async () => {
    delete process.env['KEELSON_CRASH_FILE'];
    await cluster?.down();
    rmSync(work, { recursive: true, force: true });
  });

  const rounds = Math.max(START_STEPS.length, STOP_STEPS.length);
  for (let i = 0; i < rounds; i++) {
    const [start, stop] = [START_STEPS[i], STOP_STEPS[i]];
    it(`brings up a pod (${start ?? 'whole'}) and takes it down (${stop ?? 'whole'})`, async () => {
      const name = `step-${i}`;
      const create = () =>
        cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(pod(name, runs)) });
      await (start ? crash(start, create) : create());
      await cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=20s');
      assert.equal(readFileSync(join(runs, name), 'utf8'), 'init\nmain\n', 'runs of the containers');
      const { status } = await get(name);
      for (const { restartCount } of [...status!.initContainerStatuses!, ...status!.containerStatuses!])
        assert.equal(restartCount, 0);
      assert.equal(await cluster.kubectl('logs', name), 'hello\nvalue\n');
      const address = await cluster.kubectl('exec', name, '--', 'ip', '-4', 'addr', 'show', 'eth0');
      assert.match(address, new RegExp(`inet ${status!.podIP}/32`));

      const remove = () => cluster.kubectl('delete', 'pod', name, '--wait=false');
      await (stop ? crash(stop, remove) : remove());
      await cluster.kubectl('wait', '--for=delete', `pod/${name}`, '--timeout=20s');
      await eventually(
        'nothing to be left',
        async () => {
          assert.deepEqual(left(), clean);
          return true;
        },
        5000,
      );
    });
  }
});
