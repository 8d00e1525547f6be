/**
 * The mandatory priority levels and flow schemas. They are kept as objects; the server does not queue requests by them.
 * @see https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#mandatory-configuration-objects
 */
import type { FlowSchema, PriorityLevelConfiguration, Subject } from '#types';
import { isReason } from '../api/machinery/status.js';
import { flowSchemas, priorityLevelConfigurations } from '../api/resources/index.js';
import { Client } from '../client/client.js';
import type { Transport } from '../client/transport.js';

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
const metadata = (name: string) => ({ name, annotations: { 'apf.kubernetes.io/autoupdate-spec': 'true' } });
const group = (name: string): Subject => ({ kind: 'Group', group: { name } });

const LEVELS: PriorityLevelConfiguration[] = [
  {
    apiVersion,
    kind: 'PriorityLevelConfiguration',
    metadata: metadata('exempt'),
    spec: { type: 'Exempt', exempt: {} },
  },
  {
    apiVersion,
    kind: 'PriorityLevelConfiguration',
    metadata: metadata('catch-all'),
    spec: { type: 'Limited', limited: { nominalConcurrencyShares: 5, limitResponse: { type: 'Reject' } } },
  },
];

const schema = (name: string, spec: Partial<FlowSchema['spec']>, ...subjects: Subject[]): FlowSchema => ({
  apiVersion,
  kind: 'FlowSchema',
  metadata: metadata(name),
  spec: {
    priorityLevelConfiguration: { name },
    ...spec,
    rules: [
      {
        subjects,
        resourceRules: [
          { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] },
        ],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      },
    ],
  },
});

const SCHEMAS: FlowSchema[] = [
  schema('exempt', { matchingPrecedence: 1 }, group('system:masters')),
  schema(
    'catch-all',
    { matchingPrecedence: 10_000, distinguisherMethod: { type: 'ByUser' } },
    group('system:unauthenticated'),
    group('system:authenticated'),
  ),
];

/** Makes those that are missing. */
export async function ensureFlowControl(transport: Transport): Promise<void> {
  const client = new Client(transport);
  const ignore = (error: unknown) => {
    if (!isReason(error, 'AlreadyExists')) throw error;
  };
  await Promise.all([
    ...LEVELS.map((level) => client.of(priorityLevelConfigurations).create(level).catch(ignore)),
    ...SCHEMAS.map((flow) => client.of(flowSchemas).create(flow).catch(ignore)),
  ]);
}
