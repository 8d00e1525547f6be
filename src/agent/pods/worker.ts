/** One pod: compares what is wanted with what there is, and does what comes next, one operation of a kind at a time. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, Pod, PodStatus } from '#types';
import { crashPoint } from '../../runtime/crash-points.js';
import type { ContainerStatus } from '../../runtime/types.js';
import { VolumeError } from '../volumes/payloads.js';
import { MountError, PodVolumes } from '../volumes/volumes.js';
import type { ResizeRefusal } from './admission.js';
import { KeyedBackoff } from './backoff.js';
import { logDirectory, sandboxConfig } from './container-config.js';
import { ContainerRunner, type PodContext } from './container-runner.js';
import { type Action, ephemeralContainers, isComplete, nextActions, type PodView } from './next-actions.js';
import { writePodFiles } from './pod-files.js';
import { type Allocation, withAllocation } from './resize.js';
import { Resizer } from './resizer.js';
import { type ContainerRecord, podStatus } from './status.js';
import { TokenSource } from './token-source.js';
import type { WorkerDeps } from './worker-deps.js';

const DEFAULT_GRACE_S = 30;

/** What a worker needs to know of the other pods of the node. */
export interface WorkerHost {
  /** Undefined: it may have the resources that it asks for. */
  admitResize(desired: Pod): ResizeRefusal | undefined;
  /** It has given back some of the node. */
  freed(): void;
  /** Its groups are there. */
  started(): void;
  /** What an earlier agent gave it. */
  allocation?: Allocation;
}

export class PodWorker implements PodContext {
  readonly dir: string;
  /** With the resources that it has been given. */
  pod: Pod;
  podIP = '';
  /** As the API has it: it may ask for more than `pod` has been given. */
  #desired: Pod;
  readonly #resizer: Resizer;
  readonly #host: WorkerHost;
  readonly #deps: WorkerDeps;
  readonly #runners = new Map<string, ContainerRunner>();
  readonly #volumes: PodVolumes;
  readonly #tokens: TokenSource;
  readonly #operations = new Set<string>();
  readonly #retries = new KeyedBackoff(1000, 60_000);
  #sandbox: 'none' | 'ready' | 'dead' = 'none';
  #volumesState: PodView['volumes'] = 'none';
  /** The API has forgotten the pod: nobody is to be told any more. */
  #forgotten = false;
  #failure: { reason: string; message: string } | undefined;
  /** Seconds that its containers have to end, where the node sends it away. */
  #evictionGrace: number | undefined;
  #finished = false;
  /** Its containers have ended for good, which the API is told at once: others may take its place. */
  #isOver = false;
  #closed = false;
  #status: PodStatus | undefined;
  #unsaved = false;
  #statusText = '';
  #startTime: number;
  #wake: (() => void) | undefined;
  #scheduled = false;
  readonly #pauses = new Set<() => void>();
  readonly #cancels = new Set<() => void>();

