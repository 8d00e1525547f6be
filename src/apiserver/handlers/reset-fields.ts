/** The fields that a write leaves as they are, and so can't own (upstream's `GetResetFields` of the strategies). */
import { type FieldFilter, type FieldSet, setOf } from '../../api/apply/index.js';
import type { Resource } from '../../api/resources/define.js';

const field = (...names: string[]): string[] => names.map((name) => (name === '*' ? name : `f:${name}`));
const exclude = (...paths: string[][]): FieldFilter => ({ exclude: setOf(...paths) });
const include = (...paths: string[][]): FieldFilter => ({ include: setOf(...paths) as FieldSet });

const STATUS = exclude(field('status'));
const SPEC = exclude(field('spec'));

const SPECIAL: Record<string, FieldFilter> = {
  'apps/deployments/status': exclude(field('spec'), field('metadata', 'labels')),
  '/pods/status': exclude(
    field('spec'),
    field('metadata', 'deletionTimestamp'),
    field('metadata', 'ownerReferences'),
  ),
  '/pods/ephemeralcontainers': include(field('spec', 'ephemeralContainers')),
  '/pods/resize': include(
    ...['containers', 'initContainers'].flatMap((list) => [
      field('spec', list, '*', 'resources'),
      field('spec', list, '*', 'resizePolicy'),
    ]),
  ),
  '/namespaces/finalize': STATUS,
};

/** Undefined where everything can be owned. */
export function resetFields(resource: Resource, subresource: string): FieldFilter | undefined {
  const special = SPECIAL[`${resource.group}/${resource.plural}/${subresource}`];
  if (special !== undefined) return special;
  if (subresource === 'status') return SPEC;
  return subresource === '' && resource.hasStatus ? STATUS : undefined;
}
