/** The sandbox of one pod with its addresses: made, found again, replaced, and taken down. */
import type { Pod } from '#types';
import { crashPoint } from '../../runtime/crash-points.js';
import type { SandboxStatus } from '../../runtime/types.js';
import { sandboxConfig } from './container-config.js';
import { writePodFiles } from './pod-files.js';
import type { WorkerDeps } from './worker-deps.js';

export class PodSandbox {
  state: 'none' | 'ready' | 'dead' = 'none';
  /** Of the pod, one of each IP family; none until it has them. */
  ips: string[] = [];

  constructor(
    private readonly deps: WorkerDeps,
    /** The pod's own folder. */
    private readonly dir: string,
  ) {}

  /** `made`: its groups are there. */
  async create(pod: Pod, made: () => void): Promise<void> {
    const { deps } = this;
    if (pod.spec.runtimeClassName) await deps.checkHandler(pod);
    if (!pod.spec.hostNetwork) await deps.networkReady;
    const sandbox = await deps.runtime.createSandbox(
      sandboxConfig(pod, {
        users: deps.users.claim(pod),
        pids: deps.settings.podPids,
        ownCpus: deps.cpus.hasOwn(pod.metadata.uid!),
        domain: deps.facts.domain,
      }),
    );
    made();
    const ips = await this.#addresses(pod, sandbox.netns);
    crashPoint('network attached');
    const warnings = await writePodFiles(this.dir, pod, ips, deps.facts);
    crashPoint('pod files written');
    for (const { reason, message } of warnings) deps.event(pod, undefined, 'Warning', reason, message);
    this.ips = ips;
    this.state = 'ready';
  }

  /** One that an earlier agent left. */
  adopt(pod: Pod, { alive }: SandboxStatus): void {
    const told = (pod.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
    this.ips = pod.spec.hostNetwork ? this.deps.facts.ips : told;
    this.state = alive ? 'ready' : 'dead';
  }

  /** Gives one that an earlier agent left its addresses again. */
  async reattach(pod: Pod, netns: string): Promise<void> {
    await this.deps.networkReady;
    this.ips = await this.#addresses(pod, netns);
  }

  /** Takes away what is left of one that is dead, so that another can be made. */
  async clear(pod: Pod): Promise<void> {
    const message = 'Pod sandbox changed, it will be killed and re-created.';
    this.deps.event(pod, undefined, 'Normal', 'SandboxChanged', message);
    await this.remove(pod);
  }

  async remove(pod: Pod): Promise<void> {
    const { runtime, network } = this.deps;
    const uid = pod.metadata.uid!;
    if (!pod.spec.hostNetwork) await network.detach(uid);
    crashPoint('network detached');
    await runtime.removeSandbox(uid);
    this.state = 'none';
  }

  async #addresses(pod: Pod, netns: string): Promise<string[]> {
    if (pod.spec.hostNetwork) return this.deps.facts.ips;
    return this.deps.network.attach(pod.metadata.uid!, netns, pod);
  }
}
