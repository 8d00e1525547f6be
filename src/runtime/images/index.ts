/** Images of a node: names, pulling, importing, unpacked layers. */
import { type ImageStoreOptions, LocalImageStore } from './store.js';

export { ensureBuiltinImages } from './builtin.js';
export { parseReference, type Reference } from './reference.js';
export type { ImageStoreOptions, LocalImageStore } from './store.js';

/** Opens the store and removes what a killed pull left. */
export async function openImageStore(options: ImageStoreOptions): Promise<LocalImageStore> {
  const store = new LocalImageStore(options);
  await store.prepare();
  return store;
}
