/** What is asked of a running container: its hooks when it starts and stops, and its probes in between. */
import type { Container } from '#types';
import { crashPoint } from '../../runtime/crash-points.js';
import type { ContainerStatus } from '../../runtime/types.js';
import type { PodContext } from './container-runner.js';
import type { HandlerTarget } from './handlers.js';
import { runHook } from './hooks.js';
import { ContainerProbes, hasProbe, type ProbeKind } from './probes.js';
import type { ContainerRecord } from './status.js';
import { USER_AGENT, type WorkerDeps } from './worker-deps.js';

export interface Examined {
  readonly container: Container;
  readonly context: PodContext;
  readonly record: ContainerRecord;
}

export class ContainerHealth {
  /** Why it must go. */
  unhealthy: string | undefined;
  /** Its postStart hook is done. */
  hooked = true;
  #probes: ContainerProbes | undefined;
  /** Aborts a hook that the end of the pod should not wait for. */
  readonly #starting = new AbortController();

  constructor(
    private readonly of: Examined,
    private readonly deps: WorkerDeps,
  ) {}

  /** Begins to probe; `started` and `ready`: what its probes have said before. */
  watch(run: ContainerStatus, started: boolean, ready: boolean): void {
    const { container, context, record } = this.of;
    const { clock, event } = this.deps;
    record.started = started || !hasProbe(container, 'startup');
    record.ready = record.started && (ready || !hasProbe(container, 'readiness'));
    this.stop();
    if (!(['startup', 'liveness', 'readiness'] as const).some((kind) => hasProbe(container, kind))) return;
    this.#probes = new ContainerProbes({
      pod: context.pod,
      target: this.#target(run.id),
      clock,
      startedAt: run.startedAt,
      started: record.started,
      userAgent: USER_AGENT,
      changed: (kind, ok) => this.#probed(kind, ok),
      unhealthy: (message) => event(context.pod, container, 'Warning', 'Unhealthy', message),
    });
  }

  /** Asks no more. */
  stop(): void {
    this.#probes?.stop();
    this.#probes = undefined;
  }

  /** It is about to be stopped: until then it is as ready as it says, and may still be needed (KEP-1669). */
  ending(): void {
    this.#probes?.keepReadiness();
  }

  async postStart(id: string): Promise<void> {
    const { container, context } = this.of;
    const hook = container.lifecycle?.postStart;
    if (!hook) return;
    this.hooked = false;
    context.changed();
    try {
      await runHook(
        ...([hook, this.#target(id), this.deps.clock, USER_AGENT] as const),
        this.#starting.signal,
      );
    } catch (error) {
      this.#failedHook('PostStart', error);
      this.unhealthy = 'FailedPostStartHook';
    }
    crashPoint('postStart run');
    this.hooked = true;
  }

  async preStop(id: string, signal: AbortSignal): Promise<void> {
    const hook = this.of.container.lifecycle?.preStop;
    if (!hook) return;
    try {
      await runHook(hook, this.#target(id), this.deps.clock, USER_AGENT, signal);
    } catch (error) {
      this.#failedHook('PreStop', error);
    }
  }

  /** The pod is to end. */
  abortStart(): void {
    this.#starting.abort();
  }

  /** What it said stays in the node's log: it may be secret. */
  #failedHook(hook: 'PostStart' | 'PreStop', err: unknown): void {
    const { context, container } = this.of;
    this.deps.logger.warn({ err, container: container.name }, `its ${hook} hook failed`);
    this.deps.event(context.pod, container, 'Warning', `Failed${hook}Hook`, `${hook}Hook failed`);
  }

  #probed(kind: ProbeKind, ok: boolean): void {
    const { record, container, context } = this.of;
    if (kind === 'readiness') {
      if (record.ready === ok) return;
      record.ready = ok;
    } else if (ok) {
      if (kind === 'liveness') return;
      record.started = true;
      record.ready = !hasProbe(container, 'readiness');
    } else this.unhealthy = `Container ${container.name} failed ${kind} probe, will be restarted`;
    context.changed();
  }

  #target(id: string): HandlerTarget {
    const { container, context } = this.of;
    return {
      ...{ runtime: this.deps.runtime, container, id },
      // Of a pod that an earlier agent left it is known only once the network is set up.
      get podIP() {
        return context.podIPs[0] ?? '';
      },
    };
  }
}
