/** The pods that wait for a node: active, in backoff, unschedulable until something helps, or gated (upstream `SchedulingQueue`). */
import type { Clock } from '../api/machinery/clock.js';
import { Heap } from './heap.js';
import type { PodInfo } from './pod-info.js';

const INITIAL_BACKOFF = 1000;
const MAX_BACKOFF = 10_000;
/** After so long an unschedulable pod is tried again even if nothing happened that could help. */
const MAX_UNSCHEDULABLE = 5 * 60_000;

/** `backoff`: something may have helped, but it was tried just now. `failed`: its last attempt broke off. */
type Where = 'active' | 'backoff' | 'failed' | 'unschedulable' | 'gated' | 'in-flight' | 'gone';

export interface QueuedPod {
  info: PodInfo;
  where: Where;
  attempts: number;
  /** When (ms) it came to where it is now. */
  since: number;
  /** The plugins that rejected it on some node in its last attempt. */
  rejectedBy: ReadonlySet<string>;
  /** Not tried again before this. */
  notBefore: number;
  /** How often it moved: tells which of its tickets is valid. */
  moves: number;
  readonly serial: number;
}

/** What is left in a heap of a pod that has moved on since. */
interface Ticket {
  pod: QueuedPod;
  move: number;
}

const byTurn = ({ pod: a }: Ticket, { pod: b }: Ticket): boolean =>
  a.info.priority > b.info.priority ||
  (a.info.priority === b.info.priority &&
    (a.since < b.since || (a.since === b.since && a.serial < b.serial)));

/** Whose backoff ends within the same second go by their turn (upstream `SchedulerPopFromBackoffQ`). */
const byBackoff = (a: Ticket, b: Ticket): boolean => {
  const [left, right] = [Math.floor(a.pod.notBefore / 1000), Math.floor(b.pod.notBefore / 1000)];
  return left < right || (left === right && byTurn(a, b));
};

