/** What each controller may do: the ClusterRoles `system:controller:<name>`, bound to its account in kube-system. */
import type { ClusterRole, PolicyRule } from '#types';
import { allow, clusterRole, EVENTS, READ } from './rule.js';

const RBAC = 'rbac.authorization.k8s.io';
const CERTIFICATES = 'certificates.k8s.io';

/** By the name after `system:serviceaccount:kube-system:`. Every one may tell events besides. */
const CONTROLLERS: Record<string, PolicyRule[]> = {
  'deployment-controller': [
    allow(`${READ} update`, 'apps', 'deployments'),
    allow('update patch', 'apps', 'deployments/status deployments/finalizers'),
    allow(`${READ} create update patch delete`, 'apps', 'replicasets'),
    allow(`${READ} update`, 'core', 'pods'),
  ],
  'replicaset-controller': [
    allow(`${READ} update`, 'apps', 'replicasets'),
    allow('update patch', 'apps', 'replicasets/status replicasets/finalizers'),
    allow(`${READ} create patch delete`, 'core', 'pods'),
  ],
  'replication-controller': [
    allow(`${READ} update`, 'core', 'replicationcontrollers'),
    allow('update patch', 'core', 'replicationcontrollers/status replicationcontrollers/finalizers'),
    allow(`${READ} create patch delete`, 'core', 'pods'),
  ],
  'endpoint-controller': [
    allow(READ, 'core', 'services pods'),
    allow(`${READ} create update delete`, 'core', 'endpoints'),
    allow('create', 'core', 'endpoints/restricted'),
  ],
  'endpointslice-controller': [
    allow(READ, 'core', 'services pods nodes'),
    allow('update', 'core', 'services/finalizers'),
    allow(`${READ} create update delete`, 'discovery.k8s.io', 'endpointslices'),
  ],
  'namespace-controller': [
    allow(`${READ} delete`, 'core', 'namespaces'),
    allow('update', 'core', 'namespaces/finalize namespaces/status'),
    allow(`${READ} delete deletecollection`, '*', '*'),
  ],
  'generic-garbage-collector': [allow(`${READ} patch update delete`, '*', '*')],
  'pod-garbage-collector': [
    allow(`${READ} delete`, 'core', 'pods'),
    allow(READ, 'core', 'nodes'),
    allow('patch update', 'core', 'pods/status'),
  ],
  'node-controller': [
    allow(`${READ} update patch delete`, 'core', 'nodes'),
    allow('update patch', 'core', 'nodes/status'),
    allow(`${READ} delete`, 'core', 'pods'),
    allow('update patch', 'core', 'pods/status'),
    allow(`${READ} create update patch`, 'coordination.k8s.io', 'leases'),
  ],
  'service-account-controller': [allow('create', 'core', 'serviceaccounts')],
  'service-account-token-controller': [
    allow('get update delete', 'core', 'secrets'),
    allow('get', 'core', 'serviceaccounts'),
  ],
  'root-ca-cert-publisher': [allow('create update', 'core', 'configmaps')],
  'daemon-set-controller': [
    allow(READ, 'apps', 'daemonsets'),
    allow('update patch', 'apps', 'daemonsets/status daemonsets/finalizers'),
    allow(READ, 'core', 'nodes'),
    allow(`${READ} create patch delete`, 'core', 'pods'),
    allow('create', 'core', 'pods/binding'),
    allow(`${READ} create update patch delete`, 'apps', 'controllerrevisions'),
  ],
  'statefulset-controller': [
    allow(READ, 'apps', 'statefulsets'),
    allow('update patch', 'apps', 'statefulsets/status statefulsets/finalizers'),
    allow(`${READ} create update patch delete`, 'core', 'pods'),
    allow(`${READ} create update patch delete`, 'apps', 'controllerrevisions'),
    allow(`${READ} create update patch delete`, 'core', 'persistentvolumeclaims'),
  ],
  'job-controller': [
    allow(`${READ} update patch`, 'batch', 'jobs'),
    allow('update patch', 'batch', 'jobs/status jobs/finalizers'),
    allow(`${READ} create patch delete`, 'core', 'pods'),
  ],
  'cronjob-controller': [
    allow(`${READ} create update patch delete`, 'batch', 'jobs'),
    allow(`${READ} update`, 'batch', 'cronjobs'),
    allow('update patch', 'batch', 'cronjobs/status cronjobs/finalizers'),
    allow('list delete', 'core', 'pods'),
  ],
  'ttl-after-finished-controller': [allow(`${READ} delete`, 'batch', 'jobs')],
  'disruption-controller': [
    allow(READ, 'policy', 'poddisruptionbudgets'),
    allow('update patch', 'policy', 'poddisruptionbudgets/status'),
    allow(READ, 'core', 'pods replicationcontrollers'),
    allow('update patch', 'core', 'pods/status'),
    allow(READ, 'apps', 'deployments replicasets statefulsets'),
    allow('get', '*', '*/scale'),
  ],
  'resourcequota-controller': [
    allow('list watch', '*', '*'),
    allow('update', 'core', 'resourcequotas/status'),
  ],
  'horizontal-pod-autoscaler': [
    allow(READ, 'autoscaling', 'horizontalpodautoscalers'),
    allow('update', 'autoscaling', 'horizontalpodautoscalers/status'),
    allow('get update', '*', '*/scale'),
    allow('list', 'core', 'pods'),
    allow('list', 'metrics.k8s.io', 'pods'),
    allow('get list', 'custom.metrics.k8s.io', '*'),
    allow('get list', 'external.metrics.k8s.io', '*'),
  ],
  'validatingadmissionpolicy-status-controller': [
    allow(READ, 'admissionregistration.k8s.io', 'validatingadmissionpolicies'),
    allow('get patch update', 'admissionregistration.k8s.io', 'validatingadmissionpolicies/status'),
  ],
  'clusterrole-aggregation-controller': [allow(`escalate ${READ} update patch`, RBAC, 'clusterroles')],
  'certificate-controller': [
    allow(`${READ} delete`, CERTIFICATES, 'certificatesigningrequests'),
    allow('update', CERTIFICATES, 'certificatesigningrequests/status certificatesigningrequests/approval'),
    allow('approve', CERTIFICATES, 'signers', 'kubernetes.io/kube-apiserver-client-kubelet'),
    allow(
      'sign',
      CERTIFICATES,
      'signers',
      'kubernetes.io/legacy-unknown kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving',
    ),
    allow('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  ],
  'pvc-protection-controller': [
    allow(`${READ} update`, 'core', 'persistentvolumeclaims'),
    allow(READ, 'core', 'pods'),
  ],
  'pv-protection-controller': [allow(`${READ} update`, 'core', 'persistentvolumes')],
  'volumeattributesclass-protection-controller': [
    allow(READ, 'core', 'persistentvolumeclaims persistentvolumes'),
    allow(`${READ} update`, 'storage.k8s.io', 'volumeattributesclasses'),
  ],
  'persistent-volume-binder': [
    allow(`${READ} create delete update`, 'core', 'persistentvolumes'),
    allow('update', 'core', 'persistentvolumes/status persistentvolumeclaims/status'),
    allow(`${READ} update`, 'core', 'persistentvolumeclaims'),
    allow(`${READ} create delete`, 'core', 'pods'),
    allow(READ, 'storage.k8s.io', 'storageclasses'),
    allow('list watch', 'core', 'nodes'),
    allow('watch', 'core', 'events'),
    allow('get', 'core', 'services'),
  ],
  'local-path-provisioner': [
    allow(`${READ} create delete update`, 'core', 'persistentvolumes'),
    allow(`${READ} update`, 'core', 'persistentvolumeclaims'),
    allow('update', 'core', 'persistentvolumeclaims/status'),
    allow(READ, 'storage.k8s.io', 'storageclasses'),
    allow(READ, 'core', 'nodes'),
  ],
  'attachdetach-controller': [
    allow('list watch', 'core', 'persistentvolumes persistentvolumeclaims pods'),
    allow(READ, 'core', 'nodes'),
    allow('patch update', 'core', 'nodes/status'),
    allow(`${READ} create delete`, 'storage.k8s.io', 'volumeattachments'),
    allow(READ, 'storage.k8s.io', 'csidrivers csinodes'),
  ],
  'expand-controller': [
    allow(`${READ} update patch`, 'core', 'persistentvolumes'),
    allow('update patch', 'core', 'persistentvolumeclaims/status'),
    allow(READ, 'core', 'persistentvolumeclaims'),
    allow('get', 'core', 'services'),
  ],
  'resource-claim-controller': [
    allow(READ, 'core', 'pods'),
    allow('update', 'core', 'pods/finalizers'),
    allow(`create delete ${READ}`, 'resource.k8s.io', 'resourceclaims'),
    allow('patch update', 'resource.k8s.io', 'resourceclaims resourceclaims/status'),
    allow(READ, 'resource.k8s.io', 'resourceclaimtemplates'),
    allow('patch update', 'core', 'pods/status'),
  ],
  'ephemeral-volume-controller': [
    allow(READ, 'core', 'pods'),
    allow('update', 'core', 'pods/finalizers'),
    allow(`${READ} create`, 'core', 'persistentvolumeclaims'),
  ],
  'endpointslicemirroring-controller': [
    allow(READ, 'core', 'services endpoints'),
    allow('update', 'core', 'services/finalizers endpoints/finalizers'),
    allow(`${READ} create update delete`, 'discovery.k8s.io', 'endpointslices'),
  ],
  'route-controller': [allow('list watch', 'core', 'nodes'), allow('patch', 'core', 'nodes/status')],
  'ingress-status-controller': [
    allow(READ, 'networking.k8s.io', 'ingresses ingressclasses'),
    allow('patch update', 'networking.k8s.io', 'ingresses/status'),
    allow(READ, 'core', 'nodes'),
  ],
  'service-cidrs-controller': [
    allow(`${READ} patch update`, 'networking.k8s.io', 'servicecidrs'),
    allow('patch update', 'networking.k8s.io', 'servicecidrs/finalizers servicecidrs/status'),
    allow(READ, 'networking.k8s.io', 'ipaddresses'),
  ],
  'ipallocator-repair-controller': [
    allow(READ, 'core', 'services'),
    allow(READ, 'networking.k8s.io', 'servicecidrs'),
    allow(`${READ} create delete`, 'networking.k8s.io', 'ipaddresses'),
  ],
  'service-controller': [
    allow(`${READ} patch`, 'core', 'services'),
    allow('patch update', 'core', 'services/status'),
    allow(READ, 'discovery.k8s.io', 'endpointslices'),
    allow('list watch', 'core', 'nodes'),
  ],
  'own-workloads-controller': [
    allow(`${READ} create patch`, 'apps', 'daemonsets deployments'),
    allow('update patch', 'apps', 'daemonsets/status deployments/status'),
    allow(READ, 'core', 'nodes'),
  ],
  'ttl-controller': [allow('update patch list watch', 'core', 'nodes')],
};

export const controllerNames: string[] = Object.keys(CONTROLLERS);

export const controllerRoles = (): ClusterRole[] =>
  Object.entries(CONTROLLERS).map(([name, rules]) =>
    clusterRole(`system:controller:${name}`, [...rules, EVENTS]),
  );
