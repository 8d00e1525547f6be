/**
 * Access to devices that others have is for namespaces whose owner may give it (KEP-5018).
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#admin-access
 */
import type { DeviceClaim } from '#types';
import { forbidden } from '../../api/machinery/field.js';
import { invalid } from '../../api/machinery/status.js';
import type { Store } from '../../store/store.js';
import type { AdmissionPlugin } from './admission.js';

const LABEL = 'resource.kubernetes.io/admin-access';
const MESSAGE = `admin access to devices requires the \`${LABEL}: true\` label on the containing namespace`;

/** Where the specification of a claim is. */
const PATHS: Record<string, string> = {
  resourceclaims: 'spec.devices.requests',
  resourceclaimtemplates: 'spec.spec.devices.requests',
};

export function adminAccess(store: Store): AdmissionPlugin {
  return {
    name: 'DRAAdminAccess',
    validate({ operation, resource, subresource, namespace, name, object }) {
      const path = resource.group === 'resource.k8s.io' && PATHS[resource.plural];
      if (!path || operation !== 'CREATE' || subresource !== '') return;
      const spec = resource.plural === 'resourceclaims' ? object?.['spec'] : object?.['spec']?.spec;
      const { requests = [] }: DeviceClaim = spec?.devices ?? {};
      const errors = requests.flatMap(({ exactly }, i) =>
        exactly?.adminAccess ? [forbidden(`${path}[${i}].exactly.adminAccess`, MESSAGE)] : [],
      );
      if (errors.length === 0) return;
      const labels = store.get(`core/namespaces//${namespace}`)?.object.metadata.labels;
      if (labels?.[LABEL] !== 'true') throw invalid(resource.group, resource.kind, name, errors);
    },
  };
}
