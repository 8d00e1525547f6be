/** What an object says of itself, in words. */
import { type KubeObject, useTable } from '../api/follow.js';
import { KINDS, type Kind, pathOf } from '../api/kinds.js';
import { usagePath, useUsage } from '../api/usage.js';
import { quantity, selectorText } from '../lib/format.js';
import { Age, Badge, Facts, Labels, Section } from '../parts/basics.js';
import { Plot } from '../parts/plot.js';
import { Table } from '../parts/table.js';
import { usageColumns } from './collections.js';
import { Containers, podFacts } from './containers.js';
import { Data } from './data.js';
import { Events } from './events.js';

const is = (kind: Kind, of: Kind): boolean => kind.group === of.group && kind.plural === of.plural;

export function Overview({ kind, object }: { kind: Kind; object: KubeObject }) {
  const { metadata } = object;
  const pod = is(kind, KINDS.pods);
  const node = is(kind, KINDS.nodes);
  const secret = is(kind, KINDS.secrets);
  const selector = pod ? undefined : selectorText(object['spec']?.selector);
  return (
    <>
      <Facts
        of={[
          ['Age', <Age key="age" since={metadata.creationTimestamp} />],
          ['Being deleted', metadata.deletionTimestamp ? `since ${metadata.deletionTimestamp}` : undefined],
          ...(pod ? podFacts(object) : []),
          ...(node ? nodeFacts(object) : []),
          ['Labels', <Labels key="labels" of={metadata.labels} />],
        ]}
      />
      {pod && <PodUsage namespace={metadata.namespace ?? ''} name={metadata.name} />}
      {node && <NodeUsage node={object} />}
      {pod && <Containers pod={object} />}
      {(secret || is(kind, KINDS.configMaps)) && <Data object={object} hidden={secret} />}
      <Conditions object={object} />
      {selector && metadata.namespace && <Selected namespace={metadata.namespace} selector={selector} />}
      {node && <OnNode node={metadata.name} />}
      <Section title="Events">
        <Events namespace={metadata.namespace ?? ''} uid={node ? metadata.name : metadata.uid} />
      </Section>
    </>
  );
}

function nodeFacts(node: KubeObject): [string, string | undefined][] {
  const { nodeInfo, addresses = [], allocatable = {} } = node['status'] ?? {};
  return [
    ['Address', addresses.find(({ type }: any) => type === 'InternalIP')?.address],
    ['Pods', allocatable.pods && `at most ${allocatable.pods}`],
    ['System', nodeInfo && `${nodeInfo.osImage}, Linux ${nodeInfo.kernelVersion}`],
    ['Taints', (node['spec']?.taints ?? []).map(({ key, effect }: any) => `${key}:${effect}`).join(', ')],
  ];
}

function PodUsage({ namespace, name }: { namespace: string; name: string }) {
  const samples = useUsage(usagePath('pods', namespace, name)).get(`${namespace}/${name}`);
  if (!samples) return null;
  return (
    <div class="plots">
      <Plot large samples={samples} what="cpu" />
      <Plot large samples={samples} what="memory" />
    </div>
  );
}

function NodeUsage({ node }: { node: KubeObject }) {
  const { name } = node.metadata;
  const samples = useUsage(usagePath('nodes', '', name)).get(`/${name}`);
  const { cpu = '0', memory = '0' } = node['status']?.allocatable ?? {};
  if (!samples) return null;
  return (
    <div class="plots">
      <Plot large samples={samples} what="cpu" most={quantity(cpu)} />
      <Plot large samples={samples} what="memory" most={quantity(memory)} />
    </div>
  );
}

function Conditions({ object }: { object: KubeObject }) {
  const conditions: any[] = object['status']?.conditions ?? [];
  if (conditions.length === 0) return null;
  return (
    <Section title="Conditions">
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Type</th>
              <th>Status</th>
              <th>Since</th>
              <th>Reason</th>
              <th>Message</th>
            </tr>
          </thead>
          <tbody>
            {conditions.map(({ type, status, lastTransitionTime, reason, message }) => (
              <tr key={type}>
                <td>{type}</td>
                <td>
                  <Badge text={status} tone="plain" />
                </td>
                <td>
                  <Age since={lastTransitionTime} />
                </td>
                <td>{reason}</td>
                <td class="message">{message}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

/** The pods that a workload or Service chooses. */
function Selected({ namespace, selector }: { namespace: string; selector: string }) {
  const collection = useTable(pathOf(KINDS.pods, namespace), { labelSelector: selector });
  const usage = useUsage(usagePath('pods', namespace));
  return (
    <Section title="Pods" {...(collection.loaded ? { count: collection.items.length } : {})}>
      <Table
        kind={KINDS.pods}
        collection={collection}
        wide={['IP', 'Node']}
        showNamespace={false}
        extra={usageColumns(usage)}
      />
    </Section>
  );
}

function OnNode({ node }: { node: string }) {
  const collection = useTable(pathOf(KINDS.pods), { fieldSelector: `spec.nodeName=${node}` });
  return (
    <Section title="Pods" {...(collection.loaded ? { count: collection.items.length } : {})}>
      <Table kind={KINDS.pods} collection={collection} wide={['IP']} showNamespace />
    </Section>
  );
}
