/** What the cluster's own components and everybody may do without any Role (upstream's bootstrap policy). */
import type { Attributes, Authorizer, Decision } from '../user.js';
import { type PathRule, pathAllows, type ResourceRule, rule, ruleAllows } from './rules.js';

const READ = 'get list watch';
const EVENTS = rule('core events.k8s.io', 'events', 'create patch update');
const LEASES = rule('coordination.k8s.io', 'leases', 'create get update patch list watch');

/** By the name after `system:serviceaccount:kube-system:`. */
const CONTROLLERS: Record<string, ResourceRule[]> = {
  'deployment-controller': [
    rule('apps', 'deployments', `${READ} update`),
    rule('apps', 'deployments/status deployments/finalizers', 'update patch'),
    rule('apps', 'replicasets', `${READ} create update patch delete`),
    rule('core', 'pods', `${READ} update`),
  ],
  'replicaset-controller': [
    rule('apps', 'replicasets', `${READ} update`),
    rule('apps', 'replicasets/status replicasets/finalizers', 'update patch'),
    rule('core', 'pods', `${READ} create patch delete`),
  ],
  'replication-controller': [
    rule('core', 'replicationcontrollers', `${READ} update`),
    rule('core', 'replicationcontrollers/status replicationcontrollers/finalizers', 'update patch'),
    rule('core', 'pods', `${READ} create patch delete`),
  ],
  'endpoint-controller': [
    rule('core', 'services pods', READ),
    rule('core', 'endpoints', `${READ} create update delete`),
    rule('core', 'endpoints/restricted', 'create'),
  ],
  'endpointslice-controller': [
    rule('core', 'services pods nodes', READ),
    rule('core', 'services/finalizers', 'update'),
    rule('discovery.k8s.io', 'endpointslices', `${READ} create update delete`),
  ],
  'namespace-controller': [
    rule('core', 'namespaces', `${READ} delete`),
    rule('core', 'namespaces/finalize namespaces/status', 'update'),
    rule('*', '*', `${READ} delete deletecollection`),
  ],
  'generic-garbage-collector': [rule('*', '*', `${READ} patch update delete`)],
  'pod-garbage-collector': [
    rule('core', 'pods', `${READ} delete`),
    rule('core', 'nodes', READ),
    rule('core', 'pods/status', 'patch update'),
  ],
  'node-controller': [
    rule('core', 'nodes', `${READ} update patch delete`),
    rule('core', 'nodes/status', 'update patch'),
    rule('core', 'pods', `${READ} delete`),
    rule('core', 'pods/status', 'update patch'),
    LEASES,
  ],
  'node-ipam-controller': [
    rule('core', 'nodes', `${READ} update patch`),
    rule('core', 'nodes/status', 'patch'),
  ],
  'service-account-controller': [rule('core', 'serviceaccounts namespaces', `${READ} create`)],
  'root-ca-cert-publisher': [
    rule('core', 'configmaps', `${READ} create update`),
    rule('core', 'namespaces', READ),
  ],
  'daemon-set-controller': [
    rule('apps', 'daemonsets', READ),
    rule('apps', 'daemonsets/status daemonsets/finalizers', 'update patch'),
    rule('core', 'nodes', READ),
    rule('core', 'pods', `${READ} create patch delete`),
    rule('core', 'pods/binding', 'create'),
    rule('apps', 'controllerrevisions', `${READ} create update patch delete`),
  ],
  'statefulset-controller': [
    rule('apps', 'statefulsets', READ),
    rule('apps', 'statefulsets/status statefulsets/finalizers', 'update patch'),
    rule('core', 'pods', `${READ} create update patch delete`),
    rule('apps', 'controllerrevisions', `${READ} create update patch delete`),
    rule('core', 'persistentvolumeclaims', `${READ} create update patch delete`),
  ],
  'job-controller': [
    rule('batch', 'jobs', `${READ} update patch`),
    rule('batch', 'jobs/status jobs/finalizers', 'update patch'),
    rule('core', 'pods', `${READ} create patch delete`),
  ],
  'cronjob-controller': [
    rule('batch', 'jobs', `${READ} create update patch delete`),
    rule('batch', 'cronjobs', `${READ} update`),
    rule('batch', 'cronjobs/status cronjobs/finalizers', 'update patch'),
    rule('core', 'pods', 'list delete'),
  ],
  'ttl-after-finished-controller': [rule('batch', 'jobs', `${READ} delete`)],
  'disruption-controller': [
    rule('policy', 'poddisruptionbudgets', READ),
    rule('policy', 'poddisruptionbudgets/status', 'update patch'),
    rule('core', 'pods replicationcontrollers', READ),
    rule('core', 'pods/status', 'update patch'),
    rule('apps', 'deployments replicasets statefulsets', READ),
    rule('*', '*/scale', 'get'),
  ],
  'resourcequota-controller': [rule('*', '*', 'list watch'), rule('core', 'resourcequotas/status', 'update')],
  'horizontal-pod-autoscaler': [
    rule('autoscaling', 'horizontalpodautoscalers', READ),
    rule('autoscaling', 'horizontalpodautoscalers/status', 'update'),
    rule('*', '*/scale', 'get update'),
    rule('core', 'pods', 'list'),
    rule('metrics.k8s.io', 'pods', 'list'),
  ],
};

