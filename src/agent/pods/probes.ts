/** The probes of one run of a container (kubelet `prober`): when to ask, and what the answers mean. */
import type { Container, Pod, Probe } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { execHandler, type HandlerTarget, httpHandler, type Outcome, tcpHandler } from './handlers.js';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

/** Counts results: it takes `threshold` equal ones in a row to change the verdict. Pure. */
export class Verdict {
  #last: boolean | undefined;
  #run = 0;

  constructor(private readonly probe: Pick<Probe, 'successThreshold' | 'failureThreshold'>) {}

  /** The verdict that this result leads to, or undefined while it is not settled. */
  add(ok: boolean): boolean | undefined {
    this.#run = ok === this.#last ? this.#run + 1 : 1;
    this.#last = ok;
    const threshold = ok ? (this.probe.successThreshold ?? 1) : (this.probe.failureThreshold ?? 3);
    return this.#run >= threshold ? ok : undefined;
  }
}

export interface ProbesOptions {
  pod: Pod;
  target: HandlerTarget;
  clock: Clock;
  startedAt: number;
  /** It is known already that the startup probe has passed (the agent has been away). */
  started?: boolean;
  userAgent: string;
  changed(kind: ProbeKind, ok: boolean): void;
  unhealthy(message: string): void;
}

const TITLE: Record<ProbeKind, string> = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' };

/** Runs until `stop`. Liveness and readiness wait for the startup probe. */
export class ContainerProbes {
  readonly #options: ProbesOptions;
  readonly #abort = new AbortController();
  readonly #cancels = new Set<() => void>();
  #ending = false;

  constructor(options: ProbesOptions) {
    this.#options = options;
    const { startupProbe } = options.target.container;
    if (startupProbe && !options.started) this.#start('startup', startupProbe);
    else this.#startOthers();
  }

  stop(): void {
    this.#abort.abort();
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  /** Asks no more whether it has started or lives. */
  keepReadiness(): void {
    this.#ending = true;
  }

  #startOthers(): void {
    const { livenessProbe, readinessProbe } = this.#options.target.container;
    if (livenessProbe) this.#start('liveness', livenessProbe);
    if (readinessProbe) this.#start('readiness', readinessProbe);
  }

  #start(kind: ProbeKind, probe: Probe): void {
    const { clock, startedAt } = this.#options;
    const verdict = new Verdict(probe);
    const period = (probe.periodSeconds ?? 10) * 1000;
    const delay = (probe.initialDelaySeconds ?? 0) * 1000;
    // Never more than that, also when the clock has been set back.
    const first = Math.min(delay, startedAt + delay - clock.now());
    const isOver = () => this.#abort.signal.aborted || (this.#ending && kind !== 'readiness');
    const again = async () => {
      if (isOver()) return;
      const begun = clock.elapsed();
      const result = await this.#ask(probe);
      if (isOver() || !result) return;
      if (!result.ok)
        this.#options.unhealthy(
          `${TITLE[kind]} probe ${result.error ? 'errored' : 'failed'}: ${result.output}`,
        );
      const settled = verdict.add(result.ok);
      if (settled !== undefined) {
        this.#options.changed(kind, settled);
        if (this.#abort.signal.aborted) return;
        // A container that has started is not asked again; one that has failed is going to be killed.
        if (kind === 'startup') return settled ? this.#startOthers() : undefined;
        if (kind === 'liveness' && !settled) return;
      }
      this.#after(Math.max(0, period - (clock.elapsed() - begun)), again);
    };
    this.#after(Math.max(0, first), again);
  }

  #after(ms: number, work: () => void): void {
    const cancel = this.#options.clock.after(ms, () => {
      this.#cancels.delete(cancel);
      work();
    });
    this.#cancels.add(cancel);
  }

  async #ask(probe: Probe): Promise<(Outcome & { error?: boolean }) | undefined> {
    const { target, clock, userAgent } = this.#options;
    const seconds = probe.timeoutSeconds ?? 1;
    const limit = new AbortController();
    const cancel = clock.after(seconds * 1000, () => limit.abort());
    const stop = () => limit.abort();
    this.#abort.signal.addEventListener('abort', stop, { once: true });
    try {
      if (probe.exec) {
        const outcome = await execHandler(target, probe.exec, limit.signal);
        if (!outcome.timedOut) return outcome;
        const command = (probe.exec.command ?? []).join(' ');
        return {
          ok: false,
          output: `command timed out: ${JSON.stringify(command)} timed out after ${seconds}s`,
        };
      }
      if (probe.httpGet) return await httpHandler(target, probe.httpGet, userAgent, limit.signal);
      if (probe.tcpSocket) return await tcpHandler(target, probe.tcpSocket, limit.signal);
      if (probe.grpc) {
        const { grpcHandler } = await import('./grpc-probe.js');
        return await grpcHandler(target, probe.grpc, limit.signal);
      }
      return { ok: true, output: '' };
    } catch (error) {
      return { ok: false, output: (error as Error).message, error: true };
    } finally {
      cancel();
      this.#abort.signal.removeEventListener('abort', stop);
    }
  }
}

/** Whether a container has to prove itself before it counts as started or ready. */
export const hasProbe = (container: Container, kind: ProbeKind): boolean =>
  container[`${kind}Probe` as const] !== undefined;
