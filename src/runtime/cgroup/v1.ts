/** cgroup version 1: a hierarchy per controller, with an optional unified one beside them (hybrid). */
import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type DeviceRule, ruleText } from '../spec/devices.js';
import type { ContainerStats, Limits } from '../types.js';
import type { CgroupMount, Cgroups, MountInfo } from './cgroup.js';
import { makeFolders, pruneFolders, readGroupFile, removeTree, subfolders, whileParentsGo } from './files.js';
import { limitHugePages } from './huge-pages.js';
import { CPU_PERIOD, flatKeys } from './numbers.js';

const CONTROLLERS = ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer', 'blkio', 'hugetlb'];

/** `USER_HZ` is 100 wherever Node runs. */
const NANOS_A_TICK = 1e7;

/** Making any node, and using the standard ones and pseudo terminals: what containerd allows. */
const DEFAULT_DEVICES = [
  'c *:* m',
  'b *:* m',
  'c 1:3 rwm',
  'c 1:5 rwm',
  'c 1:7 rwm',
  'c 1:8 rwm',
  'c 1:9 rwm',
  'c 5:0 rwm',
  'c 5:1 rwm',
  'c 5:2 rwm',
  'c 136:* rwm',
];

export class CgroupV1 implements Cgroups {
  /** Mount point by controller; those mounted together have the same. */
  #points = new Map<string, string>();
  #roots: string[];
  #unified: string | undefined;
  /** Only groups that are kept to some CPUs are in it. */
  #cpuset: string | undefined;
  #mounts: CgroupMount[];