const SCHEDULER: ResourceRule[] = [
  EVENTS,
  LEASES,
  rule(
    'core',
    'nodes namespaces services replicationcontrollers persistentvolumeclaims persistentvolumes',
    READ,
  ),
  rule('apps', 'replicasets statefulsets', READ),
  rule('core', 'pods', `${READ} delete`),
  rule('core', 'pods/binding bindings', 'create'),
  rule('core', 'pods/status', 'patch update'),
  rule('policy', 'poddisruptionbudgets', READ),
  rule('storage.k8s.io', 'csinodes csidrivers csistoragecapacities storageclasses', READ),
  rule('core', 'persistentvolumeclaims persistentvolumes', 'update patch'),
];

const PUBLIC: PathRule = {
  paths: ['/healthz', '/livez', '/readyz', '/version', '/version/'],
  verbs: ['get'],
};

const DISCOVERY: PathRule = {
  paths: [
    '/api',
    '/api/*',
    '/apis',
    '/apis/*',
    '/healthz',
    '/livez',
    '/openapi',
    '/openapi/*',
    '/readyz',
    '/version',
    '/version/',
  ],
  verbs: ['get'],
};

/** What every authenticated user may ask about itself. */
const SELF: ResourceRule[] = [
  rule('authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews', 'create'),
  rule('authentication.k8s.io', 'selfsubjectreviews', 'create'),
];

const ISSUER: PathRule = { paths: ['/.well-known/openid-configuration', '/openid/v1/jwks'], verbs: ['get'] };

const CONTROLLER_PREFIX = 'system:serviceaccount:kube-system:';

function componentRules(user: string): ResourceRule[] {
  if (user === 'system:kube-scheduler') return SCHEDULER;
  if (user === 'system:kube-controller-manager') return [LEASES, EVENTS, rule('*', '*', READ)];
  if (!user.startsWith(CONTROLLER_PREFIX)) return [];
  const own = CONTROLLERS[user.slice(CONTROLLER_PREFIX.length)];
  return own ? [...own, EVENTS] : [];
}

const opinion = (decision: Decision) => ({ decision, reason: '' });
const NO_OPINION = opinion('no-opinion');
const ALLOW = opinion('allow');

/** Members of `system:masters` may do everything. */
export const mastersAuthorizer: Authorizer = {
  authorize: ({ user }) => (user.groups.includes('system:masters') ? ALLOW : NO_OPINION),
};

const rulesOf = new Map<string, ResourceRule[]>();

export const builtInAuthorizer: Authorizer = {
  authorize(a) {
    return builtInAllows(a) ? ALLOW : NO_OPINION;
  },
};

function builtInAllows(a: Attributes): boolean {
  const { name, groups } = a.user;
  if (pathAllows(PUBLIC, a)) return true;
  if (!groups.includes('system:authenticated')) return false;
  if (pathAllows(DISCOVERY, a) || SELF.some((r) => ruleAllows(r, a))) return true;
  if (groups.includes('system:serviceaccounts') && pathAllows(ISSUER, a)) return true;
  if (!name.startsWith('system:')) return false;
  let rules = rulesOf.get(name);
  if (!rules) {
    rules = componentRules(name);
    if (rules.length === 0) return false;
    rulesOf.set(name, rules);
  }
  return rules.some((r) => ruleAllows(r, a));
}

/** The first that allows or denies decides; reasons of those without opinion are joined. */
export function unionAuthorizer(authorizers: Authorizer[]): Authorizer {
  return {
    async authorize(attributes) {
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const answer = await authorizer.authorize(attributes);
        if (answer.decision !== 'no-opinion') return answer;
        if (answer.reason !== '') reasons.push(answer.reason);
      }
      return { decision: 'no-opinion', reason: reasons.join('\n') };
    },
  };
}
