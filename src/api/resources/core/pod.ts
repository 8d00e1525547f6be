/** Pods. */
import type { Pod } from '#types';
import { child, type FieldError, forbidden, index } from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { defineResource } from '../define.js';
import { podColumns, podRowConditions } from './pod-columns.js';
import { initialStatus, prepareStatusUpdate, validateStatusUpdate } from './pod-status.js';
import { ephemeralContainers, resize } from './pod-subresources.js';
import { validatePodUpdate } from './pod-update.js';
import { defaultPod } from './podspec/defaults.js';
import { mergeMatchLabelKeys } from './podspec/match-label-keys.js';
import { validatePodAnnotations } from './podspec/validate-annotations.js';
import { validatePodSpec } from './podspec/validate-spec.js';
import { podSpecWarnings } from './podspec/warnings.js';

const PROXY_VERBS = ['create', 'delete', 'get', 'patch', 'update'];

function validatePod(pod: Pod): FieldError[] {
  const errors = [
    ...validatePodAnnotations(pod.metadata, pod.spec, 'metadata.annotations'),
    ...validatePodSpec(pod.spec, 'spec', pod.metadata),
  ];
  if (!pod.spec.serviceAccountName)
    pod.spec.volumes?.forEach((volume, i) => {
      volume.projected?.sources?.forEach((source, j) => {
        const at = index(child(index('spec.volumes', i), 'projected', 'sources'), j);
        if (source.serviceAccountToken)
          errors.push(
            forbidden(
              child(at, 'serviceAccountToken'),
              'must not be specified when serviceAccountName is not set',
            ),
          );
      });
    });
  return errors;
}

function validateCreate(pod: Pod): FieldError[] {
  const errors: FieldError[] = [];
  if (pod.spec.ephemeralContainers?.length)
    errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  if (pod.spec.nodeName && pod.spec.schedulingGates?.length)
    errors.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  return errors;
}

function createWarnings(pod: Pod): string[] {
  const name = dns1123Label(pod.metadata.name ?? '');
  const hostname =
    name.length === 0
      ? []
      : [
          `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${name.join(' ')}]`,
        ];
  return [...hostname, ...podSpecWarnings(pod.spec, pod.metadata, '')];
}

/**
 * How long a deleted pod may stay (seconds): as asked for, else as its spec says; not at all when no node runs it.
 */
function podGracePeriodSeconds(pod: Pod, requested: number | undefined): number {
  const period = requested ?? pod.spec.terminationGracePeriodSeconds ?? 0;
  const over = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (!pod.spec.nodeName || over) return 0;
  return period < 0 ? 1 : period;
}

export const pods = defineResource<Pod>({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  generation: true,
  subresources: [
    { name: 'attach', kind: 'PodAttachOptions', verbs: ['create', 'get'] },
    { name: 'binding', kind: 'Binding', verbs: ['create'] },
    { name: 'ephemeralcontainers', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
    { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
    { name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
    { name: 'log', kind: 'Pod', verbs: ['get'] },
    { name: 'portforward', kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
    { name: 'proxy', kind: 'PodProxyOptions', verbs: PROXY_VERBS },
    { name: 'resize', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
    { name: 'status', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
  ],
  updates: {
    ephemeralcontainers: ephemeralContainers(validatePod),
    resize: resize(validatePod),
  },
  defaults: defaultPod,
  prepareForCreate(pod) {
    initialStatus(pod);
    mergeMatchLabelKeys(pod);
  },
  prepareForStatusUpdate: prepareStatusUpdate,
  validate: validatePod,
  validateCreate,
  validateUpdate: validatePodUpdate,
  validateStatusUpdate,
  // An update warns of nothing: controllers and agents make it, and often.
  warnings: (pod, old) => (old ? [] : createWarnings(pod)),
  columns: podColumns,
  rowConditions: podRowConditions,
  fields: {
    'spec.nodeName': (pod) => pod.spec.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => `${pod.spec.hostNetwork ?? false}`,
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '',
    'status.podIPs': (pod) => (pod.status?.podIPs ?? []).map((entry) => entry.ip).join(','),
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
  deletion: {
    gracePeriodSeconds: (object, requested) => podGracePeriodSeconds(object as Pod, requested),
  },
});
