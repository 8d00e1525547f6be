/** How long admission takes, and what came of it, under upstream's names. */
import { count, family, Histograms, labelText } from '../../api/machinery/measures.js';
import type { AdmissionRequest } from './admission.js';
import { PolicyMeasures } from './policy-measures.js';

const BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 2.5];

export type Step = 'admit' | 'validate';

/** How a call of a webhook ended: with its verdict, or without one. `code`: of the answer, 200 where it allowed. */
export interface WebhookCall {
  mutating: boolean;
  code: number;
  rejected: false | 'no_error' | 'calling_webhook_error';
}

export class AdmissionMeasures {
  readonly policies = new PolicyMeasures();
  readonly #steps = new Histograms(
    'apiserver_admission_step_admission_duration_seconds',
    'Admission sub-step latency histogram in seconds, for each operation and step type (validate or admit).',
    BUCKETS,
  );
  readonly #controllers = new Histograms(
    'apiserver_admission_controller_admission_duration_seconds',
    'Admission controller latency histogram in seconds, by name, for each operation and type (validate or admit).',
    BUCKETS,
  );
  readonly #webhooks = new Histograms(
    'apiserver_admission_webhook_admission_duration_seconds',
    'Admission webhook latency histogram in seconds, by name, for each operation and type (validating or admit).',
    [...BUCKETS, 10, 25],
  );
  readonly #requests = new Map<string, number>();
  readonly #rejections = new Map<string, number>();
  readonly #failedOpen = new Map<string, number>();

  /** Runs all plugins of a step. */
  step(type: Step, request: AdmissionRequest, run: () => Promise<void>): Promise<void> {
    const { operation } = request;
    return timed(run, (seconds, rejected) =>
      this.#steps.observe(labelText({ operation, rejected, type }), seconds),
    );
  }

  /** Runs one plugin. */
  controller(name: string, type: Step, request: AdmissionRequest, run: () => void | Promise<void>) {
    const { operation } = request;
    return timed(run, (seconds, rejected) =>
      this.#controllers.observe(labelText({ name, operation, rejected, type }), seconds),
    );
  }

  webhook(name: string, { operation }: AdmissionRequest, call: WebhookCall, ms: number): void {
    const type = typeOf(call.mutating);
    const rejected = String(call.rejected !== false);
    const code = String(Math.min(call.code, 600));
    this.#webhooks.observe(labelText({ name, operation, rejected, type }), ms / 1000);
    count(this.#requests, labelText({ code, name, operation, rejected, type }));
    if (call.rejected === false) return;
    const labels = { error_type: call.rejected, name, operation, rejection_code: code, type };
    count(this.#rejections, labelText(labels));
  }

  /** A webhook failed, and was ignored. */
  failedOpen(name: string, mutating: boolean): void {
    count(this.#failedOpen, labelText({ name, type: typeOf(mutating) }));
  }

  /** Prometheus text. */
  render(): string[] {
    const counter = (name: string, help: string, values: Map<string, number>) =>
      family(`apiserver_admission_${name}`, 'counter', help, values);
    return [
      ...this.#steps.render(),
      ...this.#controllers.render(),
      ...this.#webhooks.render(),
      ...counter('webhook_request_total', 'Calls of admission webhooks, by their outcome.', this.#requests),
      ...counter('webhook_rejection_count', 'Requests that admission webhooks rejected.', this.#rejections),
      ...counter('webhook_fail_open_count', 'Failed calls of webhooks that were ignored.', this.#failedOpen),
      ...this.policies.render(),
    ];
  }
}

const typeOf = (mutating: boolean) => (mutating ? 'admit' : 'validating');

/** Tells how long it took, and whether it threw. */
async function timed(
  run: () => void | Promise<void>,
  told: (seconds: number, rejected: 'true' | 'false') => void,
): Promise<void> {
  const started = performance.now();
  let rejected: 'true' | 'false' = 'true';
  try {
    await run();
    rejected = 'false';
  } finally {
    told((performance.now() - started) / 1000, rejected);
  }
}
