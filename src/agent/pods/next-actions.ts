/** What to do next for a pod: a pure function of what is wanted and what there is. */
import type { Container, ContainerRestartRule, Pod } from '#types';

export interface ContainerView {
  /** `starting` and `stopping`: an operation on it is under way. */
  state: 'none' | 'starting' | 'running' | 'stopping' | 'exited';
  exitCode: number;
  /** Its last run ended in another sandbox, which is gone. */
  stale?: boolean;
  /** Milliseconds since the epoch: no start before this. Infinity: never, as it is. */
  notBefore: number;
  /** Its image is here. */
  image: boolean;
  /** Running, its startup probe passed and its postStart hook done. */
  started: boolean;
  /** It failed a probe or a hook, or must go for another reason. */
  unhealthy?: string;
  /** A start failed for a reason that only a change of another object can mend. */
  blocked?: boolean;
  /** It starts again, whatever its restart policy says. */
  again?: boolean;
}

export interface PodView {
  pod: Pod;
  sandbox: 'none' | 'creating' | 'ready' | 'dead' | 'removing';
  volumes: 'none' | 'mounting' | 'ready' | 'failed';
  containers: Record<string, ContainerView>;
  /** Deleted, evicted, past its deadline: all containers end. */
  terminating: boolean;
}

export type Action =
  | { do: 'createSandbox' }
  | { do: 'removeSandbox' }
  | { do: 'mountVolumes' }
  | { do: 'ensureImage'; container: Container }
  | { do: 'start'; container: Container }
  /** `graceMs`: instead of the pod's own. */
  | { do: 'stop'; container: Container; reason: string; graceMs?: number }
  /** All have ended, to start anew from the first init container on. */
  | { do: 'startOver' }
  /** Look again at that time: the container is to start no earlier. */
  | { do: 'wait'; until: number; container: Container }
  /** Nothing runs and nothing will: the last status can go out, then all is taken down. */
  | { do: 'finish' };

/** Containers that are added to a pod that is there, to look into it: they start at once, and only once (KEP-277). */
export const ephemeralContainers = ({ spec }: Pod): Container[] =>
  (spec.ephemeralContainers ?? []) as Container[];

export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';

/** Whether a container that ended so is to run again (kubelet `ShouldContainerBeRestarted`). */
export function restarts(pod: Pod, container: Container, exitCode: number, init: boolean): boolean {
  if (restartRule(container, exitCode)) return true;
  const policy = container.restartPolicy ?? pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  if (policy === 'OnFailure' || (init && !isSidecar(container))) return exitCode !== 0;
  return true;
}

function restartRule({ restartPolicyRules }: Container, exitCode: number): ContainerRestartRule | undefined {
  return restartPolicyRules?.find(({ exitCodes }) => {
    const isIn = exitCodes?.values?.includes(exitCode) ?? false;
    return exitCodes?.operator === 'NotIn' ? !isIn : isIn;
  });
}

/** Whether a container that ends so takes all of its pod with it, to start anew (KEP-5532). */
export const endsAll = (container: Container, exitCode: number): boolean =>
  restartRule(container, exitCode)?.action === 'RestartAllContainers';

/** What has become of a container's last run. */
interface Run {
  state?: string;
  exitCode?: number;
  again?: boolean;
}

/** Whether one has ended that takes all with it, and they have not yet been told to start over. */
export const restartsAll = (pod: Pod, runOf: (name: string) => Run | undefined): boolean =>
  podContainers(pod).some((container) => {
    const { state, again, exitCode = 0 } = runOf(container.name) ?? {};
    return state === 'exited' && !again && endsAll(container, exitCode);
  });

/** Whether any container of it may take all with it. */
export const mayRestartAll = (pod: Pod): boolean =>
  podContainers(pod).some((container) =>
    container.restartPolicyRules?.some(({ action }) => action === 'RestartAllContainers'),
  );

const podContainers = ({ spec }: Pod): Container[] => [...(spec.initContainers ?? []), ...spec.containers];

/** Whether nothing of a pod runs any more, nor will. */
export function isComplete({ pod, containers }: PodView): boolean {
  if (restartsAll(pod, (name) => containers[name])) return false;
  const over = (container: Container, init: boolean) => {
    const view = containers[container.name];
    return view?.state === 'exited' && !view.again && !restarts(pod, container, view.exitCode, init);
  };
  const init = (pod.spec.initContainers ?? []).filter((c) => !isSidecar(c));
  const failed = init.some((c) => over(c, true) && containers[c.name]!.exitCode !== 0);
  return failed || pod.spec.containers.every((c) => over(c, false));
}

export function nextActions(view: PodView, now: number): Action[] {
  if (view.terminating) return terminate(view);
  if (restartsAll(view.pod, (name) => view.containers[name])) return startOver(view);
  if (isComplete(view)) return terminate(view);
  switch (view.sandbox) {
    case 'creating':
    case 'removing':
      return prepare(view, now);
    case 'dead':
      return [{ do: 'removeSandbox' }];
    case 'none':
      return [{ do: 'createSandbox' }, ...prepare(view, now)];
    case 'ready':
      return [...prepare(view, now), ...debug(view, now), ...run(view, now)];
  }
}

