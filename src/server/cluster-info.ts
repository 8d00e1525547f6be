/**
 * The ConfigMap `cluster-info` of kube-public: where the API is and its CA, for whoever only has a bootstrap token.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#configmap-signing
 */
import { stringify } from 'yaml';
import type { ConfigMap } from '#types';
import { isReason } from '../api/machinery/status.js';
import { configMaps, roleBindings, roles } from '../api/resources/index.js';
import type { Client } from '../client/client.js';

const NAMESPACE = 'kube-public';
const NAME = 'cluster-info';
const ROLE = 'keelson:cluster-info';
const GROUP = 'rbac.authorization.k8s.io';

/** Makes it, or brings it up to date; anybody may read it. */
export async function ensureClusterInfo(client: Client, server: string, caCert: string): Promise<void> {
  const ca = Buffer.from(caCert).toString('base64');
  const kubeconfig = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: '', cluster: { 'certificate-authority-data': ca, server } }],
    contexts: null,
    'current-context': '',
    preferences: {},
    users: null,
  });
  const of = client.of(configMaps);
  const metadata = { name: NAME, namespace: NAMESPACE };
  const made = await ifMissing(
    of.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { kubeconfig } } as ConfigMap),
  );
  if (!made && (await of.get(NAMESPACE, NAME)).data?.['kubeconfig'] !== kubeconfig)
    await of.patch(NAMESPACE, NAME, { data: { kubeconfig } }, { type: 'merge' });
  const role = { ...metadata, name: ROLE };
  const rules = [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [NAME], verbs: ['get'] }];
  await ifMissing(
    client.of(roles).create({ apiVersion: `${GROUP}/v1`, kind: 'Role', metadata: role, rules } as never),
  );
  await ifMissing(
    client.of(roleBindings).create({
      apiVersion: `${GROUP}/v1`,
      kind: 'RoleBinding',
      metadata: role,
      roleRef: { apiGroup: GROUP, kind: 'Role', name: ROLE },
      subjects: [{ apiGroup: GROUP, kind: 'User', name: 'system:anonymous' }],
    } as never),
  );
}

/** Whether it was made; false: it is there already. */
async function ifMissing(creation: Promise<unknown>): Promise<boolean> {
  try {
    await creation;
    return true;
  } catch (error) {
    if (isReason(error, 'AlreadyExists')) return false;
    throw error;
  }
}
