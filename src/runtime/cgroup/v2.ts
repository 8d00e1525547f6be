/** cgroup version 2: one hierarchy; controllers are enabled from the root down. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type ContainerStats, type Limits, RuntimeError } from '../types.js';
import type { CgroupMount, Cgroups } from './cgroup.js';
import {
  errorCode,
  makeFolders,
  pruneFolders,
  readGroupFile,
  removeTree,
  subfolders,
  whileParentsGo,
} from './files.js';
import { limitHugePages } from './huge-pages.js';
import { CPU_PERIOD, cpuWeight, flatKeys } from './numbers.js';

const CONTROLLERS = ['cpu', 'cpuset', 'memory', 'pids', 'io', 'hugetlb'];

export class CgroupV2 implements Cgroups {
  #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  create(path: string, limits: Limits, devices?: 'default' | 'all'): void {
    whileParentsGo(() => {
      this.#enable(dirname(path));
      makeFolders(join(this.#root, path));
    });
    if (limits.cpuShares !== undefined) this.#write(path, 'cpu.weight', cpuWeight(limits.cpuShares));
    if (limits.cpuQuota !== undefined)
      this.#write(path, 'cpu.max', `${limits.cpuQuota < 0 ? 'max' : limits.cpuQuota} ${CPU_PERIOD}`);
    if (limits.memory !== undefined) {
      this.#write(path, 'memory.max', limits.memory);
      if (existsSync(join(this.#root, path, 'memory.swap.max'))) this.#write(path, 'memory.swap.max', 0);
    }
    if (limits.pids !== undefined) this.#write(path, 'pids.max', limits.pids);
    if (limits.cpus) this.#keepTo(path, limits.cpus);
    if (limits.hugePages) limitHugePages(join(this.#root, path), limits.hugePages, 'max');
    // As with upstream's default, all of a container ends when one of its processes is chosen.
    if (devices && existsSync(join(this.#root, path, 'memory.oom.group')))
      this.#write(path, 'memory.oom.group', 1);
  }

  exists(path: string): boolean {
    return existsSync(join(this.#root, path));
  }

  below(path: string): string[] {
    return subfolders(join(this.#root, path)).map((at) => basename(at));
  }

  update(path: string, { cpuShares, cpuQuota, memory, cpus }: Limits): void {
    if (cpuShares !== undefined) this.#write(path, 'cpu.weight', cpuWeight(cpuShares));
    this.#write(path, 'cpu.max', `${cpuQuota ?? 'max'} ${CPU_PERIOD}`);
    this.#write(path, 'memory.max', memory ?? 'max');
    if (cpus) this.#keepTo(path, cpus);
  }

  #keepTo(path: string, cpus: string): void {
    if (existsSync(join(this.#root, path, 'cpuset.cpus'))) this.#write(path, 'cpuset.cpus', cpus);
  }

  createParent(path: string, limits: Limits): void {
    this.create(path, limits);
    this.#enable(path);
  }

  procs(path: string): string[] {
    return [join(this.#root, path, 'cgroup.procs')];
  }

  killFile(path: string): string {
    return join(this.#root, path, 'cgroup.kill');
  }

  deviceFolder(path: string): string {
    return join(this.#root, path);
  }

  oomFile(path: string): string {
    return join(this.#root, path, 'memory.events');
  }

  stats(path: string): ContainerStats {
    const read = (file: string) => readGroupFile(join(this.#root, path, file));
    const memoryBytes = Number(read('memory.current'));
    const cpu = flatKeys(read('cpu.stat'));
    const memory = flatKeys(read('memory.stat'));
    return {
      cpuNanos: cpu('usage_usec') * 1000,
      memoryBytes,
      workingSetBytes: Math.max(0, memoryBytes - memory('inactive_file')),
      pids: Number(read('pids.current')),
      userNanos: cpu('user_usec') * 1000,
      systemNanos: cpu('system_usec') * 1000,
      rssBytes: memory('anon'),
      cacheBytes: memory('file'),
      mappedBytes: memory('file_mapped'),
      pageFaults: memory('pgfault'),
      majorPageFaults: memory('pgmajfault'),
      periods: cpu('nr_periods'),
      throttledPeriods: cpu('nr_throttled'),
      throttledNanos: cpu('throttled_usec') * 1000,
    };
  }

  kill(path: string): void {
    if (existsSync(this.killFile(path))) writeFileSync(this.killFile(path), '1');
  }

  remove(path: string, timeoutMs = 5000): Promise<void> {
    return removeTree(join(this.#root, path), performance.now() + timeoutMs);
  }

  prune(path: string): void {
    pruneFolders(this.#root, path);
  }

  mounts(): CgroupMount[] {
    return [{ target: '/sys/fs/cgroup', type: 'cgroup2', data: '' }];
  }

  #write(path: string, file: string, value: string | number): void {
    writeFileSync(join(this.#root, path, file), `${value}`);
  }

  /** Makes the controllers usable in the children of `path`, and so in all its parents' children. */
  #enable(path: string): void {
    if (path !== '.') this.#enable(dirname(path));
    const folder = join(this.#root, path);
    makeFolders(folder);
    const usable = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(' ');
    const enabled = readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8').trim().split(' ');
    const missing = CONTROLLERS.filter((name) => usable.includes(name) && !enabled.includes(name));
    if (!missing.length) return;
    const enable = () =>
      writeFileSync(join(folder, 'cgroup.subtree_control'), missing.map((name) => `+${name}`).join(' '));
    try {
      enable();
    } catch (error) {
      // Inside of a container the top group holds processes, and such a group can't share out its controllers.
      if (errorCode(error) !== 'EBUSY') throw error;
      if (path === '.') this.#evacuate();
      else throw new RuntimeError('Internal', `cgroup ${folder} has processes of its own`);
      enable();
    }
  }

  /** Moves the top group's processes to a child, as container engines inside of containers do. */
  #evacuate(): void {
    const target = join(this.#root, 'init');
    makeFolders(target);
    for (const pid of readGroupFile(join(this.#root, 'cgroup.procs')).split('\n').filter(Boolean))
      try {
        writeFileSync(join(target, 'cgroup.procs'), pid);
      } catch (error) {
        // It ended meanwhile.
        if (errorCode(error) !== 'ESRCH') throw error;
      }
  }
}
