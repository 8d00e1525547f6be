/** Which kinds are declared at run time: read from the store, where their definitions are. */
import type { CustomResourceDefinition } from '#types';
import { type CustomDefinition, definitionOf } from '../../api/extensions/custom-resource.js';
import type { Resource } from '../../api/resources/define.js';
import type { Store } from '../../store/store.js';

export const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions//';

/** The definition of a group's kind by its plural; undefined if there is none that is established. */
export function findDefinition(store: Store, group: string, plural: string): CustomDefinition | undefined {
  if (group === '') return undefined;
  const stored = store.get(`${DEFINITIONS}${plural}.${group}`);
  return stored && definitionOf(stored.object as unknown as CustomResourceDefinition);
}

/** A version that is served. */
export function findCustomResource(
  store: Store,
  group: string,
  version: string,
  plural: string,
): Resource | undefined {
  const definition = findDefinition(store, group, plural);
  return definition?.served.find((resource) => resource.version === version);
}

/** All definitions that are established, by name. */
export async function listDefinitions(store: Store): Promise<CustomDefinition[]> {
  const { items } = await store.list(DEFINITIONS);
  return items.flatMap(({ object }) => definitionOf(object as unknown as CustomResourceDefinition) ?? []);
}

/** Every version that is served. */
export async function listCustomResources(store: Store): Promise<Resource[]> {
  return (await listDefinitions(store)).flatMap(({ served }) => served);
}
