/** Which nodes a DaemonSet's pods run on, and how the pod of one node looks (upstream `daemon/util`). */
import type { DaemonSet, Node, Pod, PodSpec, PodTemplateSpec, Taint, Toleration } from '#types';
import { matchesNode } from '../../api/machinery/node-selector.js';
import { tolerated } from '../../api/machinery/taints.js';
import { REVISION_LABEL } from '../revisions.js';

const GENERATION_LABEL = 'pod-template-generation';
const GENERATION_ANNOTATION = 'deprecated.daemonset.template.generation';

/** Daemons stay where others are evicted, and start where others may not. */
const TOLERATIONS: Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const HOST_NETWORK: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
};

export interface Placement {
  /** A pod should be started here. */
  run: boolean;
  /** A pod that is here may stay. */
  stay: boolean;
}

/** What a node means for the pods of a template. */
export function placementOn(node: Node, template: PodTemplateSpec): Placement {
  const spec = template.spec as PodSpec;
  const wanted = spec.nodeName === undefined || spec.nodeName === '' || spec.nodeName === node.metadata.name;
  if (!wanted || !matchesNode(spec, node)) return { run: false, stay: false };
  const tolerations = daemonTolerations(spec);
  const repels = (effects: string[]): boolean =>
    node.spec?.taints?.some(
      (taint: Taint) => effects.includes(taint.effect) && !tolerated(tolerations, taint),
    ) === true;
  if (!repels(['NoSchedule', 'NoExecute'])) return { run: true, stay: true };
  return { run: false, stay: !repels(['NoExecute']) };
}

/** The template's tolerations and those that every daemon has. */
export function daemonTolerations(spec: PodSpec): Toleration[] {
  const result = [...(spec.tolerations ?? [])];
  for (const added of spec.hostNetwork ? [...TOLERATIONS, HOST_NETWORK] : TOLERATIONS) {
    const at = result.findIndex(
      ({ key, effect, operator, value }) =>
        key === added.key && effect === added.effect && operator === added.operator && !value,
    );
    if (at < 0) result.push(added);
    else result[at] = added;
  }
  return result;
}

/** The template of the pod for one node: bound there by node affinity, so that the scheduler still has its say. */
export function daemonTemplate(set: DaemonSet, node: string, hash: string): PodTemplateSpec {
  const { template } = set.spec;
  const spec = template.spec as PodSpec;
  const generation = set.metadata.annotations?.[GENERATION_ANNOTATION];
  const labels = {
    ...template.metadata?.labels,
    ...(generation === undefined ? {} : { [GENERATION_LABEL]: generation }),
    [REVISION_LABEL]: hash,
  };
  const terms = [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }];
  return {
    ...template,
    metadata: { ...template.metadata, labels } as PodTemplateSpec['metadata'],
    spec: {
      ...spec,
      tolerations: daemonTolerations(spec),
      affinity: {
        ...spec.affinity,
        nodeAffinity: {
          ...spec.affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms },
        },
      },
    },
  };
}

/** The node that a daemon pod is on, or is meant for; '' when it tells neither. */
export function targetNode({ spec }: Pod): string {
  if (spec.nodeName) return spec.nodeName;
  const terms =
    spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms)
    for (const { key, operator, values = [] } of matchFields)
      if (key === 'metadata.name' && operator === 'In' && values.length === 1) return values[0]!;
  return '';
}

/** Whether a pod is of the template that the hash stands for. */
export const isUpdated = (pod: Pod, hash: string): boolean => pod.metadata.labels?.[REVISION_LABEL] === hash;
