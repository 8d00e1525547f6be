/** Pages that are tables. */
import { useObjects, useTable } from '../api/follow.js';
import { KINDS, type Kind, pathOf } from '../api/kinds.js';
import { namespace } from '../api/session.js';
import { type Usage, usagePath, useUsage } from '../api/usage.js';
import { quantity } from '../lib/format.js';
import { useStore } from '../lib/store.js';
import { Section } from '../parts/basics.js';
import { Plot } from '../parts/plot.js';
import { type ExtraColumn, Table } from '../parts/table.js';

/** One kind in the chosen namespace. */
export function KindSection({ kind, title, wide }: { kind: Kind; title: string; wide?: readonly string[] }) {
  const chosen = useStore(namespace);
  const collection = useTable(pathOf(kind, chosen));
  return (
    <Section title={title} {...(collection.loaded ? { count: collection.items.length } : {})}>
      <Table kind={kind} collection={collection} {...(wide ? { wide } : {})} />
    </Section>
  );
}

export const Workloads = () => (
  <>
    <h1>Workloads</h1>
    <KindSection kind={KINDS.deployments} title="Deployments" wide={['Images']} />
    <KindSection kind={KINDS.statefulSets} title="StatefulSets" wide={['Images']} />
    <KindSection kind={KINDS.daemonSets} title="DaemonSets" />
    <KindSection kind={KINDS.jobs} title="Jobs" />
    <KindSection kind={KINDS.cronJobs} title="CronJobs" />
    <KindSection kind={KINDS.replicaSets} title="ReplicaSets" />
  </>
);

export const Network = () => (
  <>
    <h1>Services and Ingresses</h1>
    <KindSection kind={KINDS.services} title="Services" wide={['Selector']} />
    <KindSection kind={KINDS.ingresses} title="Ingresses" />
  </>
);

export const Config = () => (
  <>
    <h1>ConfigMaps and Secrets</h1>
    <KindSection kind={KINDS.configMaps} title="ConfigMaps" />
    <KindSection kind={KINDS.secrets} title="Secrets" />
  </>
);

export const Storage = () => (
  <>
    <h1>Volume claims</h1>
    <KindSection kind={KINDS.claims} title="PersistentVolumeClaims" />
  </>
);

export const usageColumns = (
  usage: Usage,
  most: (key: string) => { cpu?: number; memory?: number } = () => ({}),
) =>
  (['cpu', 'memory'] as const).map(
    (what): ExtraColumn => ({
      name: what === 'cpu' ? 'CPU' : 'Memory',
      cell({ object: { metadata } }) {
        const key = `${metadata.namespace ?? ''}/${metadata.name}`;
        return <Plot samples={usage.get(key)} what={what} most={most(key)[what]} />;
      },
    }),
  );

export function PodsPage() {
  const chosen = useStore(namespace);
  const collection = useTable(pathOf(KINDS.pods, chosen));
  const usage = useUsage(usagePath('pods', chosen));
  return (
    <>
      <h1>Pods</h1>
      <Table kind={KINDS.pods} collection={collection} wide={['IP', 'Node']} extra={usageColumns(usage)} />
    </>
  );
}

export function NodesPage() {
  const collection = useTable(pathOf(KINDS.nodes));
  const { items } = useObjects(pathOf(KINDS.nodes));
  const usage = useUsage(usagePath('nodes'));
  const most = new Map(
    items.map(({ object }) => [
      `/${object.metadata.name}`,
      {
        cpu: quantity(object['status']?.allocatable?.cpu ?? ''),
        memory: quantity(object['status']?.allocatable?.memory ?? ''),
      },
    ]),
  );
  return (
    <>
      <h1>Nodes</h1>
      <Table
        kind={KINDS.nodes}
        collection={collection}
        wide={['Internal-IP', 'Kernel-Version']}
        extra={usageColumns(usage, (key) => most.get(key) ?? {})}
      />
    </>
  );
}
