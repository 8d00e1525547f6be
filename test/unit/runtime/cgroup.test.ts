import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCgroups, parseMountInfo } from '../../../src/runtime/cgroup/cgroup.js';
import { cpuWeight, flatKeys } from '../../../src/runtime/cgroup/numbers.js';
import { CgroupV2 } from '../../../src/runtime/cgroup/v2.js';

describe('cgroup numbers', () => {
  const weights: [shares: number, weight: number][] = [
    [0, 1],
    [2, 1],
    [102, 17],
    [512, 59],
    [1024, 100],
    [2048, 174],
    [262_144, 10_000],
    [1_000_000, 10_000],
  ];
  for (const [shares, weight] of weights)
    it(`makes ${shares} shares a weight of ${weight}`, () => assert.equal(cpuWeight(shares), weight));

  it('reads keys of flat files, and only whole ones', () => {
    const text = 'oom 3\noom_kill 5\noom_group_kill 7\n';
    assert.equal(flatKeys(text)('oom_kill'), 5);
    assert.equal(flatKeys(text)('kill'), 0);
  });
});

describe('cgroup hierarchies', () => {
  it('are read from mountinfo, with escapes', () => {
    const [mount] = parseMountInfo(
      '31 23 0:28 / /sys/fs/c\\040group rw,relatime shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n',
    );
    assert.deepEqual(mount, {
      root: '/',
      point: '/sys/fs/c group',
      type: 'cgroup',
      options: ['rw', 'cpu', 'cpuacct'],
    });
  });

  const line = (point: string, type: string, options: string) =>
    `31 23 0:28 / ${point} rw,relatime - ${type} ${type} rw,${options}\n`;

  it('of version 2 are chosen when they are mounted at the top', () => {
    const cgroups = openCgroups(line('/cg', 'cgroup2', 'nsdelegate'), '/cg');
    assert.deepEqual(cgroups.procs('a/b'), ['/cg/a/b/cgroup.procs']);
    assert.equal(cgroups.killFile('a'), '/cg/a/cgroup.kill');
    assert.equal(cgroups.oomFile('a'), '/cg/a/memory.events');
  });

  it('of version 1 are used once each, named ones not', () => {
    const cgroups = openCgroups(
      line('/cg', 'tmpfs', 'mode=755') +
        line('/cg/cpu,cpuacct', 'cgroup', 'cpu,cpuacct') +
        line('/cg/memory', 'cgroup', 'memory') +
        line('/cg/systemd', 'cgroup', 'xattr,name=systemd'),
      '/cg',
    );
    assert.deepEqual(cgroups.procs('a'), ['/cg/cpu,cpuacct/a/cgroup.procs', '/cg/memory/a/cgroup.procs']);
    assert.deepEqual(
      cgroups.mounts().map((m) => [m.target, m.data]),
      [
        ['/sys/fs/cgroup/cpu,cpuacct', 'cpu,cpuacct'],
        ['/sys/fs/cgroup/memory', 'memory'],
      ],
    );
  });

  it('are missed aloud', () => {
    assert.throws(() => openCgroups(line('/x', 'tmpfs', 'a'), '/cg'), /no cgroup memory controller/);
  });
});

describe('cgroup version 2', () => {
  let root: string;
  const file = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');
  /** What the kernel makes in a new group. */
  const group = (path: string) => {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
    writeFileSync(join(root, path, 'cgroup.subtree_control'), 'cpu\n');
    writeFileSync(join(root, path, 'memory.swap.max'), 'max\n');
    writeFileSync(join(root, path, 'memory.oom.group'), '0\n');
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'keelson-test-'));
    for (const path of ['', 'k', 'k/pod', 'k/pod/c']) group(path);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('enables what is missing from the root down, and writes limits', () => {
    const cgroups = new CgroupV2(root);
    cgroups.create('k/pod/c', { cpuShares: 1024, cpuQuota: 50_000, memory: 1 << 20, pids: 10 }, 'all');
    for (const path of ['', 'k', 'k/pod'])
      assert.equal(file(path, 'cgroup.subtree_control'), '+cpuset +memory +pids +io');
    assert.equal(file('k/pod/c/cgroup.subtree_control'), 'cpu\n');
    assert.equal(file('k/pod/c/cpu.weight'), '100');
    assert.equal(file('k/pod/c/cpu.max'), '50000 100000');
    assert.equal(file('k/pod/c/memory.max'), `${1 << 20}`);
    assert.equal(file('k/pod/c/memory.swap.max'), '0');
    assert.equal(file('k/pod/c/memory.oom.group'), '1');
    assert.equal(file('k/pod/c/pids.max'), '10');
  });

  it('gives no huge pages of the sizes that are not asked for, to use or to set aside', () => {
    const names = ['2MB.max', '2MB.rsvd.max', '1GB.max', '1GB.rsvd.max', '2MB.current'];
    for (const name of names) writeFileSync(join(root, `k/pod/c/hugetlb.${name}`), 'max');
    const cgroups = new CgroupV2(root);
    const limits = () => names.map((name) => file(`k/pod/c/hugetlb.${name}`));
    cgroups.create('k/pod/c', {}, 'all');
    assert.deepEqual(limits(), ['max', 'max', 'max', 'max', 'max']);
    cgroups.create('k/pod/c', { hugePages: { '2MB': 4 << 20 } }, 'all');
    assert.deepEqual(limits(), [`${4 << 20}`, `${4 << 20}`, '0', '0', 'max']);
  });

  it('reads statistics', () => {
    writeFileSync(join(root, 'k/pod/cpu.stat'), 'usage_usec 1500\nuser_usec 1000\n');
    writeFileSync(join(root, 'k/pod/memory.current'), '1000\n');
    writeFileSync(join(root, 'k/pod/memory.stat'), 'anon 1\ninactive_file 300\n');
    writeFileSync(join(root, 'k/pod/pids.current'), '3\n');
    const none = {
      ...{ userNanos: 0, systemNanos: 0, rssBytes: 0, cacheBytes: 0, mappedBytes: 0 },
      ...{ pageFaults: 0, majorPageFaults: 0, periods: 0, throttledPeriods: 0, throttledNanos: 0 },
    };
    assert.deepEqual(new CgroupV2(root).stats('k/pod'), {
      cpuNanos: 1_500_000,
      memoryBytes: 1000,
      workingSetBytes: 700,
      pids: 3,
      ...none,
      userNanos: 1_000_000,
      rssBytes: 1,
    });
    assert.deepEqual(new CgroupV2(root).stats('k/none'), {
      cpuNanos: 0,
      memoryBytes: 0,
      workingSetBytes: 0,
      pids: 0,
      ...none,
    });
  });

  it('does not mind what is gone', async () => {
    const cgroups = new CgroupV2(root);
    cgroups.kill('none');
    await cgroups.remove('none');
    cgroups.prune('none/below');
    assert.ok(existsSync(root));
  });
});