export class SchedulingQueue {
  readonly #clock: Clock;
  /** Called when `pop` may return something again. */
  readonly #wake: () => void;
  /** Why a pod waits beside its gates. */
  readonly #lacks: (info: PodInfo) => boolean;
  readonly #pods = new Map<string, QueuedPod>();
  readonly #gated = new Set<QueuedPod>();
  readonly #unschedulable = new Set<QueuedPod>();
  readonly #heaps = {
    active: new Heap<Ticket>(byTurn),
    backoff: new Heap<Ticket>(byBackoff),
    failed: new Heap<Ticket>(byBackoff),
  };
  #serial = 0;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(clock: Clock, wake: () => void, lacks: (info: PodInfo) => boolean = () => false) {
    this.#clock = clock;
    this.#wake = wake;
    this.#lacks = lacks;
  }

  /** A pod without a node appeared, or changed in a way that may matter. */
  set(info: PodInfo): void {
    const known = this.#pods.get(info.uid);
    if (known === undefined) {
      const pod: QueuedPod = {
        info,
        where: 'gone',
        attempts: 0,
        since: 0,
        rejectedBy: new Set(),
        notBefore: 0,
        moves: 0,
        serial: this.#serial++,
      };
      this.#pods.set(info.uid, pod);
      this.#move(pod, this.#isGated(info) ? 'gated' : 'active');
      return;
    }
    known.info = info;
    if (known.where === 'gated') this.#openGate(known);
    else if (known.where === 'unschedulable') this.#retry(known);
  }

  /** A change that cannot matter for scheduling, such as of the status. */
  refresh(info: PodInfo): void {
    const known = this.#pods.get(info.uid);
    if (known === undefined) return;
    known.info = info;
    if (known.where === 'gated') this.#openGate(known);
  }

  /** What pods may lack has changed. */
  openGates(): void {
    for (const pod of [...this.#gated]) this.#openGate(pod);
  }

  /** It has a node, is gone, or need not be scheduled. */
  delete(uid: string): void {
    const known = this.#pods.get(uid);
    if (known === undefined) return;
    this.#pods.delete(uid);
    this.#move(known, 'gone');
  }

  /** The next pod to schedule. With nothing else to do, those in backoff come early. */
  pop(): QueuedPod | undefined {
    const pod = this.#takeFailed() ?? this.#take('active') ?? this.#take('backoff');
    if (pod === undefined) return undefined;
    pod.attempts++;
    this.#move(pod, 'in-flight');
    return pod;
  }

  /** No node fits: waits for what may help. */
  unschedulable(pod: QueuedPod, rejectedBy: ReadonlySet<string>): void {
    this.#putBack(pod, 'unschedulable', rejectedBy);
  }

  /** The attempt broke off (binding failed, say): tried again after its backoff, even if nothing else is to do. */
  failed(pod: QueuedPod): void {
    this.#putBack(pod, 'failed', new Set());
  }

  /** Something changed: tries again those unschedulable pods that it may help. */
  retry(mayHelp: (pod: QueuedPod) => boolean): void {
    for (const pod of [...this.#unschedulable]) if (mayHelp(pod)) this.#retry(pod);
  }

  /** For tests and metrics. */
  count(where: Where): number {
    let count = 0;
    for (const pod of this.#pods.values()) if (pod.where === where) count++;
    return count;
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  #isGated(info: PodInfo): boolean {
    return (info.pod.spec.schedulingGates?.length ?? 0) > 0 || this.#lacks(info);
  }

  #openGate(pod: QueuedPod): void {
    if (!this.#isGated(pod.info)) this.#move(pod, 'active');
  }

  #retry(pod: QueuedPod): void {
    this.#move(pod, pod.notBefore > this.#clock.elapsed() ? 'backoff' : 'active');
  }

  #putBack(pod: QueuedPod, where: Where, rejectedBy: ReadonlySet<string>): void {
    if (pod.where !== 'in-flight') return;
    pod.rejectedBy = rejectedBy;
    pod.notBefore = this.#clock.elapsed() + Math.min(MAX_BACKOFF, INITIAL_BACKOFF * 2 ** (pod.attempts - 1));
    this.#move(pod, where);
    this.#setTimer();
  }

  #move(pod: QueuedPod, where: Where): void {
    this.#unschedulable.delete(pod);
    this.#gated.delete(pod);
    pod.where = where;
    pod.since = this.#clock.elapsed();
    pod.moves++;
    if (where === 'unschedulable') this.#unschedulable.add(pod);
    else if (where === 'gated') this.#gated.add(pod);
    else if (where === 'active' || where === 'backoff' || where === 'failed')
      this.#heaps[where].push({ pod, move: pod.moves });
    if (where === 'active' || where === 'backoff') this.#wake();
  }

  #take(where: 'active' | 'backoff' | 'failed'): QueuedPod | undefined {
    for (;;) {
      const ticket = this.#heaps[where].pop();
      if (ticket === undefined || ticket.pod.moves === ticket.move) return ticket?.pod;
    }
  }

  #takeFailed(): QueuedPod | undefined {
    const next = this.#heaps.failed.peek();
    return next !== undefined && next.pod.notBefore <= this.#clock.elapsed()
      ? this.#take('failed')
      : undefined;
  }

  /** One timer, for the end of the first backoff and for pods that have waited too long. */
  #setTimer(): void {
    this.#cancelTimer?.();
    // The set is in the order of time.
    const [oldest] = this.#unschedulable;
    const next = Math.min(
      this.#heaps.failed.peek()?.pod.notBefore ?? Number.POSITIVE_INFINITY,
      oldest === undefined ? Number.POSITIVE_INFINITY : oldest.since + MAX_UNSCHEDULABLE,
    );
    if (this.#closed || next === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.after(Math.max(1, next - this.#clock.elapsed()), () => {
      const now = this.#clock.elapsed();
      this.retry((pod) => now - pod.since >= MAX_UNSCHEDULABLE);
      this.#wake();
      this.#setTimer();
    });
  }
}
