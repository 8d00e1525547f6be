/**
 * The restricted level: what is good practice is asked for.
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
import type { Volume } from '#types';
import { procMount, seccompFields } from './baseline.js';
import {
  type Check,
  type CheckPod,
  called,
  containersOf,
  exceptUserNamespaces,
  exceptWindows,
  namesOf,
  plural,
  quoted,
  setters,
  sorted,
} from './check.js';

const allowPrivilegeEscalation: CheckPod = (pod) => {
  const bad = namesOf(pod, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
  if (bad.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${called(bad)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

const capabilities: CheckPod = (pod) => {
  const of = (container: ReturnType<typeof containersOf>[number]) => container.securityContext?.capabilities;
  const added = (container: ReturnType<typeof containersOf>[number]) =>
    (of(container)?.add ?? []).filter((name) => name !== 'NET_BIND_SERVICE');
  const keeping = namesOf(pod, (container) => !of(container)?.drop?.includes('ALL'));
  const adding = namesOf(pod, (container) => added(container).length > 0);
  const names = sorted(containersOf(pod.spec).flatMap(added));
  const details = [
    ...(keeping.length > 0 ? [`${called(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding.length > 0
      ? [`${called(adding)} must not include ${quoted(names)} in securityContext.capabilities.add`]
      : []),
  ];
  if (details.length === 0) return undefined;
  return { reason: 'unrestricted capabilities', detail: details.join('; ') };
};

const ALLOWED_VOLUMES: (keyof Volume)[] = [
  ...(['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image'] as const),
  ...(['persistentVolumeClaim', 'projected', 'secret'] as const),
];

const volumeTypes: CheckPod = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter((volume) => !ALLOWED_VOLUMES.some((type) => volume[type]));
  if (bad.length === 0) return undefined;
  const typeOf = ({ name: _, ...sources }: Volume) =>
    Object.entries(sources).find(([, source]) => source)?.[0] ?? 'unknown';
  const types = sorted(bad.map(typeOf));
  const verb = plural(bad.length, 'uses', 'use');
  return {
    reason: 'restricted volume types',
    detail: `${plural(bad.length, 'volume')} ${quoted(bad.map(({ name }) => name))} ${verb} ${plural(types.length, 'restricted volume type')} ${quoted(types)}`,
  };
};

const runAsNonRoot: CheckPod = (pod) => {
  const reason = 'runAsNonRoot != true';
  const who = setters(pod, (context) => context.runAsNonRoot === false);
  if (who !== undefined) return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  if (pod.spec.securityContext?.runAsNonRoot) return undefined;
  const silent = namesOf(pod, ({ securityContext }) => !securityContext?.runAsNonRoot);
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${called(silent)} must set securityContext.runAsNonRoot=true` };
};

const runAsUser: CheckPod = (pod) => {
  const who = setters(pod, (context) => context.runAsUser === 0);
  return who === undefined ? undefined : { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` };
};

const seccompProfile: CheckPod = (pod) => {
  const bad = seccompFields(pod);
  if (bad || pod.spec.securityContext?.seccompProfile) return bad;
  const silent = namesOf(pod, ({ securityContext }) => !securityContext?.seccompProfile);
  if (silent.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `pod or ${called(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};

const CAPABILITIES = 'capabilities_baseline';
const SECCOMP = 'seccompProfile_baseline';

export const restrictedChecks: Check[] = [
  {
    id: 'allowPrivilegeEscalation',
    level: 'restricted',
    versions: [
      { from: 8, check: allowPrivilegeEscalation },
      { from: 25, check: exceptWindows(allowPrivilegeEscalation) },
    ],
  },
  {
    id: 'capabilities_restricted',
    level: 'restricted',
    versions: [
      { from: 22, check: capabilities, overrides: CAPABILITIES },
      { from: 25, check: exceptWindows(capabilities), overrides: CAPABILITIES },
    ],
  },
  {
    id: 'procMount_restricted',
    level: 'restricted',
    versions: [{ from: 35, check: procMount, overrides: 'procMount' }],
  },
  {
    id: 'restrictedVolumes',
    level: 'restricted',
    versions: [{ from: 0, check: volumeTypes, overrides: 'hostPathVolumes' }],
  },
  {
    id: 'runAsNonRoot',
    level: 'restricted',
    versions: [
      { from: 0, check: runAsNonRoot },
      { from: 35, check: exceptUserNamespaces(runAsNonRoot) },
    ],
  },
  {
    id: 'runAsUser',
    level: 'restricted',
    versions: [
      { from: 23, check: runAsUser },
      { from: 35, check: exceptUserNamespaces(runAsUser) },
    ],
  },
  {
    id: 'seccompProfile_restricted',
    level: 'restricted',
    versions: [
      { from: 19, check: seccompProfile, overrides: SECCOMP },
      { from: 25, check: exceptWindows(seccompProfile), overrides: SECCOMP },
    ],
  },
];
