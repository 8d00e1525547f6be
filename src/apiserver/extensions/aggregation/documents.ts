/** What other servers say of their own group versions: discovery in its aggregated form, and OpenAPI v3. */
import type { Backend } from '../../proxy/backend.js';
import { NO_PART, type PartV2, partOf } from './openapi-v2.js';
import { fetchDocument } from './remote.js';

const TIMEOUT_MS = 5000;
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** A resource as `APIGroupDiscoveryList` has it. */
export type DiscoveredResource = Record<string, unknown> & { resource: string };

/** Rejects when the server has no such document. */
export async function discover(
  backend: Backend,
  group: string,
  version: string,
): Promise<DiscoveredResource[]> {
  const apis = await fetchDocument(backend, '/apis', `${AGGREGATED},application/json`, TIMEOUT_MS);
  if (apis.code === 200 && apis.contentType.includes('as=APIGroupDiscoveryList')) {
    const list = JSON.parse(apis.body.toString());
    const found = list.items
      ?.find((item: any) => item.metadata?.name === group)
      ?.versions?.find((v: any) => v.version === version);
    if (found) return found.resources ?? [];
  }
  const path = `/apis/${group}/${version}`;
  const { code, body } = await fetchDocument(backend, path, 'application/json', TIMEOUT_MS);
  if (code !== 200) throw new Error(`failed to download discovery for ${path}: ${code}`);
  return converted(JSON.parse(body.toString()).resources ?? [], group, version);
}

/** From the form before it, an `APIResourceList`. */
export function converted(listed: any[], group: string, version: string): DiscoveredResource[] {
  const kindOf = (entry: any) => ({
    group: entry.group ?? group,
    version: entry.version ?? version,
    kind: entry.kind,
  });
  const found = new Map<string, any>();
  for (const entry of listed.filter(({ name }) => !name.includes('/')))
    found.set(entry.name, {
      resource: entry.name,
      responseKind: kindOf(entry),
      scope: entry.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: entry.singularName ?? '',
      verbs: entry.verbs ?? [],
      ...(entry.shortNames ? { shortNames: entry.shortNames } : {}),
      ...(entry.categories ? { categories: entry.categories } : {}),
    });
  for (const entry of listed) {
    const [name, subresource] = entry.name.split('/');
    const parent = found.get(name);
    if (!parent || subresource === undefined) continue;
    parent.subresources ??= [];
    parent.subresources.push({ subresource, responseKind: kindOf(entry), verbs: entry.verbs ?? [] });
  }
  return [...found.values()];
}

/** Paths with the URLs of their documents, as the server's `/openapi/v3` has them for this group version. */
export async function openapiPaths(
  backend: Backend,
  group: string,
  version: string,
): Promise<Record<string, { serverRelativeURL: string }>> {
  const { code, body } = await fetchDocument(backend, '/openapi/v3', 'application/json', TIMEOUT_MS);
  if (code !== 200) return {};
  const { paths = {} } = JSON.parse(body.toString());
  const own = `apis/${group}/${version}`;
  return paths[own] ? { [own]: paths[own] } : {};
}

/** What the server's `/openapi/v2` says of this group version; nothing where it has no such document. */
export async function openapiV2(backend: Backend, group: string, version: string): Promise<PartV2> {
  const { code, body } = await fetchDocument(backend, '/openapi/v2', 'application/json', TIMEOUT_MS);
  return code === 200 ? partOf(JSON.parse(body.toString()), group, version) : NO_PART;
}
