/** Groups of the Kubernetes community are protected: kinds in them tell where their API was approved. */
import type { CustomResourceDefinition } from '#types';
import { type FieldError, invalid, required } from '../../machinery/field.js';

export const APPROVAL_ANNOTATION = 'api-approved.kubernetes.io';
const PATH = `metadata.annotations[${APPROVAL_ANNOTATION}]`;
const SEE = 'see https://github.com/kubernetes/enhancements/pull/1111';

export const isProtected = (group: string): boolean => /(^|\.)(k8s|kubernetes)\.io$/.test(group);

export type Approval = 'missing' | 'invalid' | 'bypassed' | 'approved';

/** What a definition says of its approval, and that in the words of its condition. */
export function approvalOf({ metadata }: CustomResourceDefinition): { state: Approval; reason: string } {
  const value = metadata.annotations?.[APPROVAL_ANNOTATION] ?? '';
  if (value === '')
    return {
      state: 'missing',
      reason: `protected groups must have approval annotation ${JSON.stringify(APPROVAL_ANNOTATION)}, ${SEE}`,
    };
  if (value.startsWith('unapproved'))
    return { state: 'bypassed', reason: `not approved: ${JSON.stringify(value)}` };
  if (URL.canParse(value) && new URL(value).host !== '')
    return { state: 'approved', reason: `approved in ${value}` };
  return {
    state: 'invalid',
    reason: `protected groups must have approval annotation ${JSON.stringify(APPROVAL_ANNOTATION)} with either a URL or a reason starting with "unapproved", ${SEE}`,
  };
}

/** An update may leave as bad as it was what it found so. */
export function approvalErrors(
  object: CustomResourceDefinition,
  old?: CustomResourceDefinition,
): FieldError[] {
  if (!isProtected(object.spec.group)) return [];
  const { state, reason } = approvalOf(object);
  if (old && approvalOf(old).state === state) return [];
  if (state === 'missing') return [required(PATH, reason)];
  if (state === 'invalid') return [invalid(PATH, object.metadata.annotations?.[APPROVAL_ANNOTATION], reason)];
  return [];
}
