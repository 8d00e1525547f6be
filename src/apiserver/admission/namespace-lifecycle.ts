/** NamespaceLifecycle: nothing new in a namespace that is missing or ending; the cluster's own namespaces stay. */
import { notFound, StatusError } from '../../api/machinery/status.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

const PROTECTED = new Set(['default', 'kube-system', 'kube-public']);

export function namespaceLifecycle(store: Store): AdmissionPlugin {
  const check = (request: AdmissionRequest) => {
    const { operation, resource, namespace, name, subresource } = request;
    if (resource.group === '' && resource.plural === 'namespaces') {
      if (operation === 'DELETE' && subresource === '' && PROTECTED.has(name))
        throw refuse(request, 'this namespace may not be deleted');
      return;
    }
    if (!resource.namespaced || operation !== 'CREATE') return;
    const stored = store.get(`core/namespaces//${namespace}`);
    if (!stored) throw notFound({ group: '', resource: 'namespaces' }, namespace);
    if (stored.object.metadata.deletionTimestamp) throw terminating(request, namespace);
  };
  return { name: 'NamespaceLifecycle', admit: check, validate: check };
}

function terminating(request: AdmissionRequest, namespace: string): StatusError {
  const error = refuse(
    request,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  return new StatusError(error.code, error.reason, error.message, {
    ...error.details,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  });
}
