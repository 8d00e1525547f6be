/** The identity of a StatefulSet's pods: ordinals, names, labels, volumes (upstream `stateful_set_utils.go`). */
import type { ControllerRevision, Pod, StatefulSet, Volume } from '#types';
import { deepFreeze } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { podFromTemplate } from '../pod-control.js';
import { REVISION_LABEL, templateOf } from '../revisions.js';

const NAME_LABEL = 'statefulset.kubernetes.io/pod-name';
const INDEX_LABEL = 'apps.kubernetes.io/pod-index';

export const podName = (set: StatefulSet, ordinal: number): string => `${set.metadata.name}-${ordinal}`;

/** The ordinal of a pod of the set; undefined for a pod that is not named as one. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const { name } = pod.metadata;
  const text = name.slice(prefix.length);
  return name.startsWith(prefix) && /^(0|[1-9]\d*)$/.test(text) ? Number(text) : undefined;
}

export const startOrdinal = (set: StatefulSet): number => set.spec.ordinals?.start ?? 0;

export const revisionOf = (pod: Pod): string => pod.metadata.labels?.[REVISION_LABEL] ?? '';

export const claimName = (set: StatefulSet, template: string, ordinal: number): string =>
  `${template}-${podName(set, ordinal)}`;

/** The pod of one ordinal, by the template of a revision. */
export function podOf(set: StatefulSet, ordinal: number, revision: ControllerRevision): Pod {
  const { generateName: _, ...metadata } = podFromTemplate(templateOf(revision), set).metadata;
  const name = podName(set, ordinal);
  const template = templateOf(revision);
  return deepFreeze({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      name,
      labels: {
        ...metadata.labels,
        [NAME_LABEL]: name,
        [INDEX_LABEL]: String(ordinal),
        [REVISION_LABEL]: revision.metadata.name,
      },
    },
    spec: {
      ...template.spec,
      hostname: name,
      ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...volumesOf(set, ordinal, template.spec?.volumes ?? []),
    },
  }) as unknown as Pod;
}

/** The volumes of the template, those of the claims in place of their namesakes. */
function volumesOf(set: StatefulSet, ordinal: number, own: Volume[]): { volumes?: Volume[] } {
  const names = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name);
  const claims = names.map((name) => ({
    name,
    persistentVolumeClaim: { claimName: claimName(set, name, ordinal) },
  }));
  const volumes = [...claims, ...own.filter(({ name }) => !names.includes(name))];
  return volumes.length === 0 ? {} : { volumes };
}

/** What a pod lacks of its identity, as a merge patch of its metadata; undefined when it has all. */
export function identityRepair(set: StatefulSet, pod: Pod): { labels: Record<string, string> } | undefined {
  const ordinal = ordinalOf(set, pod);
  if (ordinal === undefined) return undefined;
  const labels = { [NAME_LABEL]: pod.metadata.name, [INDEX_LABEL]: String(ordinal) };
  const kept = { ...pod.metadata.labels, ...labels };
  return sameJson(kept, pod.metadata.labels) ? undefined : { labels };
}
