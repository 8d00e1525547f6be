/** How `kubectl get pods` shows a pod. */
import type { Container, ContainerState, ContainerStatus, Pod } from '#types';
import { ageColumn, humanDuration, nameColumn } from '../columns.js';
import type { Column, RowCondition } from '../define.js';
import { isRestartableInit } from './podspec/containers.js';

interface Summary {
  ready: number;
  total: number;
  reason: string;
  restarts: number;
  /** When a container last ended (ms), 0 if none did. */
  lastRestart: number;
}

const hasCondition = (pod: Pod, type: string): boolean =>
  (pod.status?.conditions ?? []).some((c) => c.type === type && c.status === 'True');

const lastEnd = (status: ContainerStatus): number => {
  const end = status.lastState?.terminated?.finishedAt;
  return end ? Date.parse(end) : 0;
};

/** What a state says of itself; undefined for a container that runs or has just been created. */
function stateReason(state: ContainerState | undefined): string | undefined {
  if (state?.waiting?.reason) return state.waiting.reason;
  const ended = state?.terminated;
  if (!ended) return undefined;
  return ended.reason || (ended.signal ? `Signal:${ended.signal}` : `ExitCode:${ended.exitCode}`);
}

/** Looks at the init containers in order until one is not done; returns whether the pod still initializes. */
function addInitContainers(pod: Pod, summary: Summary, sidecars: Pick<Summary, 'restarts' | 'lastRestart'>) {
  const specs = new Map<string, Container>((pod.spec.initContainers ?? []).map((c) => [c.name, c]));
  const statuses = pod.status?.initContainerStatuses ?? [];
  for (const [i, status] of statuses.entries()) {
    const sidecar = isRestartableInit(specs.get(status.name));
    for (const sums of sidecar ? [summary, sidecars] : [summary]) {
      sums.restarts += status.restartCount ?? 0;
      sums.lastRestart = Math.max(sums.lastRestart, lastEnd(status));
    }
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecar && status.started) {
      if (status.ready) summary.ready++;
      continue;
    }
    const waits = waiting?.reason && waiting.reason !== 'PodInitializing';
    summary.reason =
      terminated || waits
        ? `Init:${stateReason(status.state)}`
        : `Init:${i}/${pod.spec.initContainers?.length ?? 0}`;
    return true;
  }
  return false;
}

function addContainers(pod: Pod, summary: Summary): void {
  let running = false;
  for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
    summary.restarts += status.restartCount ?? 0;
    summary.lastRestart = Math.max(summary.lastRestart, lastEnd(status));
    const reason = stateReason(status.state);
    if (reason !== undefined) summary.reason = reason;
    else if (status.ready && status.state?.running) {
      running = true;
      summary.ready++;
    }
  }
  if (summary.reason === 'Completed' && running)
    summary.reason = hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
}

function summarize(pod: Pod): Summary {
  const status = pod.status ?? {};
  const summary: Summary = {
    ready: 0,
    total:
      (pod.spec.containers?.length ?? 0) + (pod.spec.initContainers ?? []).filter(isRestartableInit).length,
    reason: status.reason || status.phase || '',
    restarts: 0,
    lastRestart: 0,
  };
  if (status.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated'))
    summary.reason = 'SchedulingGated';
  const sidecars = { restarts: 0, lastRestart: 0 };
  if (!addInitContainers(pod, summary, sidecars) || hasCondition(pod, 'Initialized')) {
    Object.assign(summary, sidecars);
    addContainers(pod, summary);
  }
  if (pod.metadata.deletionTimestamp) {
    if (status.reason === 'NodeLost') summary.reason = 'Unknown';
    else if (status.phase !== 'Failed' && status.phase !== 'Succeeded') summary.reason = 'Terminating';
  }
  return summary;
}

function restarts(pod: Pod, now: number): string {
  const { restarts: count, lastRestart } = summarize(pod);
  return count > 0 && lastRestart > 0 ? `${count} (${humanDuration(now - lastRestart)} ago)` : `${count}`;
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  return `${gates.filter((gate) => hasCondition(pod, gate.conditionType)).length}/${gates.length}`;
}

/** That a pod has ended, and how. */
export function podRowConditions({ status }: Pod): RowCondition[] {
  const ended = { type: 'Completed', status: 'True' } as const;
  if (status?.phase === 'Succeeded')
    return [{ ...ended, reason: 'Succeeded', message: 'The pod has completed successfully.' }];
  if (status?.phase === 'Failed') return [{ ...ended, reason: 'Failed', message: 'The pod failed.' }];
  return [];
}

export const podColumns: Column<Pod>[] = [
  nameColumn,
  {
    name: 'Ready',
    type: 'string',
    description: 'Containers that are ready, of all.',
    cell: (pod) => {
      const { ready, total } = summarize(pod);
      return `${ready}/${total}`;
    },
  },
  {
    name: 'Status',
    type: 'string',
    description: 'Phase of the pod, or why its containers do not run.',
    cell: (pod) => summarize(pod).reason,
  },
  {
    name: 'Restarts',
    type: 'string',
    description: 'Restarts of all containers, and when the last was.',
    cell: restarts,
  },
  ageColumn,
  {
    name: 'IP',
    type: 'string',
    priority: 1,
    description: 'First address of the pod.',
    cell: (pod) => pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || '<none>',
  },
  {
    name: 'Node',
    type: 'string',
    priority: 1,
    description: 'Node that the pod is bound to.',
    cell: (pod) => pod.spec.nodeName || '<none>',
  },
  {
    name: 'Nominated Node',
    type: 'string',
    priority: 1,
    description: 'Node on which the pod is expected to fit once others have left it.',
    cell: (pod) => pod.status?.nominatedNodeName || '<none>',
  },
  {
    name: 'Readiness Gates',
    type: 'string',
    priority: 1,
    description: 'Readiness gates that are true, of all.',
    cell: readinessGates,
  },
];
