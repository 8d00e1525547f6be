/** The subresources that change a part of a pod's spec: `ephemeralcontainers` and `resize`. */
import type { Container, Pod, ResourceList, ResourceRequirements } from '#types';
import { child, type FieldError, forbidden, index, invalid, key } from '../../machinery/field.js';
import { deepCopy } from '../../machinery/types.js';
import { sameJson } from '../../machinery/validation.js';
import type { UpdateStrategy } from '../define.js';
import { validateAnnotationUpdate } from './pod-update.js';
import { hasResources } from './podspec/amounts.js';
import { isRestartableInit } from './podspec/containers.js';
import { computeQosClass, podQosClass } from './podspec/qos.js';

const MIRROR = 'kubernetes.io/config.mirror';

/** Keeps all of `old` but what `change` takes over into its spec; metadata is kept as for a status. */
function keep(pod: Pod, old: Pod, change: (spec: Pod['spec']) => void): void {
  const spec = deepCopy(old.spec);
  change(spec);
  pod.spec = spec;
  pod.status = old.status;
  const { labels, annotations, finalizers, ownerReferences, generation } = old.metadata;
  Object.assign(pod.metadata, { labels, annotations, finalizers, ownerReferences, generation });
}

/** `pods/ephemeralcontainers`: containers may be added, not changed or removed. */
export function ephemeralContainers(validatePod: (pod: Pod) => FieldError[]): UpdateStrategy<Pod> {
  return {
    prepareForUpdate(pod, old) {
      const containers = pod.spec?.ephemeralContainers;
      keep(pod, old, (spec) => {
        if (containers) spec.ephemeralContainers = containers;
        else delete spec.ephemeralContainers;
      });
    },
    validateUpdate(pod, old) {
      if (old.metadata.annotations?.[MIRROR] !== undefined)
        return [forbidden('', 'static pods do not support ephemeral containers')];
      const errors = [...validatePod(pod), ...validateAnnotationUpdate(pod, old)];
      const path = 'spec.ephemeralContainers';
      for (const before of old.spec.ephemeralContainers ?? []) {
        const now = pod.spec.ephemeralContainers?.find((c) => c.name === before.name);
        const name = JSON.stringify(before.name);
        if (!now) errors.push(forbidden(path, `existing ephemeral containers ${name} may not be removed\n`));
        else if (!sameJson(now, before))
          errors.push(forbidden(path, `existing ephemeral containers ${name} may not be changed`));
      }
      return errors;
    },
  };
}

/**
 * `pods/resize` (KEP-1287, KEP-5419): cpu and memory of containers, of sidecars and of the pod as a whole may change,
 * the QoS class may not.
 */
export function resize(validatePod: (pod: Pod) => FieldError[]): UpdateStrategy<Pod> {
  return {
    prepareForUpdate(pod, old) {
      const sameContainers = (['containers', 'initContainers'] as const).every((list) =>
        sameJson(
          (pod.spec[list] ?? []).map((c) => c.name),
          (old.spec[list] ?? []).map((c) => c.name),
        ),
      );
      // What is no resize is left as it is, for the validation to refuse.
      if (!sameContainers) return;
      const resized = pod.spec;
      keep(pod, old, (spec) => {
        if (resized.resources) spec.resources = resized.resources;
        else delete spec.resources;
        for (const list of ['containers', 'initContainers'] as const)
          spec[list]?.forEach((container, i) => {
            container.resources = resized[list]![i]!.resources;
            const policy = resized[list]![i]!.resizePolicy;
            if (policy) container.resizePolicy = policy;
            else delete container.resizePolicy;
          });
      });
    },
    validateUpdate(pod, old) {
      if (old.metadata.annotations?.[MIRROR] !== undefined)
        return [forbidden('', 'static pods cannot be resized')];
      if (old.spec.os?.name === 'windows') return [forbidden('', 'windows pods cannot be resized')];
      const errors = validatePod(pod);
      if (podQosClass(old) !== computeQosClass(pod))
        errors.push(
          invalid('spec', pod.status?.qosClass, 'Pod QOS Class may not change as a result of resizing'),
        );
      return [...errors, ...validateResized(pod, old)];
    },
  };
}

function validateResized(pod: Pod, old: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const munged = deepCopy(pod.spec);
  if (old.spec.resources || pod.spec.resources) {
    errors.push(...validateKept(pod.spec.resources, old.spec.resources, 'spec.resources'));
    munged.resources = withOldCpuAndMemory(pod.spec.resources, old.spec.resources);
    if (!old.spec.resources && !hasResources(munged.resources)) delete munged.resources;
  }
  for (const list of ['initContainers', 'containers'] as const) {
    old.spec[list]?.forEach((before, i) => {
      const now = pod.spec[list]?.[i];
      if (!now) return;
      if (list === 'initContainers' && !isRestartableInit(before)) {
        if (!sameJson(now, before))
          errors.push(forbidden('spec', 'resources for non-sidecar init containers are immutable'));
        return;
      }
      errors.push(...validateContainer(now, before, child(index(child('spec', list), i), 'resources')));
      munged[list]![i] = {
        ...now,
        ...(before.resizePolicy ? { resizePolicy: before.resizePolicy } : {}),
        resources: withOldCpuAndMemory(now.resources, before.resources),
      };
      if (!sameJson(munged[list]![i], before)) {
        const sidecars = list === 'initContainers' ? ' for sidecar containers' : '';
        errors.push(forbidden('spec', `only cpu and memory resources${sidecars} are mutable`));
      }
    });
  }
  if (errors.length === 0 && !sameJson(munged, old.spec))
    errors.push(forbidden('spec', 'only cpu and memory resources are mutable'));
  return errors;
}

/** What is asked for and limited may be more or less, but not nothing. */
function validateKept(
  now: ResourceRequirements | undefined,
  old: ResourceRequirements | undefined,
  path: string,
): FieldError[] {
  return (['requests', 'limits'] as const).flatMap((list) =>
    Object.keys(old?.[list] ?? {}).every((name) => now?.[list]?.[name] !== undefined)
      ? []
      : [forbidden(child(path, list), `resource ${list} cannot be removed`)],
  );
}

function validateContainer(now: Container, old: Container, path: string): FieldError[] {
  const errors = validateKept(now.resources, old.resources, path);
  const limit = now.resources?.limits?.['memory'];
  const before = old.resources?.limits?.['memory'];
  const policy = now.resizePolicy?.find((p) => p.resourceName === 'memory')?.restartPolicy;
  if (policy !== 'RestartContainer' && limit !== undefined && before === undefined)
    errors.push(
      forbidden(
        key(child(path, 'limits'), 'memory'),
        'memory limits cannot be added unless resizePolicy is RestartContainer',
      ),
    );
  return errors;
}

function withOldCpuAndMemory(
  now: ResourceRequirements | undefined,
  old: ResourceRequirements | undefined,
): ResourceRequirements {
  const restore = (list: ResourceList | undefined, before: ResourceList | undefined) => {
    const result = { ...list };
    for (const name of ['cpu', 'memory']) {
      delete result[name];
      if (before?.[name] !== undefined) result[name] = before[name];
    }
    return result;
  };
  return {
    ...now,
    limits: restore(now?.limits, old?.limits),
    requests: restore(now?.requests, old?.requests),
  };
}
