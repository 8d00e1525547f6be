/**
 * LimitRanger: gives containers the defaults of their namespace's LimitRanges, and keeps pods and claims within them.
 * @see https://kubernetes.io/docs/concepts/policy/limit-range/
 */
import type { Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, ResourceList } from '#types';
import { compareQuantities, quantityMilli } from '../../api/machinery/quantity.js';
import { usageOf } from '../../api/quota/usage.js';
import { pods } from '../../api/resources/core/pod.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, isResize, refuse } from './admission.js';

const ANNOTATION = 'kubernetes.io/limit-ranger';

export function limitRanger(store: Store): AdmissionPlugin {
  const itemsOf = async ({ namespace }: AdmissionRequest): Promise<LimitRangeItem[]> => {
    const { items } = await store.list(`core/limitranges/${namespace}/`);
    return items.flatMap(({ object }) => (object as unknown as LimitRange).spec?.limits ?? []);
  };
  return {
    name: 'LimitRanger',
    async admit(request) {
      if (!isNew(request, 'pods')) return;
      const items = await itemsOf(request);
      for (const item of items)
        if (item.type === 'Container') applyDefaults(request.object as unknown as Pod, item);
    },
    async validate(request) {
      const isPod = isNew(request, 'pods') || isResize(request);
      if (!isPod && !isClaim(request)) return;
      const errors = (await itemsOf(request)).flatMap((item) =>
        isPod
          ? podErrors(request.object as unknown as Pod, item)
          : claimErrors(request.object as unknown as PersistentVolumeClaim, item),
      );
      if (errors.length === 0) return;
      throw refuse(request, errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]`);
    },
  };
}

const isNew = ({ resource, operation, subresource, object }: AdmissionRequest, plural: string): boolean =>
  resource.group === '' &&
  resource.plural === plural &&
  operation === 'CREATE' &&
  subresource === '' &&
  object !== undefined;

const isClaim = ({ resource, subresource, object }: AdmissionRequest): boolean =>
  resource.group === '' &&
  resource.plural === 'persistentvolumeclaims' &&
  subresource === '' &&
  object !== undefined;

/** Fills in what containers leave open, and notes it in an annotation. */
function applyDefaults(pod: Pod, item: LimitRangeItem): void {
  const notes: string[] = [];
  const fill = (container: Container, kind: string) => {
    container.resources ??= {};
    for (const [field, word, values] of [
      ['requests', 'request', item.defaultRequest],
      ['limits', 'limit', item.default],
    ] as const) {
      const own = container.resources[field] ?? {};
      const missing = Object.keys(values ?? {}).filter((name) => own[name] === undefined);
      if (missing.length === 0) continue;
      container.resources[field] = {
        ...own,
        ...Object.fromEntries(missing.map((name) => [name, values![name]!])),
      };
      notes.push(`${missing.sort().join(', ')} ${word} for ${kind} ${container.name}`);
    }
  };
  for (const container of pod.spec.containers ?? []) fill(container, 'container');
  for (const container of pod.spec.initContainers ?? []) fill(container, 'init container');
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [ANNOTATION]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

function podErrors(pod: Pod, item: LimitRangeItem): string[] {
  if (item.type === 'Container')
    return [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])].flatMap(({ resources }) =>
      constraintErrors(item, resources?.requests ?? {}, resources?.limits ?? {}),
    );
  if (item.type !== 'Pod') return [];
  const usage = Object.entries(usageOf(pods, pod));
  const part = (prefix: string): ResourceList =>
    Object.fromEntries(
      usage
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, quantity]) => [name.slice(prefix.length), quantity]),
    );
  return constraintErrors(item, part('requests.'), part('limits.'));
}

const entries = (list: ResourceList | undefined): [string, string][] => Object.entries(list ?? {}).sort();

function constraintErrors(item: LimitRangeItem, requests: ResourceList, limits: ResourceList): string[] {
  const errors: string[] = [];
  const { type } = item;
  for (const [name, least] of entries(item.min)) {
    const rule = `minimum ${name} usage per ${type} is ${least}`;
    const [request, limit] = [requests[name], limits[name]];
    if (request === undefined) errors.push(`${rule}.  No request is specified`);
    else if (compareQuantities(request, least) < 0) errors.push(`${rule}, but request is ${request}`);
    else if (limit !== undefined && compareQuantities(limit, least) < 0)
      errors.push(`${rule}, but limit is ${limit}`);
  }
  for (const [name, most] of entries(item.max)) {
    const rule = `maximum ${name} usage per ${type} is ${most}`;
    const [request, limit] = [requests[name], limits[name]];
    if (limit === undefined) errors.push(`${rule}.  No limit is specified`);
    else if (compareQuantities(limit, most) > 0) errors.push(`${rule}, but limit is ${limit}`);
    else if (request !== undefined && compareQuantities(request, most) > 0)
      errors.push(`${rule}, but request is ${request}`);
  }
  for (const [name, most] of entries(item.maxLimitRequestRatio)) {
    const rule = `${name} max limit to request ratio per ${type} is ${most}`;
    const [request, limit] = [quantityMilli(requests[name]), quantityMilli(limits[name])];
    if (request === 0) errors.push(`${rule}, but no request is specified or request is 0`);
    else if (limit === 0) errors.push(`${rule}, but no limit is specified or limit is 0`);
    else if (limit / request > quantityMilli(most) / 1000)
      errors.push(`${rule}, but provided ratio is ${(limit / request).toFixed(6)}`);
  }
  return errors;
}

function claimErrors({ spec }: PersistentVolumeClaim, item: LimitRangeItem): string[] {
  if (item.type !== 'PersistentVolumeClaim') return [];
  const requests = spec.resources?.requests ?? {};
  const check = (word: string, limits: ResourceList | undefined, sign: 1 | -1) =>
    entries(limits)
      .filter(
        ([name, limit]) =>
          requests[name] !== undefined && compareQuantities(requests[name], limit) * sign > 0,
      )
      .map(
        ([name, limit]) =>
          `${word} ${name} usage per ${item.type} is ${limit}, but request is ${requests[name]}`,
      );
  return [...check('minimum', item.min, -1), ...check('maximum', item.max, 1)];
}
