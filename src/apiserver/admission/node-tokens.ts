/**
 * Tokens that nodes ask for: bound to a pod of theirs, and for an audience that this pod has use of or that the node may
 * ask for by the verb `request-serviceaccounts-token-audience` (KEP-4412).
 */
import type { CSIDriver, PersistentVolume, PersistentVolumeClaim, Pod, TokenRequest, Volume } from '#types';
import { claimNameOf } from '../../api/storage/pod-claims.js';
import type { Authorizer } from '../../auth/user.js';
import type { Store } from '../../store/store.js';
import { type AdmissionRequest, refuse } from './admission.js';

export async function restrictToken(
  store: Store,
  authorizer: Authorizer,
  request: AdmissionRequest,
  node: string,
): Promise<void> {
  const { spec } = request.object as unknown as TokenRequest;
  const ref = spec?.boundObjectRef;
  if (ref?.kind !== 'Pod' || !ref.name) throw refuse(request, 'node requested token not bound to a pod');
  const pod = read<Pod>(store, `core/pods/${request.namespace}/${ref.name}`);
  if (ref.uid && pod?.metadata?.uid !== ref.uid)
    throw refuse(
      request,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod?.spec?.nodeName !== node)
    throw refuse(request, 'node requested token bound to a pod scheduled on a different node');
  const [audience = '', ...more] = spec?.audiences ?? [];
  if (more.length > 0) throw refuse(request, 'node may only request 0 or 1 audiences');
  if (audiencesOf(store, pod).has(audience) || (await mayAsk(authorizer, request, audience))) return;
  throw refuse(
    request,
    `audience ${JSON.stringify(audience)} not found in pod spec volume, ${request.user.name} is not authorized to request tokens for this audience`,
  );
}

const read = <T>(store: Store, key: string): T | undefined =>
  store.get(key)?.object as unknown as T | undefined;

/** Those that its volumes and the drivers of these ask for; '' is that of the API server. */
function audiencesOf(store: Store, pod: Pod): Set<string> {
  const found = new Set<string>();
  for (const volume of pod.spec?.volumes ?? []) {
    for (const { serviceAccountToken } of volume.projected?.sources ?? [])
      if (serviceAccountToken) found.add(serviceAccountToken.audience ?? '');
    const driver = driverOf(store, pod, volume);
    if (!driver) continue;
    const requests = read<CSIDriver>(store, `storage.k8s.io/csidrivers//${driver}`)?.spec.tokenRequests ?? [];
    for (const { audience } of requests) found.add(audience);
  }
  return found;
}

function driverOf(store: Store, pod: Pod, volume: Volume): string | undefined {
  if (volume.csi) return volume.csi.driver;
  const claim = claimNameOf(pod, volume);
  if (!claim) return undefined;
  const key = `core/persistentvolumeclaims/${pod.metadata.namespace}/${claim}`;
  const name = read<PersistentVolumeClaim>(store, key)?.spec?.volumeName;
  return name
    ? read<PersistentVolume>(store, `core/persistentvolumes//${name}`)?.spec?.csi?.driver
    : undefined;
}

async function mayAsk(
  authorizer: Authorizer,
  { user, namespace, name }: AdmissionRequest,
  audience: string,
): Promise<boolean> {
  const answer = await authorizer.authorize({
    ...{ user, verb: 'request-serviceaccounts-token-audience', isResource: true },
    ...{ group: '', version: 'v1', resource: audience, subresource: '', namespace, name, path: '' },
  });
  return answer.decision === 'allow';
}
