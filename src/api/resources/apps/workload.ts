/** What Deployments and ReplicaSets share: selector, template, counts. */
import type { LabelSelector, PodTemplateSpec } from '#types';
import { child, type FieldError, forbidden, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { labelSelector } from '../../machinery/selectors.js';
import type { KubeObject } from '../../machinery/types.js';
import { validateLabelSelector, validateNonnegative } from '../../machinery/validation.js';
import { validatePodTemplate } from '../core/podspec/validate-spec.js';
import { podSpecWarnings } from '../core/podspec/warnings.js';

/** The selector is there, and not empty. */
export function validateSelector(selector: LabelSelector | undefined, path: string): FieldError[] {
  if (!selector) return [required(path)];
  const errors = validateLabelSelector(selector, path);
  const terms = Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions?.length ?? 0);
  if (terms === 0) errors.push(invalid(path, selector, 'empty selector is invalid for deployment'));
  return errors;
}

/** What is said of a selector that can't be read; of one of DaemonSets its own errors are all there are. */
const UNREADABLE: Record<string, string | undefined> = {
  StatefulSet: '',
  ReplicaSet: 'invalid label selector',
};

/** The template of pods that always run and that the selector matches; `brief`: all but the pod itself. */
export function validateTemplate(
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
  kind: string,
  brief = false,
): FieldError[] {
  const path = 'spec.template';
  if (!template) return [required(path)];
  const errors: FieldError[] = [];
  const labels = template.metadata?.labels;
  const matches = selectorMatches(selector, labels);
  if (matches === undefined && UNREADABLE[kind] !== undefined)
    errors.push(invalid('spec.selector', selector, UNREADABLE[kind]));
  if (matches === false)
    errors.push(
      invalid(child(path, 'metadata', 'labels'), labels, '`selector` does not match template `labels`'),
    );
  if (!brief) errors.push(...validatePodTemplate(template, path));
  const policy = template.spec?.restartPolicy ?? '';
  if (policy !== 'Always')
    errors.push(notSupported(child(path, 'spec', 'restartPolicy'), policy, ['Always']));
  if (template.spec?.activeDeadlineSeconds !== undefined)
    errors.push(
      forbidden(
        child(path, 'spec', 'activeDeadlineSeconds'),
        `activeDeadlineSeconds in ${kind} is not Supported`,
      ),
    );
  return errors;
}

/** Undefined when the selector can't be read; an absent one matches nothing. */
function selectorMatches(
  selector: LabelSelector | undefined,
  labels: Record<string, string> | undefined,
): boolean | undefined {
  try {
    const parsed = labelSelector(selector);
    return parsed.empty || parsed.matches(labels ?? {});
  } catch {
    return undefined;
  }
}

/** Counts of a status: none negative, and none of the parts above the whole. */
export function validateCounts(
  status: Record<string, unknown>,
  counts: readonly string[],
  atMostReplicas: readonly string[],
): FieldError[] {
  const count = (field: string) => (status[field] as number | undefined) ?? 0;
  const errors = counts.flatMap((field) => validateNonnegative(count(field), child('status', field)));
  for (const field of atMostReplicas)
    if (count(field) > count('replicas'))
      errors.push(invalid(child('status', field), count(field), 'cannot be greater than status.replicas'));
  if (count('availableReplicas') > count('readyReplicas'))
    errors.push(
      invalid('status.availableReplicas', count('availableReplicas'), 'cannot be greater than readyReplicas'),
    );
  return errors;
}

/** What has a template of pods. */
interface Workload extends KubeObject {
  spec: { template?: PodTemplateSpec };
}

/** Of a changed template: the generation tells. */
export function templateWarnings(object: Workload, old: Workload | undefined): string[] {
  const { template } = object.spec;
  return template?.spec && object.metadata.generation !== old?.metadata.generation
    ? podSpecWarnings(template.spec, template.metadata, 'spec.template')
    : [];
}

/** Of a new object whose name begins those of its pods, and so their host names. */
export function nameWarnings({ metadata }: KubeObject, old: KubeObject | undefined): string[] {
  const wrong = metadata.name ? dns1123Label(metadata.name) : [];
  return old || wrong.length === 0
    ? []
    : [
        `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${wrong.join(' ')}]`,
      ];
}
