/** From events of children to the keys of those that control them: the handlers every workload controller has. */
import type { LabelSelector } from '#types';
import { labelSelector } from '../api/machinery/selectors.js';
import { type KubeObject, objectKey } from '../api/machinery/types.js';
import type { Informer } from '../client/index.js';
import { controllerOf } from './owners.js';

export interface ChildEvents<O extends KubeObject, T extends KubeObject> {
  parents: Informer<O>;
  parentKind: string;
  /** Where a parent has the selector of its children; `spec.selector` when absent. */
  selectorOf?(parent: O): LabelSelector | undefined;
  children: Informer<T>;
  enqueue(key: string): void;
  /** Before `enqueue`: a child came. */
  created?(key: string): void;
  /** Before `enqueue`: a child is on its way out (its deletion time is set) or gone. */
  deleted?(key: string, child: T): void;
}

/** Subscribes to the children; returns what unsubscribes. */
export function onChildren<O extends KubeObject, T extends KubeObject>(
  options: ChildEvents<O, T>,
): () => void {
  const { parents, parentKind, children, enqueue } = options;

  /** The parent that a child names, if it is still that one. */
  const parentKey = (child: T): string | undefined => {
    const ref = controllerOf(child);
    if (ref === undefined || ref.kind !== parentKind) return undefined;
    const { namespace } = child.metadata;
    const key = namespace ? `${namespace}/${ref.name}` : ref.name;
    return parents.get(key)?.metadata.uid === ref.uid ? key : undefined;
  };

  /** An orphan may be adopted by any parent whose selector matches. */
  const enqueueMatching = (orphan: T): void => {
    for (const parent of parents.byIndex('namespace', orphan.metadata.namespace ?? '')) {
      const selector = options.selectorOf ? options.selectorOf(parent) : parent['spec'].selector;
      if (selector && labelSelector(selector).matches(orphan.metadata.labels ?? {}))
        enqueue(objectKey(parent));
    }
  };

  const deleted = (child: T): void => {
    const key = parentKey(child);
    if (key === undefined) return;
    options.deleted?.(key, child);
    enqueue(key);
  };

  const alive = (child: T, old: T | undefined): void => {
    const key = parentKey(child);
    if (key !== undefined) {
      if (old === undefined) options.created?.(key);
      enqueue(key);
    } else if (controllerOf(child) === undefined && !(old && sameClaim(old, child))) enqueueMatching(child);
  };

  const added = (child: T): void => {
    if (child.metadata.deletionTimestamp !== undefined) deleted(child);
    else alive(child, undefined);
  };

  const updated = (old: T, child: T): void => {
    if (controllerOf(old)?.uid !== controllerOf(child)?.uid) {
      const key = parentKey(old);
      if (key !== undefined) enqueue(key);
    }
    if (child.metadata.deletionTimestamp !== undefined) deleted(child);
    else alive(child, old);
  };

  return children.on({ added, updated, deleted });
}

/** Whether the same parents may want the child as before. */
function sameClaim(a: KubeObject, b: KubeObject): boolean {
  if (controllerOf(a)?.uid !== controllerOf(b)?.uid) return false;
  const left = a.metadata.labels ?? {};
  const right = b.metadata.labels ?? {};
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}

/** The informer index behind "all of one namespace". */
export function namespaceIndex(object: KubeObject): string[] {
  return [object.metadata.namespace ?? ''];
}
