/** What a check of the Pod Security Standards is, and the words that its findings share. */
import type { Container, PodSecurityContext, PodSpec, SecurityContext } from '#types';

export type Level = 'privileged' | 'baseline' | 'restricted';

/** Why a pod is forbidden: in short, and which part of it. */
export interface Finding {
  reason: string;
  detail: string;
}

/** What is looked at of a pod or of a workload's template. */
export interface PodView {
  annotations: Record<string, string>;
  spec: PodSpec;
}

/** Undefined: allowed. */
export type CheckPod = (pod: PodView) => Finding | undefined;

export interface Check {
  id: string;
  level: 'baseline' | 'restricted';
  /** By the minor version of Kubernetes from which on they hold, ascending. */
  versions: { from: number; check: CheckPod; overrides?: string }[];
}

/** In the order in which they start: init, main, ephemeral. */
export const containersOf = ({
  initContainers,
  containers,
  ephemeralContainers,
}: PodSpec): Pick<
  Container,
  'name' | 'securityContext' | 'ports' | 'lifecycle' | 'livenessProbe' | 'readinessProbe' | 'startupProbe'
>[] => [...(initContainers ?? []), ...(containers ?? []), ...(ephemeralContainers ?? [])];

/** The names of the containers that are `bad`. */
export const namesOf = (
  { spec }: PodView,
  bad: (container: ReturnType<typeof containersOf>[number]) => unknown,
): string[] =>
  containersOf(spec)
    .filter(bad)
    .map(({ name }) => name);

export const quoted = (items: Iterable<string>): string => `"${[...items].join('", "')}"`;

export const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many);

/** `container "a"`, `containers "a", "b"`. */
export const called = (names: string[]): string => `${plural(names.length, 'container')} ${quoted(names)}`;

export const sorted = (items: Iterable<string>): string[] => [...new Set(items)].sort();

/** Who set a value that is not allowed: the pod, containers, or both; undefined: nobody. */
export function setters(
  pod: PodView,
  bad: (context: SecurityContext & PodSecurityContext) => unknown,
): string | undefined {
  const { securityContext } = pod.spec;
  const containers = namesOf(
    pod,
    (container) => container.securityContext && bad(container.securityContext as never),
  );
  const who = [
    ...(securityContext && bad(securityContext as never) ? ['pod'] : []),
    ...(containers.length > 0 ? [called(containers)] : []),
  ];
  return who.length === 0 ? undefined : who.join(' and ');
}

/** All security contexts of a pod. */
export const contextsOf = ({ spec }: PodView): (SecurityContext & PodSecurityContext)[] =>
  [spec.securityContext, ...containersOf(spec).map(({ securityContext }) => securityContext)].filter(
    (context) => context !== undefined && context !== null,
  ) as never;

export const isWindows = ({ spec }: PodView): boolean => spec.os?.name === 'windows';

/** A check that pods for Windows pass: their validation refuses what it asks for. */
export const exceptWindows =
  (check: CheckPod): CheckPod =>
  (pod) =>
    isWindows(pod) ? undefined : check(pod);

/** A check that pods with a user namespace of their own pass (KEP-127). */
export const exceptUserNamespaces =
  (check: CheckPod): CheckPod =>
  (pod) =>
    pod.spec.hostUsers === false ? undefined : check(pod);
