/** The status of a pod from what its containers do: a pure function (kubelet `generateAPIPodStatus`, `getPhase`). */
import type {
  ContainerStatus as ApiContainerStatus,
  Container,
  Pod,
  PodCondition,
  PodStatus,
  ResourceRequirements,
  ResourceStatus,
} from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { hasResources } from '../../api/resources/core/podspec/amounts.js';
import type { ContainerStatus } from '../../runtime/types.js';
import { isRecursive } from './container-config.js';
import { ephemeralContainers, isSidecar, mayRestartAll, restarts, restartsAll } from './next-actions.js';
import type { PodFailure } from './pod-end.js';
import { qosClass } from './resources.js';

/** What the worker knows of one container. */
export interface ContainerRecord {
  /** The newest run; it may have been in a sandbox that is gone. */
  latest?: ContainerStatus;
  /** The run before. */
  last?: ContainerStatus;
  /** How a run could not begin or was ended, by container id: reason and message. */
  notes: Map<string, { reason?: string; message?: string }>;
  restartCount: number;
  /** It is to start again, whatever its restart policy says. */
  again?: boolean;
  /** Why it is not running. */
  waiting?: { reason: string; message?: string };
  imageName: string;
  imageId: string;
  ready: boolean;
  started: boolean;
  /** What its run has in fact, which may differ for a while from what it has been given. */
  resources?: ResourceRequirements;
  /** `resources` with the limits that it has of its pod. */
  applied?: ResourceRequirements;
  user?: { uid: number; gid: number; supplementalGroups: number[] };
}

export interface StatusInput {
  pod: Pod;
  records: Record<string, ContainerRecord>;
  /** The status that was computed or told before: transition times are kept from it. */
  previous: PodStatus | undefined;
  /** One of each IP family. */
  hostIPs: string[];
  /** None: the pod has no address yet. */
  podIPs: string[];
  /** The sandbox is up and has its address. */
  sandboxReady: boolean;
  /** No container is going to run any more. */
  over: boolean;
  /** Why the whole pod failed: `DeadlineExceeded`, `Evicted`. */
  failure?: PodFailure;
  /** What the pod as a whole has in fact, where it asks for resources as a whole. */
  resources?: ResourceRequirements;
  /** Of a resize; they are there only while there is one. */
  resize?: Condition[];
  /** Of a container: how the devices are that it was given. */
  devices?: (container: string) => ResourceStatus[];
  startTime: number;
  now: number;
}

export function podStatus(input: StatusInput): PodStatus {
  const { pod, records, previous, hostIPs, podIPs, now } = input;
  const containerStatuses = pod.spec.containers.map((c) => containerStatus(input, c, records[c.name], false));
  const initContainerStatuses = (pod.spec.initContainers ?? []).map((c) =>
    containerStatus(input, c, records[c.name], true),
  );
  const ephemeralContainerStatuses = ephemeralContainers(pod).map((c) => {
    const before = previous?.ephemeralContainerStatuses?.find(({ name }) => name === c.name);
    if (before?.containerID && !records[c.name]?.latest) return lost(before);
    // Nothing waits for them, so nothing probes them; nor are they resized.
    const { started: _, resources: _none, ...status } = containerStatus(input, c, records[c.name], false);
    return { ...status, ready: false };
  });
  const due = podPhase(input, initContainerStatuses, containerStatuses);
  // It is over once nothing runs any more: sidecars stop last.
  const runs = Object.values(records).some(({ latest }) => latest?.state === 'running');
  const phase = isTerminal(due) && runs ? (previous?.phase ?? 'Pending') : due;
  const generation = pod.metadata.generation;
  const failure = input.failure ?? (previous?.phase === 'Failed' && previous.reason ? previous : undefined);
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase,
    conditions: conditions(input, due, initContainerStatuses, containerStatuses).map((condition) => ({
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      ...condition,
      lastProbeTime: null as unknown as string,
      lastTransitionTime: transitionTime(condition, previous, now),
    })),
    ...(failure?.reason ? { reason: failure.reason, message: failure.message } : {}),
    hostIP: hostIPs[0]!,
    hostIPs: hostIPs.map((ip) => ({ ip })),
    ...(podIPs.length > 0 ? { podIP: podIPs[0]!, podIPs: podIPs.map((ip) => ({ ip })) } : {}),
    startTime: previous?.startTime ?? timestamp(input.startTime),
    ...(initContainerStatuses.length > 0 ? { initContainerStatuses } : {}),
    containerStatuses,
    ...(ephemeralContainerStatuses.length > 0 ? { ephemeralContainerStatuses } : {}),
    qosClass: qosClass(pod),
    ...podResources(input),
  };
}

