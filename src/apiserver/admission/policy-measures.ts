/** What match conditions and policies of admission decide, and how long that takes, under upstream's names. */
import { count, family, Histograms, labelText } from '../../api/machinery/measures.js';

/** Where match conditions stand: on a webhook or a policy. */
export interface ConditionsOf {
  name: string;
  kind: 'webhook' | 'policy';
  type: 'admit' | 'validating' | 'validate';
  operation: string;
}

export type CheckError = 'no_error' | 'compile_error' | 'invalid_error' | 'out_of_budget';
export type CheckAction = 'allow' | 'deny' | 'audit' | 'warn';

export class PolicyMeasures {
  readonly #seconds = new Histograms(
    'apiserver_admission_match_condition_evaluation_seconds',
    'Admission match condition evaluation time in seconds, by name, kind (webhook or policy), operation and type.',
    [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
  );
  readonly #errors = new Map<string, number>();
  readonly #exclusions = new Map<string, number>();
  readonly #checks = new Map<string, number>();
  readonly #checkSeconds = new Histograms(
    'apiserver_validating_admission_policy_check_duration_seconds',
    'Validation admission latency for individual validation expressions in seconds, by policy, binding and enforcement action.',
    [0.0000005, 0.001, 0.01, 0.1, 1],
  );

  conditionsTook(of: ConditionsOf, ms: number): void {
    this.#seconds.observe(labelText({ ...of }), ms / 1000);
  }

  conditionFailed(of: ConditionsOf): void {
    count(this.#errors, labelText({ ...of }));
  }

  /** A webhook is not called because of its conditions. */
  excluded(of: ConditionsOf): void {
    count(this.#exclusions, labelText({ ...of }));
  }

  /** A validation refused something, or failed and was ignored (`allow`). */
  checked(policy: string, binding: string, error: CheckError, action: CheckAction, ms: number): void {
    const labels = labelText({
      enforcement_action: action,
      error_type: error,
      policy,
      policy_binding: binding,
    });
    count(this.#checks, labels);
    this.#checkSeconds.observe(labels, ms / 1000);
  }

  /** Prometheus text. */
  render(): string[] {
    return [
      ...this.#seconds.render(),
      ...family(
        'apiserver_admission_match_condition_evaluation_errors_total',
        'counter',
        'Admission match conditions that failed, by name, kind (webhook or policy), operation and type.',
        this.#errors,
      ),
      ...family(
        'apiserver_admission_match_condition_exclusions_total',
        'counter',
        'Webhooks that were not called because of their match conditions, by name, operation and type.',
        this.#exclusions,
      ),
      ...family(
        'apiserver_validating_admission_policy_check_total',
        'counter',
        'Validation admission policy checks, by policy, binding, error type and enforcement action taken.',
        this.#checks,
      ),
      ...this.#checkSeconds.render(),
    ];
  }
}