/** Without grace or hooks: they do not end for good. */
function startOver({ pod, containers }: PodView): Action[] {
  const isIn = (container: Container, ...states: ContainerView['state'][]) =>
    states.includes((containers[container.name] ?? emptyView).state);
  const all = podContainers(pod);
  const running = all.filter((container) => isIn(container, 'running'));
  if (running.length > 0)
    return running.map((container) => ({ do: 'stop', container, reason: '', graceMs: 0 }));
  return all.some((container) => isIn(container, 'starting', 'stopping')) ? [] : [{ do: 'startOver' }];
}

/** What does not need the sandbox, and is done beside it. */
function prepare({ pod, volumes, containers }: PodView, now: number): Action[] {
  const images = [...podContainers(pod), ...ephemeralContainers(pod)]
    .filter(({ name }) => {
      const { image, state, notBefore } = containers[name] ?? emptyView;
      return !image && state === 'none' && notBefore <= now;
    })
    .map((container): Action => ({ do: 'ensureImage', container }));
  return volumes === 'none' ? [{ do: 'mountVolumes' }, ...images] : images;
}

function debug(view: PodView, now: number): Action[] {
  return ephemeralContainers(view.pod)
    .filter(({ name }) => (view.containers[name] ?? emptyView).state === 'none' && !hasRun(view.pod, name))
    .flatMap((container) => begin(view, container, now));
}

/** Before all that is known here: the machine was switched off since. */
const hasRun = ({ status }: Pod, name: string): boolean =>
  status?.ephemeralContainerStatuses?.some((c) => c.name === name && c.containerID) ?? false;

function run(view: PodView, now: number): Action[] {
  const { pod, containers } = view;
  const actions: Action[] = [];
  const has = (c: Container) => containers[c.name] ?? emptyView;
  const initialized = pod.spec.containers.some((c) => has(c).state !== 'none' && !has(c).stale);
  for (const container of pod.spec.initContainers ?? []) {
    const { state, exitCode, started, stale } = has(container);
    if (isSidecar(container)) {
      actions.push(...keepRunning(view, container, now, true));
      if (!initialized && !(state === 'running' && started)) return actions;
    } else if (!initialized) {
      if (state === 'exited' && exitCode === 0 && !stale) continue;
      actions.push(...keepRunning(view, container, now, true));
      return actions;
    }
  }
  for (const container of pod.spec.containers) {
    const next = keepRunning(view, container, now, false);
    actions.push(...next);
    // One after the other: a postStart hook ends before the next container starts.
    if (has(container).state === 'starting' || next.some((action) => action.do === 'start')) break;
  }
  return actions;
}

function keepRunning(view: PodView, container: Container, now: number, init: boolean): Action[] {
  const state = view.containers[container.name] ?? emptyView;
  if (state.state === 'running')
    return state.unhealthy ? [{ do: 'stop', container, reason: state.unhealthy }] : [];
  if (state.state === 'starting' || state.state === 'stopping') return [];
  const again =
    state.again ||
    (state.stale && init) ||
    state.state === 'none' ||
    restarts(view.pod, container, state.exitCode, init);
  return again ? begin(view, container, now) : [];
}

function begin(view: PodView, container: Container, now: number): Action[] {
  const state = view.containers[container.name] ?? emptyView;
  if (state.blocked || view.volumes !== 'ready') return [];
  if (state.notBefore === Number.POSITIVE_INFINITY) return [];
  if (state.notBefore > now) return [{ do: 'wait', until: state.notBefore, container }];
  return state.image ? [{ do: 'start', container }] : [{ do: 'ensureImage', container }];
}

/** Main containers first, all at once; then sidecars, the last started first. */
function terminate({ pod, sandbox, containers, volumes }: PodView): Action[] {
  const alive = (c: Container) =>
    ['running', 'starting', 'stopping'].includes(containers[c.name]?.state ?? 'none');
  const stop = (c: Container): Action[] =>
    containers[c.name]?.state === 'running' ? [{ do: 'stop', container: c, reason: '' }] : [];
  const init = pod.spec.initContainers ?? [];
  const main = [...pod.spec.containers, ...init.filter((c) => !isSidecar(c)), ...ephemeralContainers(pod)];
  if (main.some(alive)) return main.flatMap(stop);
  const sidecar = init.filter(isSidecar).findLast(alive);
  if (sidecar) return stop(sidecar);
  const busy = sandbox === 'creating' || sandbox === 'removing' || volumes === 'mounting';
  return busy ? [] : [{ do: 'finish' }];
}

const emptyView: ContainerView = { state: 'none', exitCode: 0, notBefore: 0, image: false, started: false };
