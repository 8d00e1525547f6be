// What differs from upstream, kind by kind, with the reason: docs/compatibility.md is made of it.

/** By `apiVersion kind`. */
export const DIFFERENCES = {
  'v1 ComponentStatus': 'Tells of the parts that run in one process.',
  'metrics.k8s.io/v1beta1 NodeMetrics':
    'Served by the API server itself, measured when it is asked for; JSON and YAML only.',
  'metrics.k8s.io/v1beta1 PodMetrics':
    'Served by the API server itself, measured when it is asked for; JSON and YAML only.',
  'node.k8s.io/v1 RuntimeClass':
    'The handlers are `keelson` and `runc`, which are one: pods of others are not started.',
};

/** By `apiVersion kind`. */
export const NOT_SERVED = {
  'resource.k8s.io/v1alpha3 DeviceTaintRule':
    'Alpha and beta kinds are off, as upstream has them by default.',
  'storagemigration.k8s.io/v1beta1 StorageVersionMigration':
    'Off by default upstream; each kind is stored in one version.',
};