  constructor(
    pod: Pod,
    deps: WorkerDeps,
    host: WorkerHost = { admitResize: () => undefined, freed() {}, started() {} },
  ) {
    this.#desired = pod;
    this.#deps = deps;
    this.#host = host;
    this.#resizer = new Resizer(pod, deps, host.admitResize, host.allocation);
    this.pod = withAllocation(pod, this.#resizer.allocation);
    this.dir = join(deps.podsDir, pod.metadata.uid!);
    this.#startTime = deps.clock.now();
    this.#tokens = new TokenSource(deps.clock, (audience, seconds) =>
      deps.token(this.pod, audience, seconds),
    );
    const { namespace } = pod.metadata;
    this.#volumes = new PodVolumes(this.dir, {
      node: deps.facts,
      podIP: '',
      configMap: (name) => deps.objects.get('configmaps', `${namespace}/${name}`),
      secret: (name) => deps.objects.get('secrets', `${namespace}/${name}`),
      token: (audience, seconds) => this.#tokens.get(audience, seconds),
      claim: (name) => deps.objects.get('persistentvolumeclaims', `${namespace}/${name}`),
      persistentVolume: (name) => deps.objects.get('persistentvolumes', name),
      csi: deps.csi,
      image: ({ name, image }) =>
        deps.puller.ensure(this.pod, {
          name,
          image: image?.reference,
          imagePullPolicy: image?.pullPolicy,
        }),
      csiDriver: (name) => deps.objects.get('csidrivers', name),
      localReady: (volume) => deps.localVolumes.ready(volume),
    });
    this.#tokens.onRotate = () => this.#refreshVolumes();
    this.#makeRunners(this.pod);
    this.#status = pod.status;
    const phase = pod.status?.phase;
    this.#finished =
      (phase === 'Succeeded' || phase === 'Failed') &&
      !this.#isDeleted &&
      !deps.runtime.sandbox(pod.metadata.uid!);
    this.#adopt();
  }

  /** Whether what it asks of the node counts: as the scheduler counts, not once the API has forgotten it. */
  get isActive(): boolean {
    return !this.#forgotten && !this.#finished && !this.#isOver;
  }

  get terminating(): boolean {
    return this.#isDeleted || this.#failure !== undefined;
  }

  get #isDeleted(): boolean {
    return this.#forgotten || this.pod.metadata.deletionTimestamp !== undefined;
  }

  get volumes(): Map<string, string> {
    return this.#volumes.paths;
  }

  /** What is known of a container; undefined if the pod has none of that name. */
  record(container: string): ContainerRecord | undefined {
    return this.#runners.get(container)?.record;
  }

  /** Begins to work. */
  start(): void {
    this.#settleSize();
    this.#resizer.resume(this.pod, this.#runners.values());
    this.#save();
    this.#checkDeadline();
    this.changed();
    crashPoint('pod admitted');
  }

  /** The API has a new version of the pod. */
  update(pod: Pod): void {
    const before = this.pod;
    this.#desired = pod;
    this.#settleSize();
    const deleted = pod.metadata.deletionTimestamp !== undefined;
    if (deleted && before.metadata.deletionGracePeriodSeconds !== pod.metadata.deletionGracePeriodSeconds) {
      this.#ending();
      this.#save();
    }
    const shown = ({ metadata }: Pod) => JSON.stringify([metadata.labels, metadata.annotations]);
    if (shown(before) !== shown(pod)) {
      this.#refreshVolumes();
      for (const runner of this.#runners.values()) runner.metadataChanged();
      this.#deps.network.policies.podChanged(pod.metadata.uid!, pod);
    }
    if (pod.spec.ephemeralContainers?.length !== before.spec.ephemeralContainers?.length) {
      this.#makeRunners(this.pod);
      this.#save();
    }
    if (before.spec.activeDeadlineSeconds !== pod.spec.activeDeadlineSeconds) this.#checkDeadline();
    this.changed();
  }

  /** Whether it waits for room to grow. */
  get resizeDeferred(): boolean {
    return this.isActive && this.#resizer.isDeferred;
  }

  /** As the API has it. */
  get desired(): Pod {
    return this.#desired;
  }

  /** There may be room for it now. */
  retryResize(): void {
    this.#settleSize();
    this.changed();
  }

  #settleSize(): void {
    const before = this.#resizer.allocation;
    this.pod =
      this.isActive && !this.terminating
        ? this.#resizer.settle(this.#desired)
        : withAllocation(this.#desired, before);
    for (const container of [...(this.pod.spec.initContainers ?? []), ...this.pod.spec.containers]) {
      const runner = this.#runners.get(container.name);
      runner?.define(container);
    }
    if (before === this.#resizer.allocation) return;
    this.#save();
    this.#host.freed();
  }

  /** The pod is not in the API any more. */
  forget(): void {
    if (this.#forgotten) return;
    this.#forgotten = true;
    this.#ending();
    this.changed();
  }

  /** A ConfigMap, Secret or such that the pod refers to has changed. */
  referenceChanged(): void {
    for (const runner of this.#runners.values()) runner.unblock();
    if (this.#volumesState === 'failed') this.#volumesState = 'none';
    else this.#refreshVolumes();
    this.changed();
  }

  /** The node can't keep it: all its containers end and it fails. */
  evict(message: string, graceSeconds: number): void {
    if (this.terminating || this.#finished) return;
    this.#failure = { reason: 'Evicted', message };
    this.#evictionGrace = graceSeconds;
    this.#ending();
    this.changed();
  }

  /** A claim, a volume or the like has changed: what waits for its volumes looks again. */
  storageChanged(): void {
    if (this.#volumesState !== 'failed') return;
    this.#volumesState = 'none';
    this.changed();
  }

  exited(status: ContainerStatus): void {
    this.#runners.get(status.name)?.exited(status);
  }

  /** The shim is gone, and all that ran under it. */
  sandboxGone(): void {
    if (this.#sandbox !== 'ready') return;
    this.#sandbox = 'dead';
    for (const runner of this.#runners.values()) runner.sandboxGone();
    this.changed();
  }

  /** Stops watching the pod; what runs goes on. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
    this.#tokens.close();
    for (const cancel of this.#cancels) cancel();
    for (const runner of this.#runners.values()) runner.close();
  }

  /** Looks what is next, once for all changes of this turn of the event loop. */
  changed(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#step();
    });
  }

  #makeRunners(pod: Pod): void {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    const told = [...containerStatuses, ...initContainerStatuses];
    const { initContainers = [], containers } = pod.spec;
    for (const container of [...initContainers, ...containers, ...ephemeralContainers(pod)]) {
      if (this.#runners.has(container.name)) continue;
      const before = told.find((status) => status.name === container.name);
      const ran = before?.containerID ? 1 : 0;
      const count = (before?.restartCount ?? 0) + ran;
      this.#runners.set(container.name, new ContainerRunner(container, this, this.#deps, count));
    }
  }

  #adopt(): void {
    const sandbox = this.#deps.runtime.sandbox(this.pod.metadata.uid!);
    // One that no container was started in may lack its network and files: it is made anew as far as it is not there.
    if (!sandbox || (sandbox.alive && sandbox.containers.length === 0)) return;
    for (const [name, runner] of this.#runners)
      runner.adopt(sandbox.containers.filter((container) => container.name === name));
    this.podIP = this.pod.spec.hostNetwork ? this.#deps.facts.ip : (this.pod.status?.podIP ?? '');
    this.#sandbox = sandbox.alive ? 'ready' : 'dead';
    if (!sandbox.alive) for (const runner of this.#runners.values()) runner.sandboxGone();
    if (sandbox.alive && !this.pod.spec.hostNetwork) this.#reattach(sandbox.netns);
  }

  /** Gives the address that the sandbox has. */
  #reattach(netns: string): void {
    this.#run('reattach', async () => {
      await this.#deps.networkReady;
      this.podIP = (await this.#deps.network.attach(this.pod.metadata.uid!, netns, this.pod)).ip;
    });
  }

  #view(now: number): PodView {
    const busy = this.#operations;
    const containers = Object.fromEntries([...this.#runners].map(([name, r]) => [name, r.view(now)]));
    return {
      pod: this.pod,
      sandbox: busy.has('createSandbox')
        ? 'creating'
        : busy.has('removeSandbox')
          ? 'removing'
          : this.#sandbox,
      volumes: busy.has('mountVolumes') ? 'mounting' : this.#volumesState,
      containers,
      terminating: this.terminating,
    };
  }

  #step(): void {
    if (this.#closed) return;
    const now = this.#deps.clock.now();
    const view = this.#view(now);
    if (!this.#finished) {
      this.#wake?.();
      for (const action of nextActions(view, now)) this.#do(action, now);
    }
    if (this.#resizer.isInProgress && this.#sandbox === 'ready' && !this.terminating) this.#actuate();
    this.#report(isComplete(view) || this.#isEnded());
  }

  /** Nothing to do while containers that must start again for it are on their way. */
  #actuate(): void {
    const runners = [...this.#runners.values()];
    if (runners.some((runner) => runner.isOutOfSize && runner.view(0).again)) return;
    this.#run('resize', async () => {
      await this.#resizer.actuate(this.pod, runners);
      this.#save();
    });
  }

  #do(action: Action, now: number): void {
    if (action.do === 'wait') {
      this.#wake?.();
      this.#wake = this.#deps.clock.after(Math.max(0, action.until - now) + 1, () => this.changed());
      return;
    }
    const [name, work] = this.#operation(action);
    this.#run(name, work);
  }

  /** Operations of one name never run side by side. */
  #operation(action: Exclude<Action, { do: 'wait' }>): [name: string, work: () => Promise<void>] {
    switch (action.do) {
      case 'createSandbox':
        return ['createSandbox', () => this.#createSandbox()];
      case 'removeSandbox':
        return ['removeSandbox', () => this.#replaceSandbox()];
      case 'mountVolumes':
        return ['mountVolumes', () => this.#mountVolumes()];
      case 'finish':
        return ['finish', () => this.#finish()];
      case 'ensureImage':
        return [`image ${action.container.name}`, () => this.#runner(action.container).ensureImage()];
      case 'start':
        return [`container ${action.container.name}`, () => this.#runner(action.container).start()];
      case 'stop': {
        const { container, reason } = action;
        const grace = this.#grace(container, reason);
        return [`container ${container.name}`, () => this.#runner(container).stop(reason, grace)];
      }
    }
  }

  #run(name: string, work: () => Promise<void>): void {
    if (this.#operations.has(name)) return;
    this.#operations.add(name);
    work()
      .then(
        () => this.#retries.forget(name),
        (error) => {
          if (this.#closed) return undefined;
          this.#deps.logger.error({ err: error, pod: this.pod.metadata.name }, `${name} failed`);
          return this.#pause(name);
        },
      )
      .finally(() => {
        this.#operations.delete(name);
        this.changed();
      });
  }

  #runner(container: Container): ContainerRunner {
    return this.#runners.get(container.name)!;
  }

  async #createSandbox(): Promise<void> {
    const { deps, pod } = { deps: this.#deps, pod: this.pod };
    try {
      if (pod.spec.runtimeClassName) await deps.checkHandler(pod);
      if (!pod.spec.hostNetwork) await deps.networkReady;
      const sandbox = await deps.runtime.createSandbox(
        sandboxConfig(pod, {
          users: deps.users.claim(pod),
          pids: deps.settings.podPids,
          domain: deps.facts.domain,
        }),
      );
      this.#host.started();
      const ip = pod.spec.hostNetwork
        ? deps.facts.ip
        : (await deps.network.attach(sandbox.id, sandbox.netns, pod)).ip;
      crashPoint('network attached');
      const warnings = await writePodFiles(this.dir, pod, ip, deps.facts);
      crashPoint('pod files written');
      for (const { reason, message } of warnings) deps.event(pod, undefined, 'Warning', reason, message);
      this.podIP = ip;
      this.#sandbox = 'ready';
      this.#retries.forget('sandbox');
    } catch (error) {
      const message = `Failed to create pod sandbox: ${(error as Error).message}`;
      deps.event(pod, undefined, 'Warning', 'FailedCreatePodSandBox', message);
      await deps.runtime.removeSandbox(pod.metadata.uid!).catch(() => {});
      await this.#pause('sandbox');
    }
  }

  async #replaceSandbox(): Promise<void> {
    const { runtime, network, event } = this.#deps;
    event(
      this.pod,
      undefined,
      'Normal',
      'SandboxChanged',
      'Pod sandbox changed, it will be killed and re-created.',
    );
    const uid = this.pod.metadata.uid!;
    if (!this.pod.spec.hostNetwork) await network.detach(uid);
    await runtime.removeSandbox(uid);
    this.#sandbox = 'none';
  }

  async #mountVolumes(): Promise<void> {
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o750 });
      await this.#volumes.setUp(this.pod);
      crashPoint('volumes made');
      this.#volumesState = 'ready';
      this.#retries.forget('volumes');
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      if (!error.quiet) this.#deps.event(this.pod, undefined, 'Warning', 'FailedMount', error.message);
      this.#volumesState = 'failed';
      const now = this.#deps.clock.now();
      this.#retries.next('volumes', now, now);
      this.#after(this.#retries.delay('volumes'), () => {
        if (this.#volumesState === 'failed') this.#volumesState = 'none';
        this.changed();
      });
    }
  }

  #refreshVolumes(): void {
    if (this.#volumesState !== 'ready') return;
    this.#run('refreshVolumes', async () => {
      try {
        await this.#volumes.refresh(this.pod);
      } catch (error) {
        // What was deleted under a running pod stays in its files, as upstream.
        if (!(error instanceof VolumeError)) throw error;
      }
    });
  }

  /** Waits for the next try of what failed. */
  #pause(what: string): Promise<void> {
    const now = this.#deps.clock.now();
    this.#retries.next(what, now, now);
    return new Promise((resolve) => {
      const done = () => {
        this.#pauses.delete(done);
        resolve();
      };
      this.#pauses.add(done);
      this.#after(this.#retries.delay(what), done);
    });
  }

  /** The pod is to end: nothing that failed before is waited for. */
  #ending(): void {
    this.#finished = false;
    for (const done of [...this.#pauses]) done();
    for (const runner of this.#runners.values()) runner.ending();
    this.#hurry();
  }

  #grace(container: Container, reason: string): number {
    const { spec, metadata } = this.pod;
    const probe = /failed (liveness|startup) probe/.exec(reason)?.[1] as 'liveness' | 'startup' | undefined;
    const ofProbe = probe && container[`${probe}Probe`]?.terminationGracePeriodSeconds;
    const own = ofProbe ?? spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_S;
    return (metadata.deletionGracePeriodSeconds ?? this.#evictionGrace ?? own) * 1000;
  }

  #hurry(): void {
    const seconds = this.pod.metadata.deletionGracePeriodSeconds;
    if (seconds !== undefined) for (const runner of this.#runners.values()) runner.hurry(seconds * 1000);
  }

  /** `activeDeadlineSeconds`: the pod fails when it has been there so long. */
  #checkDeadline(): void {
    const seconds = this.pod.spec.activeDeadlineSeconds;
    if (seconds === undefined || this.terminating) return;
    const begun = this.#status?.startTime ? Date.parse(this.#status.startTime) : this.#startTime;
    this.#after(begun + seconds * 1000 - this.#deps.clock.now(), () => {
      if (this.#finished || this.terminating || this.pod.spec.activeDeadlineSeconds !== seconds) return;
      const message = 'Pod was active on the node longer than the specified deadline';
      this.#failure = { reason: 'DeadlineExceeded', message };
      this.#deps.event(this.pod, undefined, 'Normal', 'DeadlineExceeded', message);
      this.changed();
    });
  }

  #isEnded(): boolean {
    return this.terminating && [...this.#runners.values()].every((r) => r.record.latest?.state !== 'running');
  }

  /** Everything has ended: tells so, and takes down what is left. */
  async #finish(): Promise<void> {
    const deps = this.#deps;
    const { uid = '' } = this.pod.metadata;
    this.#report(true);
    const deleting = this.#isDeleted;
    // A pod that stays in the API keeps its last status there: the runtime must not forget it before.
    if (!deleting) await deps.statusSent(uid);
    if (!this.pod.spec.hostNetwork) await deps.network.detach(uid);
    crashPoint('network detached');
    await deps.runtime.removeSandbox(uid);
    crashPoint('sandbox removed');
    deps.users.release(uid);
    this.#sandbox = 'none';
    // If it was deleted meanwhile, the next look goes on from here.
    if (!deleting) {
      // What is over needs no room on the disk; its logs stay.
      await this.#volumes.tearDown();
      this.#volumesState = 'none';
      this.#finished = !this.#isDeleted;
      return;
    }
    // The folder goes last: by it, a next agent finds what this one did not come to remove.
    await rm(logDirectory(this.pod), { recursive: true, force: true });
    crashPoint('logs removed');
    await this.#volumes.tearDown();
    crashPoint('volumes removed');
    if (!this.#forgotten) {
      await deps.statusSent(uid);
      crashPoint('last status sent');
      await deps.confirmDeleted(this.pod);
      crashPoint('pod deleted');
    }
    this.#finished = true;
    this.close();
    deps.gone(uid);
  }

  #report(over: boolean): void {
    if (over && !this.#isOver) {
      this.#isOver = true;
      this.#host.freed();
    }
    if (this.#forgotten || this.#closed) return;
    const { clock, facts } = this.#deps;
    if (this.#finished && !this.#statusText) return;
    const status = podStatus({
      pod: this.pod,
      records: Object.fromEntries([...this.#runners].map(([name, runner]) => [name, runner.record])),
      previous: this.#status,
      hostIP: facts.ip,
      podIP: this.podIP,
      sandboxReady: this.#sandbox === 'ready',
      over,
      failure: this.#failure,
      resize: this.#resizer.conditions,
      startTime: this.#startTime,
      now: clock.now(),
    });
    const text = JSON.stringify(status);
    if (text === this.#statusText) return;
    this.#status = status;
    this.#statusText = text;
    this.#deps.setStatus(this.pod, status);
    // What is ready stays so while the agent is away.
    if (this.#sandbox === 'ready' && !this.terminating) this.#save();
  }

  /** So that a later agent knows the pod without the hub. */
  #save(): void {
    this.#unsaved = true;
    this.#run('save', async () => {
      await mkdir(this.dir, { recursive: true, mode: 0o750 });
      const file = join(this.dir, 'pod.json');
      while (this.#unsaved) {
        this.#unsaved = false;
        const { apiVersion, kind, metadata, spec } = this.#desired;
        const { allocation } = this.#resizer;
        const text = JSON.stringify({ apiVersion, kind, metadata, spec, status: this.#status, allocation });
        await writeFile(`${file}.new`, text);
        await rename(`${file}.new`, file);
      }
    });
  }

  #after(ms: number, work: () => void): void {
    const cancel = this.#deps.clock.after(Math.max(0, ms), () => {
      this.#cancels.delete(cancel);
      work();
    });
    this.#cancels.add(cancel);
  }
}
