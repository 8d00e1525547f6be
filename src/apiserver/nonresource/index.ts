/** Paths that are not of resources: discovery, health, version, OpenAPI, metrics. */
import { methodNotAllowed } from '../../api/machinery/status.js';
import type { ServiceAccountTokens } from '../../auth/tokens/service-account.js';
import type { Store } from '../../store/store.js';
import type { Call, Result } from '../context.js';
import type { Aggregator } from '../extensions/aggregation/aggregator.js';
import { discovery } from './discovery.js';
import { type HealthCheck, health } from './health.js';
import { openapi } from './openapi.js';
import { openid } from './openid.js';
import { versionInfo } from './version.js';

/** Answers a non-resource request; rejects with StatusError. */
export type NonResource = (call: Call) => Promise<Result>;

export interface NonResourceOptions {
  version: string;
  /** Name → check; each throws what is wrong. */
  checks: HealthCheck[];
  tokens: ServiceAccountTokens | undefined;
  /** By the name behind `/keelson/`. */
  operations: Record<string, () => Promise<object>>;
  /** Where kinds that are declared at run time are found. */
  store: Store;
  metrics(): Promise<{ contentType: string; text: string }>;
  /** Tells of other servers' group versions. */
  aggregator?: Aggregator;
  /** Texts for whoever looks for a cause, by path. */
  debug?: Record<string, () => string>;
}

/** What upstream's mux says to a path that nobody serves. */
const NOT_FOUND: Result = {
  type: 'raw',
  code: 404,
  headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
  body: '404 page not found\n',
};

export function createNonResource(options: NonResourceOptions): NonResource {
  const { version, checks, tokens, operations, metrics, aggregator, store, debug = {} } = options;
  return async (call) => {
    const path = call.path.length > 1 ? call.path.replace(/\/+$/, '') : call.path;
    if (path === '/version') return json(versionInfo(version));
    if (path.startsWith(OPERATIONS)) return operate(call, operations, path.slice(OPERATIONS.length));
    if (Object.hasOwn(debug, path)) return plain(debug[path]!());
    if (path === '/metrics') {
      const { contentType, text } = await metrics();
      return { type: 'raw', code: 200, headers: { 'content-type': contentType }, body: text };
    }
    return (
      (await health(path, call, checks)) ??
      (await discovery(path, call, store, aggregator)) ??
      openid(path, tokens) ??
      (await openapi(path, call, store, aggregator)) ??
      NOT_FOUND
    );
  };
}

const plain = (body: string): Result => ({
  type: 'raw',
  code: 200,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body,
});

const OPERATIONS = '/keelson/';

async function operate(
  { method }: Call,
  operations: Record<string, () => Promise<object>>,
  name: string,
): Promise<Result> {
  const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
  if (!operation) return NOT_FOUND;
  if (method !== 'POST') throw methodNotAllowed('only POST is allowed on this path');
  return json(await operation());
}

export function json(value: unknown, code = 200): Result {
  return {
    type: 'raw',
    code,
    headers: { 'content-type': 'application/json' },
    body: `${JSON.stringify(value, null, 2)}\n`,
  };
}
