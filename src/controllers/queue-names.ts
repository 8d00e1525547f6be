/** The names under which upstream measures the queues of its controllers. */
const NAMES: Record<string, string> = {
  'bootstrap-signer': 'bootstrap_signer_queue',
  'clusterrole-aggregation-controller': 'ClusterRoleAggregator',
  'daemon-set-controller': 'daemonset',
  'endpointslice-controller': 'endpoint_slice',
  'endpointslicemirroring-controller': 'endpoint_slice_mirroring',
  'ephemeral-volume-controller': 'ephemeral_volume',
  'generic-garbage-collector': 'garbage_collector_attempt_to_delete',
  'horizontal-pod-autoscaler': 'horizontalpodautoscaler',
  'node-controller': 'node_lifecycle_controller',
  'persistent-volume-binder': 'claims',
  'pv-protection-controller': 'pvprotection',
  'volumeattributesclass-protection-controller': 'vacprotection',
  'pvc-protection-controller': 'pvcprotection',
  'replication-controller': 'replicationmanager',
  'resourcequota-controller': 'resourcequota_primary',
  'root-ca-cert-publisher': 'root_ca_cert_publisher',
  'service-account-controller': 'serviceaccount',
  'service-account-token-controller': 'serviceaccount_tokens_secret',
  'token-cleaner': 'token_cleaner',
  'ttl-after-finished-controller': 'ttl_jobs_to_delete',
  'validatingadmissionpolicy-status-controller': 'validatingadmissionpolicy-status',
};

/** Of the controller `name`. */
export const queueName = (name: string): string => NAMES[name] ?? name.replace(/-controller$/, '');
