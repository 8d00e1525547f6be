/** The namespace of a request as expressions see it. */
import { notFound } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { Store } from '../../../store/store.js';
import type { AdmissionRequest } from '../admission.js';

/** Undefined for what is in none, and for namespaces themselves. Throws 404 where it is gone. */
export function namespaceOf(store: Store, { namespace, resource }: AdmissionRequest): KubeObject | undefined {
  if (namespace === '' || (resource.group === '' && resource.plural === 'namespaces')) return undefined;
  const stored = store.get(`core/namespaces//${namespace}`);
  if (!stored) throw notFound({ group: '', resource: 'namespaces' }, namespace);
  return stored.object;
}
