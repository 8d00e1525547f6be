/**
 * The ClusterRoles that every cluster has.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */
import type { ClusterRole } from '#types';
import { allow, allowGet, clusterRole, defaultMeta, EVENTS, READ, WRITE } from './rule.js';

const AUTHENTICATION = 'authentication.k8s.io';
const AUTHORIZATION = 'authorization.k8s.io';
const CERTIFICATES = 'certificates.k8s.io';
const CSR = 'certificatesigningrequests';
const LEASES = 'coordination.k8s.io';
const STORAGE = 'storage.k8s.io';
const INFO = '/healthz /livez /readyz /version /version/';

const aggregateTo = (role: string) => ({ [`rbac.authorization.k8s.io/aggregate-to-${role}`]: 'true' });

/** A role that has the rules of all roles labelled for it. */
const gathering = (name: string, labels: Record<string, string> = {}): ClusterRole => ({
  ...clusterRole(name, []),
  metadata: defaultMeta(name, labels),
  aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregateTo(name) }] },
});

const EXEC = 'pods/attach pods/exec pods/portforward pods/proxy';

const forUsers = (): ClusterRole[] => [
  clusterRole('cluster-admin', [allow('*', '*', '*'), { nonResourceURLs: ['*'], verbs: ['*'] }]),
  gathering('admin'),
  gathering('edit', aggregateTo('admin')),
  gathering('view', aggregateTo('edit')),
  clusterRole(
    'system:aggregate-to-admin',
    [
      allow('create', AUTHORIZATION, 'localsubjectaccessreviews'),
      allow(`${READ} ${WRITE}`, 'rbac.authorization.k8s.io', 'rolebindings roles'),
    ],
    aggregateTo('admin'),
  ),
  clusterRole(
    'system:aggregate-to-edit',
    [
      allow(READ, 'core', `${EXEC} secrets services/proxy`),
      allow('impersonate', 'core', 'serviceaccounts'),
      allow(WRITE, 'core', `pods ${EXEC}`),
      allow('create', 'core', 'pods/eviction'),
      allow(
        WRITE,
        'core',
        'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
      ),
      allow('create', 'core', 'serviceaccounts/token'),
      allow(
        WRITE,
        'apps',
        'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
      ),
      allow(WRITE, 'autoscaling', 'horizontalpodautoscalers'),
      allow(WRITE, 'batch', 'cronjobs jobs'),
      allow(
        WRITE,
        'extensions',
        'daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale',
      ),
      allow(WRITE, 'policy', 'poddisruptionbudgets'),
      allow(WRITE, 'networking.k8s.io', 'ingresses networkpolicies'),
      allow(`${READ} ${WRITE}`, LEASES, 'leases'),
    ],
    aggregateTo('edit'),
  ),
  clusterRole(
    'system:aggregate-to-view',
    [
      allow(
        READ,
        'core',
        'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
      ),
      allow(
        READ,
        'core',
        'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
      ),
      allow(READ, 'core', 'namespaces'),
      allow(READ, 'discovery.k8s.io', 'endpointslices'),
      allow(
        READ,
        'apps',
        'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
      ),
      allow(READ, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
      allow(READ, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
      allow(
        READ,
        'extensions',
        'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale',
      ),
      allow(READ, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
      allow(READ, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
    ],
    aggregateTo('view'),
  ),
];

const forEverybody = (): ClusterRole[] => [
  clusterRole('system:basic-user', [
    allow('create', AUTHORIZATION, 'selfsubjectaccessreviews selfsubjectrulesreviews'),
    allow('create', AUTHENTICATION, 'selfsubjectreviews'),
  ]),
  clusterRole('system:discovery', [allowGet(`/api /api/* /apis /apis/* /openapi /openapi/* ${INFO}`)]),
  clusterRole('system:public-info-viewer', [allowGet(INFO)]),
  clusterRole('system:monitoring', [
    allowGet('/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*'),
  ]),
  clusterRole('system:service-account-issuer-discovery', [
    allowGet('/.well-known/openid-configuration /openid/v1/jwks'),
  ]),
  clusterRole('system:auth-delegator', [
    allow('create', AUTHENTICATION, 'tokenreviews'),
    allow('create', AUTHORIZATION, 'subjectaccessreviews'),
  ]),
];

const approver = (name: string): ClusterRole =>
  clusterRole(`system:certificates.k8s.io:${name}-approver`, [
    allow('approve', CERTIFICATES, 'signers', `kubernetes.io/${name}`),
  ]);

const forCertificates = (): ClusterRole[] => [
  ...['nodeclient', 'selfnodeclient'].map((kind) =>
    clusterRole(`system:certificates.k8s.io:certificatesigningrequests:${kind}`, [
      allow('create', CERTIFICATES, `${CSR}/${kind}`),
    ]),
  ),
  ...['kube-apiserver-client', 'kube-apiserver-client-kubelet', 'kubelet-serving', 'legacy-unknown'].map(
    approver,
  ),
];

const forNodes = (): ClusterRole[] => [
  clusterRole('system:node', [
    allow('create', AUTHENTICATION, 'tokenreviews'),
    allow('create', AUTHORIZATION, 'localsubjectaccessreviews subjectaccessreviews'),
    allow(READ, 'core', 'services'),
    allow(`create ${READ}`, 'core', 'nodes'),
    allow('patch update', 'core', 'nodes/status'),
    allow('patch update', 'core', 'nodes'),
    allow('create patch update', 'core', 'events'),
    allow(READ, 'core', 'pods'),
    allow('create delete', 'core', 'pods'),
    allow('patch update', 'core', 'pods/status'),
    allow('create', 'core', 'pods/eviction'),
    allow(READ, 'core', 'configmaps secrets'),
    allow('get', 'core', 'persistentvolumeclaims persistentvolumes'),
    allow('get', 'core', 'endpoints'),
    allow(`create ${READ}`, CERTIFICATES, CSR),
    allow('create delete get patch update', LEASES, 'leases'),
    allow('get', STORAGE, 'volumeattachments'),
    allow('create', 'core', 'serviceaccounts/token'),
    allow('get patch update', 'core', 'persistentvolumeclaims/status'),
    allow(READ, STORAGE, 'csidrivers'),
    allow('create delete get patch update', STORAGE, 'csinodes'),
    allow(READ, 'node.k8s.io', 'runtimeclasses'),
  ]),
  clusterRole('system:node-bootstrapper', [allow(`create ${READ}`, CERTIFICATES, CSR)]),
  clusterRole('system:node-problem-detector', [
    allow('get', 'core', 'nodes'),
    allow('patch', 'core', 'nodes/status'),
    EVENTS,
  ]),
  clusterRole('system:node-proxier', [
    allow('list watch', 'core', 'endpoints services'),
    allow(READ, 'core', 'nodes'),
    EVENTS,
    allow('list watch', 'discovery.k8s.io', 'endpointslices'),
  ]),
  clusterRole('system:kubelet-api-admin', [
    allow(READ, 'core', 'nodes'),
    allow('proxy', 'core', 'nodes'),
    allow('*', 'core', 'nodes/log nodes/metrics nodes/proxy nodes/stats'),
  ]),
];

const delegation = () => [
  allow('create', AUTHENTICATION, 'tokenreviews'),
  allow('create', AUTHORIZATION, 'subjectaccessreviews'),
];

const leaderLease = (name: string) => [
  allow('create', LEASES, 'leases'),
  allow('get update', LEASES, 'leases', name),
];

const forComponents = (): ClusterRole[] => [
  clusterRole('system:kube-controller-manager', [
    EVENTS,
    ...leaderLease('kube-controller-manager'),
    allow('create', 'core', 'secrets serviceaccounts'),
    allow('delete', 'core', 'secrets'),
    allow('get', 'core', 'configmaps namespaces secrets serviceaccounts'),
    allow('update', 'core', 'secrets serviceaccounts'),
    ...delegation(),
    allow('list watch', '*', '*'),
    allow('create', 'core', 'serviceaccounts/token'),
  ]),
  clusterRole('system:kube-scheduler', [
    EVENTS,
    ...leaderLease('kube-scheduler'),
    allow(READ, 'core', 'nodes'),
    allow(`delete ${READ}`, 'core', 'pods'),
    allow('create', 'core', 'bindings pods/binding'),
    allow('patch update', 'core', 'pods/status'),
    allow(READ, 'core', 'replicationcontrollers services'),
    allow(READ, 'apps extensions', 'replicasets'),
    allow(READ, 'apps', 'statefulsets'),
    allow(READ, 'policy', 'poddisruptionbudgets'),
    allow(READ, 'core', 'persistentvolumeclaims persistentvolumes'),
    ...delegation(),
    allow(READ, STORAGE, 'csinodes'),
    allow(READ, 'core', 'namespaces'),
    allow(READ, STORAGE, 'csidrivers'),
    allow(READ, STORAGE, 'csistoragecapacities'),
    allow(READ, 'resource.k8s.io', 'deviceclasses'),
    allow(`${READ} patch update`, 'resource.k8s.io', 'resourceclaims resourceclaims/status'),
    allow(`${READ} patch update`, 'core', 'pods/finalizers'),
    allow(READ, 'resource.k8s.io', 'resourceslices'),
  ]),
  clusterRole('system:volume-scheduler', [
    allow(`${READ} patch update`, 'core', 'persistentvolumes'),
    allow(READ, STORAGE, 'storageclasses'),
    allow(`${READ} patch update`, 'core', 'persistentvolumeclaims'),
  ]),
  clusterRole('system:kube-aggregator', [allow(READ, 'core', 'endpoints services')]),
  clusterRole('system:kube-dns', [allow('list watch', 'core', 'endpoints services')]),
  clusterRole('system:heapster', [
    allow(READ, 'core', 'events namespaces nodes pods'),
    allow(READ, 'extensions', 'deployments'),
  ]),
  clusterRole('system:persistent-volume-provisioner', [
    allow(`create delete ${READ}`, 'core', 'persistentvolumes'),
    allow(`${READ} update`, 'core', 'persistentvolumeclaims'),
    allow(READ, STORAGE, 'storageclasses'),
    allow('watch', 'core', 'events'),
    EVENTS,
  ]),
];

export const defaultClusterRoles = (): ClusterRole[] => [
  ...forUsers(),
  ...forEverybody(),
  ...forCertificates(),
  ...forNodes(),
  ...forComponents(),
];
