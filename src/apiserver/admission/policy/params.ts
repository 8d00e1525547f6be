/** The parameters that a binding gives its policy. */
import type { ParamKind, ParamRef } from '#types';
import { labelSelector } from '../../../api/machinery/selectors.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { Resource } from '../../../api/resources/define.js';
import { findKind } from '../../../api/resources/index.js';
import type { Store } from '../../../store/store.js';
import type { ConversionWebhook } from '../../extensions/convert.js';
import { CustomStore } from '../../extensions/custom-store.js';
import { listCustomResources } from '../../extensions/definitions.js';
import { keyOf, prefixOf } from '../../keys.js';

/** What is wrong with a policy or binding; `failurePolicy` says what that means. */
export class ConfigurationError extends Error {}

/** The resource of a policy's parameters; undefined where it has none. Throws ConfigurationError for an unknown kind. */
export async function paramResource(
  store: Store,
  kind: ParamKind | undefined,
): Promise<Resource | undefined> {
  if (!kind) return undefined;
  const { apiVersion = '', kind: name = '' } = kind;
  const resource =
    findKind(apiVersion, name) ??
    (await listCustomResources(store)).find((each) => each.apiVersion === apiVersion && each.kind === name);
  if (!resource)
    throw new ConfigurationError(
      `failed to find resource referenced by paramKind: '${apiVersion.includes('/') ? '' : '/'}${apiVersion}, Kind=${name}'`,
    );
  return resource;
}

/** One evaluation for each: `undefined` is one without parameters. Throws ConfigurationError. */
export async function collectParams(
  { store: base, convert }: { store: Store; convert: ConversionWebhook },
  resource: Resource | undefined,
  ref: ParamRef | undefined,
  requestNamespace: string,
): Promise<(KubeObject | undefined)[]> {
  if (!resource || !ref) return [undefined];
  if (ref.namespace && !resource.namespaced)
    throw new ConfigurationError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  const namespace = resource.namespaced ? ref.namespace || requestNamespace : '';
  if (resource.namespaced && namespace === '')
    throw new ConfigurationError(
      'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    );
  const { custom } = resource;
  const view = custom && new CustomStore(base, resource, custom, convert);
  if (ref.name) await view?.prime(keyOf(resource, namespace, ref.name));
  const store = view ?? base;
  const found = ref.name
    ? [store.get(keyOf(resource, namespace, ref.name))?.object].filter((each) => each !== undefined)
    : (await selected(store, resource, namespace, ref)).map(({ object }) => object);
  if (found.length === 0 && ref.parameterNotFoundAction === 'Deny')
    throw new ConfigurationError('no params found for policy binding with `Deny` parameterNotFoundAction');
  const { conversion } = resource;
  return conversion ? found.map((each) => conversion.fromStored(each)) : found;
}

async function selected(store: Store, resource: Resource, namespace: string, { selector }: ParamRef) {
  const wanted = labelSelector(selector);
  const { items } = await store.list(prefixOf(resource, namespace));
  return items.filter(({ object }) => wanted.matches(object.metadata.labels));
}
