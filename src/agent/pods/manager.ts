/** All pods of the node: a worker for each, fed by the hub and by the runtime. */
import { join } from 'node:path';
import type { Node, Pod } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { deepFreeze, type KubeObject } from '../../api/machinery/types.js';
import type { ContainerStatus } from '../../runtime/types.js';
import { qosLimits } from '../node/qos.js';
import { isStatic } from '../static/manifests.js';
import { isMirror } from '../static/mirrors.js';
import { podFolders } from '../volumes/volumes.js';
import {
  admit,
  admitAtShutdown,
  admitResize,
  admitUnderPressure,
  type ResizeRefusal,
  rejectedStatus,
} from './admission.js';
import { type Allocation, increases } from './resize.js';
import { qosClass } from './resources.js';
import { removeLeftover, savedPod } from './saved-pods.js';
import { admitAppArmor, admitSysctls } from './soft-admission.js';
import { PodWorker } from './worker.js';
import type { WorkerDeps } from './worker-deps.js';

export class PodManager {
  readonly #workers = new Map<string, PodWorker>();
  readonly #deps: WorkerDeps;
  #retrying = false;
  readonly #onExit = (status: ContainerStatus) => this.#workers.get(status.sandboxId)?.exited(status);
  readonly #onGone = (sandboxId: string) => this.#workers.get(sandboxId)?.sandboxGone();

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    deps.runtime.on('exit', this.#onExit);
    deps.runtime.on('gone', this.#onGone);
    deps.objects.on('pods', (_key, pod: Pod | undefined, old: Pod | undefined) => this.#changed(pod, old));
    for (const resource of ['configmaps', 'secrets'])
      deps.objects.on(resource, (key) => this.#referenceChanged(key));
    for (const resource of ['persistentvolumeclaims', 'persistentvolumes', 'volumeattachments'])
      deps.objects.on(resource, () => this.storageChanged());
    deps.objects.synced('pods').then(() => this.#dropUnknown());
  }

  /** Goes on with the pods that an earlier agent left, before the hub has told anything. */
  async recover(): Promise<void> {
    const found: PodWorker[] = [];
    const running = new Set(this.#deps.runtime.sandboxes().map((sandbox) => sandbox.id));
    for (const uid of await podFolders(this.#deps.podsDir)) {
      if (!running.has(uid)) continue;
      const pod = await savedPod(join(this.#deps.podsDir, uid));
      if (pod) found.push(this.#register(deepFreeze(pod.pod), pod.allocation));
    }
    // Not before all are known: who waits for room must not take that of the others.
    for (const worker of found) worker.start();
  }

  /** Also by the UID of the mirror that shows a static pod. */
  get(uid: string): PodWorker | undefined {
    return this.#workers.get(uid) ?? this.#workers.get(this.#deps.staticOf(uid) ?? '');
  }

  /** Runs a pod that the API does not know. */
  addStatic(pod: Pod): void {
    if (!this.#workers.has(pod.metadata.uid!)) this.#add(pod);
  }

  list(): PodWorker[] {
    return [...this.#workers.values()];
  }

  /** The worker has nothing left to do. */
  remove(uid: string): void {
    this.#workers.delete(uid);
    this.#freed();
  }

  async close({ stopPods }: { stopPods: boolean }): Promise<void> {
    const { runtime, network } = this.#deps;
    runtime.off('exit', this.#onExit);
    runtime.off('gone', this.#onGone);
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
    if (!stopPods) return;
    await Promise.all(
      runtime.sandboxes().map(async ({ id }) => {
        await network.detach(id);
        await runtime.removeSandbox(id);
      }),
    );
  }

  #changed(pod: Pod | undefined, old: Pod | undefined): void {
    const shown = pod ?? old;
    if (shown && isMirror(shown)) return;
    const before = old?.metadata.uid;
    // A pod of the same name may have taken the place of the one before.
    if (before && before !== pod?.metadata.uid) this.#workers.get(before)?.forget();
    if (!pod) return;
    const worker = this.#workers.get(pod.metadata.uid!);
    if (worker) worker.update(pod);
    else this.#add(pod);
  }

  #add(pod: Pod): void {
    this.#register(pod).start();
  }

  /** A worker that is known, and has not begun. */
  #register(pod: Pod, allocation?: Allocation): PodWorker {
    const worker = new PodWorker(this.#admitted(pod), this.#deps, {
      admitResize: (desired) => this.#admitResize(desired),
      freed: () => this.#freed(),
      started: () => this.#shareOut(),
      ...(allocation ? { allocation } : {}),
    });
    this.#workers.set(pod.metadata.uid!, worker);
    return worker;
  }

  /** The pod, or what it is once the node has refused it: failed. */
  #admitted(pod: Pod): Pod {
    const { runtime, objects, facts, event, setStatus, clock } = this.#deps;
    const { uid = '', deletionTimestamp } = pod.metadata;
    const { phase, startTime } = pod.status ?? {};
    if (deletionTimestamp || phase === 'Failed' || phase === 'Succeeded' || runtime.sandbox(uid)) return pod;
    const others = this.list().filter((worker) => worker.isActive);
    const admitted = () =>
      admit(
        pod,
        objects.get<Node & KubeObject>('nodes', facts.name),
        facts.allocatable,
        others.map((worker) => worker.pod),
      );
    const rejection =
      admitAtShutdown(this.#deps.isShuttingDown()) ??
      admitUnderPressure(pod, this.#deps.pressures()) ??
      admitSysctls(pod, this.#deps.settings.unsafeSysctls) ??
      admitAppArmor(pod) ??
      admitted();
    if (!rejection) return pod;
    event(pod, undefined, 'Warning', rejection.reason, rejection.message);
    const status = rejectedStatus(pod, rejection, startTime ?? timestamp(clock.now()));
    setStatus(pod, status);
    return deepFreeze({ ...pod, status: { ...pod.status, ...status } });
  }

  #admitResize(desired: Pod): ResizeRefusal | undefined {
    if (this.#deps.cpus.isStatic && qosClass(desired) === 'Guaranteed')
      return {
        reason: 'Infeasible',
        message: 'Resize is infeasible for Guaranteed Pods alongside CPU Manager static policy',
      };
    const { allocatable, whole } = this.#deps.facts;
    const others = this.list().filter((w) => w.isActive && w.pod.metadata.uid !== desired.metadata.uid);
    return admitResize(
      desired,
      allocatable,
      whole,
      others.map((worker) => worker.pod),
    );
  }

  /** The groups of the classes follow what their pods ask for. */
  #shareOut(): void {
    const { runtime, facts, logger } = this.#deps;
    const pods = this.list().filter((worker) => worker.isActive);
    const limits = qosLimits(
      pods.map((worker) => worker.pod),
      facts.whole,
    );
    for (const [path, limit] of Object.entries(limits))
      try {
        runtime.limitParent(path, limit);
      } catch (err) {
        logger.warn({ err, group: path }, 'the limits of a group could not be set');
      }
  }

  /** There is room again: those that wait to grow get it, those first that do not take more, then the most important. */
  #freed(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    queueMicrotask(() => {
      this.#retrying = false;
      this.#shareOut();
      const grows = (w: PodWorker) => Number(increases(w.desired, w.pod));
      const priority = ({ pod }: PodWorker) => pod.spec.priority ?? 0;
      const guaranteed = ({ pod }: PodWorker) => Number(qosClass(pod) === 'Guaranteed');
      const waiting = this.list().filter((worker) => worker.resizeDeferred);
      waiting.sort(
        (a, b) => grows(a) - grows(b) || priority(b) - priority(a) || guaranteed(b) - guaranteed(a),
      );
      for (const worker of waiting) worker.retryResize();
    });
  }

  /** A claim, a volume, a driver or the like has changed. */
  storageChanged(): void {
    for (const worker of this.#workers.values()) worker.storageChanged();
  }

  /** How their devices are is told with their status. */
  devicesChanged(): void {
    for (const worker of this.#workers.values()) worker.changed();
  }

  #referenceChanged(key: string): void {
    const namespace = key.slice(0, key.indexOf('/'));
    const name = key.slice(namespace.length + 1);
    for (const worker of this.#workers.values())
      if (
        worker.pod.metadata.namespace === namespace &&
        JSON.stringify(worker.pod.spec).includes(`"${name}"`)
      )
        worker.referenceChanged();
  }

  /** After the first sync: what the API does not know is to end, and what nobody knows is swept away. */
  async #dropUnknown(): Promise<void> {
    const { objects, runtime, network, podsDir, logger } = this.#deps;
    const known = new Set(objects.list<Pod>('pods').map((pod) => pod.metadata.uid!));
    for (const [uid, worker] of this.#workers) if (!known.has(uid) && !isStatic(worker.pod)) worker.forget();
    for (const { id, labels } of runtime.sandboxes()) {
      if (this.#workers.has(id) || labels['owner'] === 'cri') continue;
      logger.warn({ sandbox: id }, 'removing a sandbox that belongs to no pod');
      await network.detach(id).catch(() => {});
      await runtime
        .removeSandbox(id)
        .catch((err) => logger.error({ err, sandbox: id }, 'could not remove it'));
    }
    for (const uid of await podFolders(podsDir))
      if (!this.#workers.has(uid)) await removeLeftover(join(podsDir, uid));
    this.#deps.devices.retain(new Set(this.#workers.keys()));
    this.#deps.cpus.retain(new Set(this.#workers.keys()));
    await this.#deps.csi.sweep(new Set(this.#workers.keys()));
  }
}
