/** `/metrics`: the agent's own, with upstream's names where it has them. */
import { existsSync } from 'node:fs';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { timestamp } from '../../../api/machinery/clock.js';
import { clientMeasures } from '../../../client/measures.js';
import { KUBELET_VERSION } from '../../node/facts.js';
import type { Call, EndpointDeps } from '../answers.js';
import { fileSystem } from '../stats/files.js';
import { volumeStats } from '../stats/volumes.js';
import { exposition, type Family, type Sample } from './exposition.js';

/** Of the process; made once somebody asks. */
let registry: Registry | undefined;

export async function agentMetrics({ response, deps }: Call): Promise<void> {
  if (!registry) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
  }
  const own = exposition([...podMetrics(deps), ...(await claimMetrics(deps))]);
  const body = `${(await registry.metrics()).trimEnd()}\n${clientMeasures().join('\n')}\n${own}`;
  response.writeHead(200, { 'content-type': registry.contentType });
  response.end(body);
}

const gauge = (name: string, help: string, samples: Sample[]): Family => ({
  name,
  help,
  type: 'gauge',
  samples,
});

function podMetrics({ pods, runtime, node }: EndpointDeps): Family[] {
  const workers = pods.list();
  const sandboxes = runtime.sandboxes();
  const states = { created: 0, exited: 0, running: 0 };
  for (const { containers } of sandboxes) for (const { state } of containers) states[state]++;
  const isStatic = (annotations: Record<string, string> = {}) =>
    (annotations['kubernetes.io/config.source'] ?? 'api') !== 'api';
  const bySource = (list: typeof workers): Sample[] =>
    [false, true].map((wanted) => ({
      labels: { static: wanted ? 'true' : '' },
      value: list.filter(({ pod }) => isStatic(pod.metadata.annotations) === wanted).length,
    }));
  const ephemeral = workers.reduce((sum, { pod }) => sum + (pod.spec.ephemeralContainers?.length ?? 0), 0);
  const [major = '', minor = ''] = KUBELET_VERSION.slice(1).split('.');
  return [
    gauge('kubelet_node_name', "[ALPHA] The node's name. The count is always 1.", [
      { labels: { node: node.name }, value: 1 },
    ]),
    gauge('kubelet_running_pods', '[ALPHA] Number of pods that have a running pod sandbox', [
      { value: sandboxes.filter(({ alive }) => alive).length },
    ]),
    gauge(
      'kubelet_running_containers',
      '[ALPHA] Number of containers currently running',
      Object.entries(states).map(([state, value]) => ({ labels: { container_state: state }, value })),
    ),
    gauge(
      'kubelet_desired_pods',
      '[ALPHA] The number of pods the kubelet is being instructed to run.',
      bySource(workers),
    ),
    gauge(
      'kubelet_active_pods',
      '[ALPHA] The number of pods the kubelet considers active and which are being considered when admitting new pods.',
      bySource(workers.filter(({ isActive }) => isActive)),
    ),
    gauge(
      'kubelet_managed_ephemeral_containers',
      '[ALPHA] Current number of ephemeral containers in pods managed by this kubelet.',
      [{ value: ephemeral }],
    ),
    gauge('kubelet_cgroup_version', '[ALPHA] cgroup version on the hosts.', [
      { value: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 2 : 1 },
    ]),
    gauge('kubernetes_build_info', '[ALPHA] Version that the node is compatible with.', [
      { labels: { git_version: KUBELET_VERSION, major, minor, platform: `linux/${process.arch}` }, value: 1 },
    ]),
  ];
}

/** Of the claims that pods of the node have mounted, one sample each. */
async function claimMetrics({ pods, node }: EndpointDeps): Promise<Family[]> {
  const disk = await fileSystem(node.dataDir);
  const now = timestamp(Date.now());
  const found = new Map<string, { labels: Record<string, string>; figures: Record<string, number> }>();
  for (const worker of pods.list())
    for (const { shown } of (await volumeStats(worker, disk, now)).filter(({ shown: s }) => s.pvcRef)) {
      const { name, namespace } = shown.pvcRef!;
      const labels = { namespace, persistentvolumeclaim: name };
      found.set(`${namespace}/${name}`, { labels, figures: shown as unknown as Record<string, number> });
    }
  const families: [field: string, suffix: string, help: string][] = [
    ['availableBytes', 'available_bytes', 'Number of available bytes in the volume'],
    ['capacityBytes', 'capacity_bytes', 'Capacity in bytes of the volume'],
    ['inodes', 'inodes', 'Maximum number of inodes in the volume'],
    ['inodesFree', 'inodes_free', 'Number of free inodes in the volume'],
    ['inodesUsed', 'inodes_used', 'Number of used inodes in the volume'],
    ['usedBytes', 'used_bytes', 'Number of used bytes in the volume'],
  ];
  return families.map(([field, suffix, help]) =>
    gauge(
      `kubelet_volume_stats_${suffix}`,
      `[ALPHA] ${help}`,
      [...found.values()].map(({ labels, figures }) => ({ labels, value: figures[field] ?? 0 })),
    ),
  );
}
