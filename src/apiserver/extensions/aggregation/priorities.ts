/** The order of groups in discovery, and of versions in a group: what upstream registers its own with. */

interface Priority {
  group: number;
  version: number;
}

/** Group → its priority, and those of versions other than 15. */
const GROUPS: Record<string, [number, Record<string, number>?]> = {
  '': [18_000, { v1: 1 }],
  'apiregistration.k8s.io': [18_000],
  apps: [17_800],
  'events.k8s.io': [17_750],
  'authentication.k8s.io': [17_700],
  'authorization.k8s.io': [17_600],
  autoscaling: [17_500, { v2: 30 }],
  batch: [17_400],
  'certificates.k8s.io': [17_300, { v1beta1: 9, v1alpha1: 1 }],
  'networking.k8s.io': [17_200, { v1beta1: 9 }],
  policy: [17_100],
  'rbac.authorization.k8s.io': [17_000],
  'storage.k8s.io': [16_800, { v1beta1: 9, v1alpha1: 1 }],
  'admissionregistration.k8s.io': [16_700, { v1beta1: 12, v1alpha1: 9 }],
  'apiextensions.k8s.io': [16_700],
  'scheduling.k8s.io': [16_600],
  'coordination.k8s.io': [16_500, { v1beta1: 13, v1alpha2: 12 }],
  'node.k8s.io': [16_300],
  'discovery.k8s.io': [16_200],
  'resource.k8s.io': [16_200, { v1: 20, v1beta2: 15, v1beta1: 9 }],
  'flowcontrol.apiserver.k8s.io': [16_100, { v1: 21 }],
  'internal.apiserver.k8s.io': [16_000, { v1alpha1: 9 }],
  'storagemigration.k8s.io': [15_800, { v1beta1: 9 }],
  // As metrics-server registers itself.
  'metrics.k8s.io': [100, { v1beta1: 100 }],
};

/** Those of upstream's controller for the groups of CustomResourceDefinitions. */
const CUSTOM: Priority = { group: 1000, version: 100 };

export function priorityOf(group: string, version: string): Priority {
  const known = GROUPS[group];
  return known ? { group: known[0], version: known[1]?.[version] ?? 15 } : CUSTOM;
}