/** What the pod as a whole has been given, and what it has (KEP-5419). */
function podResources({ pod, resources = pod.spec.resources }: StatusInput): Partial<PodStatus> {
  const given = pod.spec.resources;
  if (!hasResources(given)) return {};
  return {
    ...(given?.requests ? { allocatedResources: given.requests } : {}),
    ...(resources ? { resources } : {}),
  };
}

function transitionTime(condition: PodCondition, previous: PodStatus | undefined, now: number): string {
  const before = previous?.conditions?.find((c) => c.type === condition.type);
  return before?.status === condition.status && before.lastTransitionTime
    ? before.lastTransitionTime
    : timestamp(now);
}

/** Of a container that runs no more, and of whose end nothing is known. */
function lost(before: ApiContainerStatus): ApiContainerStatus {
  if (!before.state?.running) return before;
  const terminated = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
    startedAt: null as unknown as string,
    finishedAt: null as unknown as string,
  };
  return { ...before, state: { terminated } };
}

const containerId = (status: ContainerStatus): string => `keelson://${status.id}`;

function terminated(status: ContainerStatus, record: ContainerRecord) {
  const note = record.notes.get(status.id);
  const reason =
    note?.reason ?? (status.oomKilled ? 'OOMKilled' : status.exitCode === 0 ? 'Completed' : 'Error');
  return {
    terminated: {
      exitCode: status.exitCode,
      reason,
      ...(note?.message ? { message: note.message } : {}),
      startedAt: timestamp(status.startedAt),
      finishedAt: timestamp(status.finishedAt),
      containerID: containerId(status),
    },
  };
}

function containerStatus(
  { pod, records, over, devices }: StatusInput,
  container: Container,
  record: ContainerRecord | undefined,
  init: boolean,
): ApiContainerStatus {
  const waitingForInit = !init && (pod.spec.initContainers ?? []).some((c) => !initDone(c, records[c.name]));
  const latest = record?.latest;
  let state: ApiContainerStatus['state'];
  let lastState: ApiContainerStatus['lastState'] = record?.last ? terminated(record.last, record) : {};
  if (latest?.state === 'running') state = { running: { startedAt: timestamp(latest.startedAt) } };
  else if (latest?.state === 'exited') {
    state = terminated(latest, record!);
    // A run that will be followed by another is the last one: the container waits for the next.
    if (record?.waiting && !over && restarts(pod, container, latest.exitCode, init)) {
      lastState = state;
      state = { waiting: record.waiting };
    }
  } else {
    const reason = waitingForInit || (init && !record?.waiting) ? 'PodInitializing' : 'ContainerCreating';
    state = { waiting: record?.waiting ?? { reason } };
  }
  const running = latest?.state === 'running';
  const done = init && !isSidecar(container) && latest?.state === 'exited' && latest.exitCode === 0;
  const mounts = container.volumeMounts?.map((mount) => ({
    name: mount.name,
    mountPath: mount.mountPath,
    ...(mount.readOnly
      ? { readOnly: true, recursiveReadOnly: isRecursive(mount) ? 'Enabled' : 'Disabled' }
      : {}),
  }));
  // Those that can be resized tell what they have, be it nothing.
  const isResizable = latest && (!init || isSidecar(container));
  const { resources = {} } = container;
  const actual = running ? (record?.resources ?? resources) : resources;
  const deviceHealth = devices?.(container.name) ?? [];
  return {
    name: container.name,
    state,
    lastState,
    ready: done || (running && (record?.ready ?? false)),
    restartCount: record?.restartCount ?? 0,
    image: record?.imageName || container.image || '',
    imageID: latest ? (record?.imageId ?? '') : '',
    ...(latest ? { containerID: containerId(latest) } : {}),
    started: running && (record?.started ?? false),
    ...(isResizable && resources.requests ? { allocatedResources: resources.requests } : {}),
    ...(isResizable ? { resources: actual } : {}),
    ...(deviceHealth.length > 0 ? { allocatedResourcesStatus: deviceHealth } : {}),
    ...(mounts?.length ? { volumeMounts: mounts } : {}),
    ...(record?.user && latest ? { user: { linux: record.user } } : {}),
  } as ApiContainerStatus;
}

function initDone(container: Container, record: ContainerRecord | undefined): boolean {
  const latest = record?.latest;
  if (isSidecar(container))
    return latest?.state === 'running' ? (record?.started ?? false) : latest !== undefined;
  return latest?.state === 'exited' && latest.exitCode === 0;
}

const areRestarting = ({ pod, records, over }: StatusInput): boolean =>
  !over &&
  restartsAll(pod, (name) => {
    const { latest, again = false } = records[name] ?? {};
    return { ...latest, again };
  });

const isTerminal = (phase: string): boolean => phase === 'Failed' || phase === 'Succeeded';

