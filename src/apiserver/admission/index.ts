/** The admission plugins that are always on, in upstream's order. */
import type { Store } from '../../store/store.js';
import { type Admission, createAdmission } from './admission.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';
import { nodeRestriction, taintNewNodes } from './nodes.js';
import { defaultTolerations, priority } from './pod-defaults.js';
import { priorityClassRules } from './priority-class.js';
import { serviceAccountPlugin } from './service-account.js';

export function builtInAdmission({ store }: { store: Store }): Admission {
  return createAdmission([
    namespaceLifecycle(store),
    serviceAccountPlugin(store),
    nodeRestriction(store),
    taintNewNodes,
    priority(store),
    priorityClassRules(store),
    defaultTolerations,
  ]);
}
