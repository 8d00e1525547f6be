/** Label and field selectors of a request as one predicate. */
import { parseFieldSelector, parseLabelSelector } from '../../api/machinery/selectors.js';
import { badRequest, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';

export interface Filter {
  /** Whether every object passes. */
  everything: boolean;
  /** The one name that can pass, if the selector fixes it. */
  name: string | undefined;
  matches(object: KubeObject): boolean;
}

const EVERYTHING: Filter = { everything: true, name: undefined, matches: () => true };

/** Throws 400 in upstream's words for a malformed selector or a field that can't be selected by. */
export function compileFilter(resource: Resource, labelSelector: string, fieldSelector: string): Filter {
  if (labelSelector === '' && fieldSelector === '') return EVERYTHING;
  try {
    return compile(resource, labelSelector, fieldSelector);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest((error as Error).message);
  }
}

function compile(resource: Resource, labelSelector: string, fieldSelector: string): Filter {
  const labels = labelSelector === '' ? undefined : parseLabelSelector(labelSelector);
  const terms = fieldSelector === '' ? [] : parseFieldSelector(fieldSelector).requirements;
  const fields = terms.map(({ field, operator, value }) => ({
    get: fieldGetter(resource, field),
    equal: operator !== '!=',
    value,
  }));
  return {
    everything: labels === undefined && fields.length === 0,
    name: terms.find((term) => term.field === 'metadata.name' && term.operator !== '!=')?.value,
    matches: (object) =>
      (labels === undefined || labels.matches(object.metadata.labels ?? {})) &&
      fields.every(({ get, equal, value }) => (get(object) === value) === equal),
  };
}

function fieldGetter(resource: Resource, field: string): (object: KubeObject) => string {
  if (field === 'metadata.name') return (object) => object.metadata.name ?? '';
  if (field === 'metadata.namespace' && resource.namespaced)
    return (object) => object.metadata.namespace ?? '';
  const getter = resource.fields[field];
  if (getter) return getter;
  const why =
    Object.keys(resource.fields).length > 0 || resource.custom
      ? `field label not supported: ${field}`
      : `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
  throw badRequest(why);
}
