/** /livez, /readyz and /healthz, as a whole and check by check (apiserver `healthz`). */
import type { Call, Result } from '../context.js';

export interface HealthCheck {
  name: string;
  /** Throws what is wrong. */
  check(): void | Promise<void>;
  /** Counts for readiness alone. */
  readyOnly?: boolean;
}

/** What upstream's checks of its own start are called: they pass once the server is ready. */
export const START_CHECKS = [
  'poststarthook/start-kube-apiserver-admission-initializer',
  'poststarthook/generic-apiserver-start-informers',
  'poststarthook/priority-and-fairness-config-consumer',
  'poststarthook/priority-and-fairness-config-producer',
  'poststarthook/start-apiextensions-informers',
  'poststarthook/start-apiextensions-controllers',
  'poststarthook/crd-informer-synced',
  'poststarthook/bootstrap-controller',
  'poststarthook/start-system-namespaces-controller',
  'poststarthook/rbac/bootstrap-roles',
  'poststarthook/scheduling/bootstrap-system-priority-classes',
  'poststarthook/start-cluster-authentication-info-controller',
  'poststarthook/start-kube-aggregator-informers',
  'poststarthook/apiservice-registration-controller',
  'poststarthook/apiservice-status-available-controller',
  'poststarthook/apiservice-discovery-controller',
  'poststarthook/kube-apiserver-autoregistration',
  'autoregister-completion',
  'poststarthook/apiservice-openapi-controller',
  'poststarthook/apiservice-openapiv3-controller',
];

const ROOTS = ['livez', 'readyz', 'healthz'];

const text = (code: number, body: string): Result => ({
  type: 'raw',
  code,
  headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
  body,
});

/** Undefined for paths that are not of health. */
export async function health(path: string, call: Call, all: HealthCheck[]): Promise<Result | undefined> {
  const [, root = '', ...rest] = path.split('/');
  if (!ROOTS.includes(root)) return undefined;
  const checks = all.filter((check) => root === 'readyz' || !check.readyOnly);
  if (rest.length > 0) {
    const name = rest.join('/');
    const check = checks.find((c) => c.name === name);
    if (!check) return undefined;
    const error = await failure(check);
    return error === undefined ? text(200, 'ok') : text(500, `internal server error: ${error}\n`);
  }
  return overall(root, call, checks);
}

async function overall(root: string, call: Call, checks: HealthCheck[]): Promise<Result> {
  const excluded = new Set(call.query.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const check of checks) {
    if (excluded.delete(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
      continue;
    }
    const error = await failure(check);
    failed ||= error !== undefined;
    lines.push(error === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: reason withheld`);
  }
  if (excluded.size > 0)
    lines.push(
      `warn: some health checks cannot be excluded: no matches for ${[...excluded].map((e) => JSON.stringify(e)).join(', ')}`,
    );
  if (failed) return text(500, `${lines.join('\n')}\n${root} check failed\n`);
  return text(200, call.query.has('verbose') ? `${lines.join('\n')}\n${root} check passed\n` : 'ok');
}

async function failure({ check }: HealthCheck): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
