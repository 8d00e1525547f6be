/** PriorityClasses: one default at most, and the system's stay. */
import { forbidden } from '../../api/machinery/status.js';
import { systemPriorityClasses } from '../../api/resources/scheduling/priority-class.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

const CLASSES = 'scheduling.k8s.io/priorityclasses//';
const GROUP_RESOURCE = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };

export function priorityClassRules(store: Store): AdmissionPlugin {
  return {
    name: 'Priority',
    async validate(request) {
      const { resource, operation, name } = request;
      if (resource.group !== GROUP_RESOURCE.group || resource.plural !== GROUP_RESOURCE.resource) return;
      if (operation === 'DELETE' && systemPriorityClasses.some(({ metadata }) => metadata.name === name))
        throw forbidden(GROUP_RESOURCE, name, 'this is a system priority class and cannot be deleted');
      if (operation !== 'DELETE' && request.object?.['globalDefault']) await checkOnly(store, request);
    },
  };
}

async function checkOnly(store: Store, request: AdmissionRequest): Promise<void> {
  const { items } = await store.list(CLASSES);
  const other = items.find(
    ({ object }) => object['globalDefault'] && object.metadata.name !== request.object?.metadata.name,
  );
  if (other !== undefined)
    throw refuse(
      request,
      `PriorityClass ${other.object.metadata.name} is already marked as default. Only one default can exist`,
    );
}
