/** Keys of the store for the objects of a resource. */
import type { KubeObject } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import type { Key } from '../store/store.js';

type Named = Pick<Resource, 'group' | 'plural' | 'namespaced' | 'conversion'>;

/** The prefix of a resource's keys, in one namespace or ('' ) in all. */
export function prefixOf(resource: Named, namespace: string): string {
  const group = resource.conversion?.storedGroup ?? resource.group;
  const root = `${group === '' ? 'core' : group}/${resource.plural}/`;
  if (!resource.namespaced) return `${root}/`;
  return namespace === '' ? root : `${root}${namespace}/`;
}

export function keyOf(resource: Named, namespace: string, name: string): Key {
  return prefixOf(resource, resource.namespaced ? namespace : '') + name;
}

export function keyOfObject(resource: Named, object: KubeObject): Key {
  return keyOf(resource, object.metadata.namespace ?? '', object.metadata.name ?? '');
}
