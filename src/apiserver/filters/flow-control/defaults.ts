/**
 * The priority levels and flow schemas of every cluster.
 * @see https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults
 */
import type { FlowSchema, PolicyRulesWithSubjects, PriorityLevelConfiguration, Subject } from '#types';

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
export const AUTO_UPDATE = 'apf.kubernetes.io/autoupdate-spec';
const metadata = (name: string) => ({ name, annotations: { [AUTO_UPDATE]: 'true' } });

function level(name: string, spec: PriorityLevelConfiguration['spec']): PriorityLevelConfiguration {
  return { apiVersion, kind: 'PriorityLevelConfiguration', metadata: metadata(name), spec };
}

const queued = (name: string, shares: number, lendablePercent: number, queues: number, handSize: number) =>
  level(name, {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      lendablePercent,
      limitResponse: { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } },
    },
  });

/** Always as they are here. */
export const MANDATORY_LEVELS = [
  level('exempt', { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
  level('catch-all', {
    type: 'Limited',
    limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: 'Reject' } },
  }),
];

/** As they are here until somebody changes them. */
export const SUGGESTED_LEVELS = [
  queued('system', 30, 33, 64, 6),
  queued('node-high', 40, 25, 64, 6),
  queued('leader-election', 10, 0, 16, 4),
  queued('workload-high', 40, 50, 128, 6),
  queued('workload-low', 100, 90, 128, 6),
  queued('global-default', 20, 50, 128, 6),
];

const groups = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'Group', group: { name } }));
const users = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'User', user: { name } }));
const SYSTEM_ACCOUNTS: Subject[] = [
  { kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name: '*' } },
];
const EVERYBODY = groups('system:unauthenticated', 'system:authenticated');

const everything = (subjects: Subject[]): PolicyRulesWithSubjects => ({
  subjects,
  resourceRules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] },
  ],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
});

const leases = (verbs: string[]) => ({
  verbs,
  apiGroups: ['coordination.k8s.io'],
  resources: ['leases'],
  namespaces: ['*'],
});

function schema(
  name: string,
  levelName: string,
  matchingPrecedence: number,
  method: 'ByUser' | 'ByNamespace' | undefined,
  rules: PolicyRulesWithSubjects,
): FlowSchema {
  return {
    apiVersion,
    kind: 'FlowSchema',
    metadata: metadata(name),
    spec: {
      priorityLevelConfiguration: { name: levelName },
      matchingPrecedence,
      ...(method ? { distinguisherMethod: { type: method } } : {}),
      rules: [rules],
    },
  };
}

export const MANDATORY_SCHEMAS = [
  schema('exempt', 'exempt', 1, undefined, everything(groups('system:masters'))),
  schema('catch-all', 'catch-all', 10_000, 'ByUser', everything(EVERYBODY)),
];

const NODES = groups('system:nodes');
const MANAGER = users('system:kube-controller-manager');
const SCHEDULER = users('system:kube-scheduler');

export const SUGGESTED_SCHEMAS = [
  schema('system-nodes', 'system', 500, 'ByUser', everything(NODES)),
  schema('system-node-high', 'node-high', 400, 'ByUser', {
    subjects: NODES,
    resourceRules: [
      {
        verbs: ['*'],
        apiGroups: [''],
        resources: ['nodes', 'nodes/status'],
        clusterScope: true,
        namespaces: ['*'],
      },
      leases(['*']),
    ],
  }),
  schema('probes', 'exempt', 2, undefined, {
    subjects: EVERYBODY,
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema('system-leader-election', 'leader-election', 100, 'ByUser', {
    subjects: [...MANAGER, ...SCHEDULER, ...SYSTEM_ACCOUNTS],
    resourceRules: [leases(['get', 'create', 'update'])],
  }),
  schema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', everything(MANAGER)),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', everything(SCHEDULER)),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', everything(SYSTEM_ACCOUNTS)),
  schema('service-accounts', 'workload-low', 9000, 'ByUser', everything(groups('system:serviceaccounts'))),
  schema('global-default', 'global-default', 9900, 'ByUser', everything(EVERYBODY)),
];