function podPhase(input: StatusInput, init: ApiContainerStatus[], main: ApiContainerStatus[]): string {
  const { pod, records, previous, failure, over } = input;
  const startsOver = areRestarting(input);
  if (previous?.phase && isTerminal(previous.phase)) return previous.phase;
  if (failure && over) return 'Failed';
  const willRun = (container: Container, isInit: boolean) => {
    const { latest, again } = records[container.name] ?? {};
    if (over || latest?.state !== 'exited') return false;
    return again || startsOver || restarts(pod, container, latest.exitCode, isInit);
  };
  const pending = (pod.spec.initContainers ?? []).filter((c) => !initDone(c, records[c.name]));
  if (pending.length > 0) {
    const failed = pending.some((c) => {
      const latest = records[c.name]?.latest;
      return !isSidecar(c) && latest?.state === 'exited' && latest.exitCode !== 0 && !willRun(c, true);
    });
    return failed ? 'Failed' : over && init.length > 0 ? 'Failed' : 'Pending';
  }
  let [running, waiting, stopped, succeeded] = [0, 0, 0, 0];
  for (const { state, lastState } of main) {
    if (state?.running) running++;
    else if (state?.terminated ?? lastState?.terminated) {
      stopped++;
      if (state?.terminated?.exitCode === 0) succeeded++;
    } else waiting++;
  }
  if (waiting > 0) return over ? 'Failed' : 'Pending';
  if (running > 0) return 'Running';
  if (pod.spec.containers.some((container) => willRun(container, false))) return 'Running';
  if (stopped === succeeded) return 'Succeeded';
  return 'Failed';
}

export type Condition = Pick<PodCondition, 'type' | 'status'> & {
  reason?: string;
  message?: string;
  observedGeneration?: number;
};

const condition = (type: string, ok: boolean, reason = '', message = ''): Condition => ({
  type,
  status: ok ? 'True' : 'False',
  ...(reason ? { reason } : {}),
  ...(message ? { message } : {}),
});

function conditions(
  input: StatusInput,
  phase: string,
  init: ApiContainerStatus[],
  main: ApiContainerStatus[],
): Condition[] {
  const { pod, records, sandboxReady, over, failure, resize = [] } = input;
  const complete = phase === 'Succeeded';
  const notInitialized = (pod.spec.initContainers ?? []).filter((c) => !initDone(c, records[c.name]));
  const initialized = complete
    ? condition('Initialized', true, 'PodCompleted')
    : notInitialized.length === 0
      ? condition('Initialized', true)
      : condition(
          'Initialized',
          false,
          'ContainersNotInitialized',
          `containers with incomplete status: [${notInitialized.map((c) => c.name).join(' ')}]`,
        );
  const sidecars = init.filter((_, i) => isSidecar(pod.spec.initContainers![i]!));
  const unready = [...sidecars, ...main].filter((status) => !status.ready).map((status) => status.name);
  const containersReady = (type: string): Condition => {
    if (complete) return condition(type, false, 'PodCompleted');
    if (phase === 'Failed') return condition(type, false, 'PodFailed');
    if (unready.length > 0)
      return condition(
        type,
        false,
        'ContainersNotReady',
        `containers with unready status: [${unready.join(' ')}]`,
      );
    return condition(type, true);
  };
  let ready = containersReady('Ready');
  if (ready.status === 'True') ready = gates(pod) ?? ready;
  const disrupted = failure?.disrupts
    ? [condition('DisruptionTarget', true, 'TerminationByKubelet', failure.message)]
    : [];
  return [
    condition('PodReadyToStartContainers', sandboxReady && !over),
    initialized,
    ready,
    containersReady('ContainersReady'),
    condition('PodScheduled', true),
    ...(mayRestartAll(pod) ? [allRestarting(input, phase)] : []),
    ...disrupted,
    ...resize,
  ];
}

/** Whether all containers are being ended to start over (KEP-5532). */
function allRestarting(input: StatusInput, phase: string): Condition {
  const type = 'AllContainersRestarting';
  if (phase === 'Succeeded') return condition(type, false, 'PodCompleted');
  if (phase === 'Failed') return condition(type, false, 'PodFailed');
  return areRestarting(input)
    ? condition(type, true, 'RestartAllContainersStarted', 'container exited with restart policy rule')
    : condition(type, false);
}

/** Readiness gates: conditions that others set (KEP-580). */
function gates(pod: Pod): Condition | undefined {
  const failing = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = pod.status?.conditions?.find((c) => c.type === conditionType);
    if (!found) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    return found.status === 'True'
      ? []
      : [`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`];
  });
  return failing.length === 0
    ? undefined
    : condition(
        'Ready',
        false,
        'ReadinessGatesNotReady',
        failing.length === 1 ? failing[0] : `[${failing.join(', ')}]`,
      );
}
