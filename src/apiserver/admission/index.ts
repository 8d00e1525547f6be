/** The admission plugins that are always on, in upstream's order. */
import type { Store } from '../../store/store.js';
import { type Admission, createAdmission } from './admission.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';

export function builtInAdmission({ store }: { store: Store }): Admission {
  return createAdmission([namespaceLifecycle(store)]);
}
