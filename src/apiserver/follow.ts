/** Keeps something up to date with what the store has below a prefix. */
import type { KubeObject } from '../api/machinery/types.js';
import { type Key, RevisionError, type Store } from '../store/store.js';

export type Changed = (key: Key, object: KubeObject | undefined) => void;

/**
 * Tells `changed` of every object below `prefix` before it resolves, and of every change after that until `closing`:
 * with undefined of one that is gone. `done` resolves when it has ended; it rejects when the store can't go on.
 */
export async function follow(
  store: Store,
  prefix: string,
  changed: Changed,
  closing: AbortSignal,
): Promise<{ done: Promise<void> }> {
  const known = new Set<Key>();
  const list = async () => {
    const { items, revision } = await store.list(prefix);
    const found = new Set(items.map(({ key }) => key));
    for (const key of known) if (!found.has(key)) changed(key, undefined);
    known.clear();
    for (const { key, object } of items) {
      known.add(key);
      changed(key, object);
    }
    return store.watch(prefix, revision);
  };
  let watcher = await list();
  const run = async () => {
    try {
      while (!closing.aborted) {
        try {
          for (const { type, stored } of await watcher.next(closing)) {
            if (type === 'DELETED') known.delete(stored.key);
            else known.add(stored.key);
            changed(stored.key, type === 'DELETED' ? undefined : stored.object);
          }
        } catch (error) {
          if (!(error instanceof RevisionError)) throw error;
          watcher.close();
          watcher = await list();
        }
      }
    } finally {
      watcher.close();
    }
  };
  return { done: run() };
}
