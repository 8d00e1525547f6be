/** Kinds that have pages, and the addresses of their objects. */

export interface Kind {
  /** Empty for core. */
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

const kind = (group: string, plural: string, name: string, namespaced = true): Kind => ({
  group,
  version: 'v1',
  plural,
  kind: name,
  namespaced,
});

export const KINDS = {
  deployments: kind('apps', 'deployments', 'Deployment'),
  statefulSets: kind('apps', 'statefulsets', 'StatefulSet'),
  daemonSets: kind('apps', 'daemonsets', 'DaemonSet'),
  replicaSets: kind('apps', 'replicasets', 'ReplicaSet'),
  jobs: kind('batch', 'jobs', 'Job'),
  cronJobs: kind('batch', 'cronjobs', 'CronJob'),
  pods: kind('', 'pods', 'Pod'),
  services: kind('', 'services', 'Service'),
  ingresses: kind('networking.k8s.io', 'ingresses', 'Ingress'),
  configMaps: kind('', 'configmaps', 'ConfigMap'),
  secrets: kind('', 'secrets', 'Secret'),
  claims: kind('', 'persistentvolumeclaims', 'PersistentVolumeClaim'),
  events: kind('', 'events', 'Event'),
  nodes: kind('', 'nodes', 'Node', false),
  namespaces: kind('', 'namespaces', 'Namespace', false),
} satisfies Record<string, Kind>;

/** The path of a collection, or of one object in it. An empty namespace is all of them. */
export function pathOf(kind: Kind, namespace = '', name = '', subresource = ''): string {
  const parts = [kind.group === '' ? '/api' : `/apis/${kind.group}`, kind.version];
  if (kind.namespaced && namespace !== '') parts.push('namespaces', encodeURIComponent(namespace));
  parts.push(kind.plural);
  if (name !== '') parts.push(encodeURIComponent(name));
  if (subresource !== '') parts.push(subresource);
  return parts.join('/');
}

/** The page of a collection. */
export const collectionHref = ({ group, version, plural }: Kind): string =>
  `#/k/${group || 'core'}/${version}/${plural}`;

/** The page of an object. */
export function objectHref(kind: Kind, namespace: string | undefined, name: string, tab = ''): string {
  const parts = [kind.group || 'core', kind.version, kind.plural, namespace || '-', name];
  return `#/o/${parts.map(encodeURIComponent).join('/')}${tab === '' ? '' : `/${tab}`}`;
}

/** The kind of `apiVersion` and `kind`, as owners and events name it; undefined for those without a page of their own. */
export function knownKind(apiVersion: string | undefined, name: string | undefined): Kind | undefined {
  const group = apiVersion?.includes('/') ? apiVersion.split('/')[0]! : '';
  return Object.values<Kind>(KINDS).find((one) => one.kind === name && one.group === group);
}
