/** The core of the API server: answers a request whatever protocol it came by. */

import type { Resource } from '../api/resources/define.js';
import type { Attributes } from '../auth/user.js';
import type { Call, Context, Deps, Result } from './context.js';
import { convertingStore } from './conversion.js';
import { authorize } from './filters/authorize.js';
import { impersonated } from './filters/impersonate.js';
import { requestInfo } from './filters/request-info.js';
import { isServed, route } from './handlers/router.js';
import { keyOf } from './keys.js';
import type { NonResource } from './nonresource/index.js';

export interface Answer {
  result: Result;
  /** Of the resource that the request was about, if any. */
  resource: Resource | undefined;
  attributes: Attributes;
  warnings: string[];
}

export const codeOf = ({ result }: Answer): number =>
  result.type === 'object' || result.type === 'raw' ? result.code : 200;

/** What happens to a request on its way; each may throw, which ends it. */
export interface Steps {
  /** It is known whom the request is from, by which constraint of impersonation, and what it is about. */
  identified?(attributes: Attributes, constraint?: string): unknown;
  /** It is allowed. */
  authorized?(reason: string): void;
  /** Admission has something for the audit log. */
  annotated?(key: string, value: string): void;
  /** Its handler is known. */
  routed?(attributes: Attributes, resource: Resource): void;
}

/** Authorizes and handles `call`. Rejects with StatusError. */
export async function handle(
  deps: Deps,
  nonResource: NonResource,
  call: Call,
  steps: Steps = {},
): Promise<Answer> {
  const { user, constraint } = await impersonated(deps.authorizer, call);
  const attributes: Attributes = { ...requestInfo(call.method, call.path, call.query), user };
  await steps.identified?.(attributes, constraint);
  const reason = await authorize(deps.authorizer, attributes);
  steps.authorized?.(reason);
  if (deps.aggregator?.claims(call.path)) {
    const result = await deps.aggregator.proxy({ ...call, user });
    return { result, resource: undefined, attributes, warnings: [] };
  }
  if (!attributes.isResource || !isServed(attributes, deps.store)) {
    const result = await nonResource(call);
    return { result, resource: undefined, attributes, warnings: [] };
  }
  const { resource, handler } = route(attributes, deps.store);
  steps.routed?.(attributes, resource);
  const own = await partsFor(deps, resource, attributes);
  const ctx: Context = {
    ...deps,
    ...own,
    call: { ...call, user },
    attributes,
    resource,
    warnings: [],
    ...(steps.annotated && { annotate: steps.annotated }),
  };
  if (resource.custom && resource.deprecation) ctx.warnings.push(resource.deprecation);
  const result = await handler(ctx);
  return { result, resource, attributes, warnings: ctx.warnings };
}

/** What of the server a resource sees in a way of its own. */
async function partsFor(
  deps: Deps,
  resource: Resource,
  { verb, namespace, name }: Attributes,
): Promise<Partial<Pick<Deps, 'store' | 'closing'>>> {
  if (resource.conversion)
    return { store: convertingStore(deps.store, resource.apiVersion, resource.conversion) };
  if (!resource.custom) return {};
  const { extensions } = deps;
  const store = await extensions.storeOf(
    resource,
    name === '' ? undefined : keyOf(resource, namespace, name),
  );
  if (verb !== 'watch') return { store };
  return { store, closing: AbortSignal.any([deps.closing, extensions.retired(resource)]) };
}