  constructor(hierarchies: MountInfo[], unified: string | undefined) {
    for (const { point, options } of hierarchies)
      for (const name of CONTROLLERS) if (options.includes(name)) this.#points.set(name, point);
    this.#cpuset = hierarchies.find(({ options }) => options.includes('cpuset'))?.point;
    this.#unified = unified && existsSync(join(unified, 'cgroup.controllers')) ? unified : undefined;
    this.#roots = [...new Set(this.#points.values()), ...(this.#unified ? [this.#unified] : [])];
    this.#mounts = hierarchies.map(({ point, options }) => ({
      target: `/sys/fs/cgroup/${basename(point)}`,
      type: 'cgroup',
      data: options.filter((o) => o !== 'rw' && o !== 'ro').join(','),
    }));
  }

  create(path: string, limits: Limits, devices?: 'default' | 'all', more: DeviceRule[] = []): void {
    whileParentsGo(() => {
      for (const root of this.#roots) makeFolders(join(root, path));
    });
    if (limits.cpuShares !== undefined) this.#write('cpu', path, 'cpu.shares', limits.cpuShares);
    if (limits.cpuQuota !== undefined) {
      this.#write('cpu', path, 'cpu.cfs_period_us', CPU_PERIOD);
      this.#write('cpu', path, 'cpu.cfs_quota_us', limits.cpuQuota);
    }
    if (limits.memory !== undefined) this.#limitMemory(path, limits.memory);
    if (limits.pids !== undefined) this.#write('pids', path, 'pids.max', limits.pids);
    const hugetlb = this.#points.get('hugetlb');
    if (limits.hugePages && hugetlb) limitHugePages(join(hugetlb, path), limits.hugePages, 'limit_in_bytes');
    if (limits.cpus) this.#keepTo(path, limits.cpus);
    if (devices === 'default') {
      this.#write('devices', path, 'devices.deny', 'a');
      for (const rule of [...DEFAULT_DEVICES, ...more.map(ruleText)])
        this.#write('devices', path, 'devices.allow', rule);
    }
  }

  exists(path: string): boolean {
    return existsSync(join(this.#points.get('memory')!, path));
  }

  below(path: string): string[] {
    return [...new Set(this.#all.flatMap((root) => subfolders(join(root, path)).map((at) => basename(at))))];
  }

  update(path: string, { cpuShares, cpuQuota = -1, memory = -1, cpus }: Limits): void {
    if (cpuShares !== undefined) this.#write('cpu', path, 'cpu.shares', cpuShares);
    this.#write('cpu', path, 'cpu.cfs_quota_us', cpuQuota);
    this.#limitMemory(path, memory);
    if (cpus) this.#keepTo(path, cpus);
  }

  /** A group takes no process before it has CPUs and memory nodes, which it does not have of its parent. */
  #keepTo(path: string, cpus: string): void {
    if (!this.#cpuset) return;
    let folder = this.#cpuset;
    for (const name of path.split('/')) {
      const parent = folder;
      folder = join(folder, name);
      makeFolders(folder);
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        if (readGroupFile(join(folder, file)).trim() === '')
          writeFileSync(join(folder, file), readGroupFile(join(parent, file)));
    }
    writeFileSync(join(folder, 'cpuset.cpus'), cpus);
  }

  /** No swap beyond the limit, which may never be below that of memory alone; the file is there only with swap accounting. */
  #limitMemory(path: string, limit: number): void {
    const swap = join(this.#points.get('memory')!, path, 'memory.memsw.limit_in_bytes');
    const files = ['memory.limit_in_bytes', ...(existsSync(swap) ? ['memory.memsw.limit_in_bytes'] : [])];
    const isMore =
      limit < 0 || limit > Number(readGroupFile(join(this.#points.get('memory')!, path, files[0]!)));
    for (const file of isMore ? files.reverse() : files) this.#write('memory', path, file, limit);
  }

  createParent(path: string, limits: Limits): void {
    this.create(path, limits);
  }

  procs(path: string): string[] {
    const cpuset = this.#cpuset && existsSync(join(this.#cpuset, path)) ? [this.#cpuset] : [];
    return [...this.#roots, ...cpuset].map((root) => join(root, path, 'cgroup.procs'));
  }

  killFile(path: string): string {
    const kill = this.#unified && join(this.#unified, path, 'cgroup.kill');
    return kill && existsSync(kill) ? kill : join(this.#listRoot(), path, 'cgroup.procs');
  }

  deviceFolder(): string {
    return '';
  }

  oomFile(path: string): string {
    return join(this.#points.get('memory')!, path, 'memory.oom_control');
  }

  stats(path: string): ContainerStats {
    const read = (controller: string, file: string) => {
      const point = this.#points.get(controller);
      return point ? readGroupFile(join(point, path, file)) : '';
    };
    const memoryBytes = Number(read('memory', 'memory.usage_in_bytes'));
    const memory = flatKeys(read('memory', 'memory.stat'));
    const cpu = flatKeys(read('cpu', 'cpu.stat'));
    const times = flatKeys(read('cpuacct', 'cpuacct.stat'));
    return {
      cpuNanos: Number(read('cpuacct', 'cpuacct.usage')),
      memoryBytes,
      workingSetBytes: Math.max(0, memoryBytes - memory('total_inactive_file')),
      pids: Number(read('pids', 'pids.current')),
      userNanos: times('user') * NANOS_A_TICK,
      systemNanos: times('system') * NANOS_A_TICK,
      rssBytes: memory('total_rss'),
      cacheBytes: memory('total_cache'),
      mappedBytes: memory('total_mapped_file'),
      pageFaults: memory('total_pgfault'),
      majorPageFaults: memory('total_pgmajfault'),
      periods: cpu('nr_periods'),
      throttledPeriods: cpu('nr_throttled'),
      throttledNanos: cpu('throttled_time'),
    };
  }

  kill(path: string): void {
    const kill = this.killFile(path);
    if (kill.endsWith('cgroup.kill')) {
      if (existsSync(kill)) writeFileSync(kill, '1');
    } else {
      this.#killFrozen(path);
    }
  }

  async remove(path: string, timeoutMs = 5000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    await Promise.all(this.#all.map((root) => removeTree(join(root, path), deadline)));
  }

  prune(path: string): void {
    for (const root of this.#all) pruneFolders(root, path);
  }

  mounts(): CgroupMount[] {
    return this.#mounts;
  }

  #write(controller: string, path: string, file: string, value: string | number): void {
    const point = this.#points.get(controller);
    if (point) writeFileSync(join(point, path, file), `${value}`);
  }

  get #all(): string[] {
    return [...new Set([...this.#roots, ...(this.#cpuset ? [this.#cpuset] : [])])];
  }

  #listRoot(): string {
    return this.#points.get('freezer') ?? this.#points.get('pids') ?? this.#points.get('memory')!;
  }

  /** Frozen processes can't fork while their list is read. */
  #killFrozen(path: string): void {
    const freezer = this.#points.get('freezer');
    const state = freezer && join(freezer, path, 'freezer.state');
    const usable = state !== undefined && existsSync(state);
    if (usable) writeFileSync(state, 'FROZEN');
    this.#signalAll(join(this.#listRoot(), path));
    if (usable) writeFileSync(state, 'THAWED');
  }

  #signalAll(folder: string): void {
    for (const pid of readGroupFile(join(folder, 'cgroup.procs')).split('\n').filter(Boolean))
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    for (const below of subfolders(folder)) this.#signalAll(below);
  }
}
