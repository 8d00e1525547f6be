/**
 * ServiceAccount: gives each pod an account, its pull secrets, and a projected token volume.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
import type { Container, Pod, ServiceAccount, Volume } from '#types';
import { notFound } from '../../api/machinery/status.js';
import { deepCopy } from '../../api/machinery/types.js';
import { randomSuffix } from '../../client/names.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';

const PREFIX = 'kube-api-access-';
const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const MIRROR = 'kubernetes.io/config.mirror';
/** A namespace's default account comes a moment after the namespace: so long a pod waits for it. */
const WAIT_MS = 1000;

export function serviceAccountPlugin(store: Store): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    async admit(request) {
      if (request.resource.plural !== 'pods' || request.resource.group !== '') return;
      if (request.operation !== 'CREATE' || request.subresource !== '') return;
      const pod = request.object as unknown as Pod;
      if (pod.metadata?.annotations?.[MIRROR] !== undefined || !pod.spec) return;
      pod.spec.serviceAccountName ||= pod.spec.serviceAccount || 'default';
      pod.spec.serviceAccount = pod.spec.serviceAccountName;
      const account = await findAccount(store, request, pod.spec.serviceAccountName);
      if (pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true)
        mountToken(pod);
      if (!pod.spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
        pod.spec.imagePullSecrets = deepCopy(account.imagePullSecrets);
    },
  };
}

async function findAccount(store: Store, request: AdmissionRequest, name: string): Promise<ServiceAccount> {
  const { namespace } = request;
  const key = `core/serviceaccounts/${namespace}/${name}`;
  const found = store.get(key) ?? (name === 'default' ? await appears(store, key) : undefined);
  if (found) return found.object as unknown as ServiceAccount;
  const missing = notFound({ group: '', resource: 'serviceaccount' }, name);
  throw refuse(request, `error looking up service account ${namespace}/${name}: ${missing.message}`);
}

/** Waits a little for a key to be written. */
async function appears(store: Store, key: string) {
  const watcher = store.watch(key, store.revision);
  const signal = AbortSignal.timeout(WAIT_MS);
  try {
    while (!signal.aborted) {
      const stored = store.get(key);
      if (stored) return stored;
      await watcher.next(signal);
    }
    return store.get(key);
  } finally {
    watcher.close();
  }
}

/** Mounts the account's token, the CA and the namespace's name in every container that has nothing there yet. */
function mountToken(pod: Pod): void {
  const spec = pod.spec!;
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(PREFIX));
  const name = existing?.name ?? `${PREFIX}${randomSuffix()}`;
  let needed = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers])
    needed = addMount(container, name) || needed;
  if (needed && !existing) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

function addMount(container: Container, name: string): boolean {
  if (container.volumeMounts?.some((mount) => mount.mountPath === MOUNT_PATH)) return false;
  container.volumeMounts = [
    ...(container.volumeMounts ?? []),
    { name, readOnly: true, mountPath: MOUNT_PATH },
  ];
  return true;
}

const tokenVolume = (name: string): Volume => ({
  name,
  projected: {
    sources: [
      // A second above the hour tells the issuer that nobody asked for this life time.
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
    defaultMode: 0o644,
  },
});
