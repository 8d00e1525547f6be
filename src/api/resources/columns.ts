/** Cells that many kinds print: name, age, durations, lists of containers, selectors. */
import type { Container, LabelSelector } from '#types';
import { labelSelector } from '../machinery/selectors.js';
import type { KubeObject } from '../machinery/types.js';
import type { Column } from './define.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A duration (ms) in at most two units, as apimachinery `duration.HumanDuration` writes it: `2d3h`, `95s`. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / SECOND);
  // A clock may be a little ahead of the one that wrote the timestamp.
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 60 * 2) return `${seconds}s`;
  const minutes = Math.trunc(ms / MINUTE);
  if (minutes < 10) return units(minutes, 'm', seconds % 60, 's');
  if (minutes < 60 * 3) return `${minutes}m`;
  const hours = Math.trunc(ms / HOUR);
  const days = Math.trunc(hours / 24);
  if (hours < 8) return units(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (hours < 24 * 8) return units(days, 'd', hours % 24, 'h');
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  if (hours < 24 * 365 * 8) return units(years, 'y', days % 365, 'd');
  return `${years}y`;
}

const units = (a: number, unit: string, b: number, smaller: string): string =>
  b === 0 ? `${a}${unit}` : `${a}${unit}${b}${smaller}`;

/** How long ago an RFC 3339 time was; `<unknown>` when there is none. */
export function since(time: string | undefined, now: number): string {
  return time ? humanDuration(now - Date.parse(time)) : '<unknown>';
}

export const nameColumn: Column<any> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique within its namespace.',
  cell: (object: KubeObject) => object.metadata.name,
};

export const ageColumn: Column<any> = {
  name: 'Age',
  type: 'string',
  description: 'Time since the object was created.',
  cell: (object: KubeObject, now) => since(object.metadata.creationTimestamp, now),
};

/** A column of text; wide ones show only with `-o wide`. */
export const textColumn = <T extends KubeObject>(
  name: string,
  description: string,
  cell: (object: T, now: number) => unknown,
  wide = false,
): Column<T> => ({ name, type: 'string', description, ...(wide ? { priority: 1 } : {}), cell });

/** The wide columns of what has a pod template and a selector. */
export function templateColumns<T extends KubeObject>(): Column<T>[] {
  const containers = (object: T): Container[] => object['spec']?.template?.spec?.containers ?? [];
  return [
    {
      name: 'Containers',
      type: 'string',
      priority: 1,
      description: 'Names of the containers in the template.',
      cell: (object) =>
        containers(object)
          .map((c) => c.name)
          .join(','),
    },
    {
      name: 'Images',
      type: 'string',
      priority: 1,
      description: 'Images of the containers in the template.',
      cell: (object) =>
        containers(object)
          .map((c) => c.image ?? '')
          .join(','),
    },
    {
      name: 'Selector',
      type: 'string',
      priority: 1,
      description: 'Label selector of the pods that the object owns.',
      cell: (object) => formatLabelSelector(object['spec']?.selector),
    },
  ];
}

/** A selector as text; `<none>` when it selects all or nothing. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  try {
    return labelSelector(selector).toString() || '<none>';
  } catch {
    return '<error>';
  }
}

/** `a=1,b=2` in the order of keys; `<none>` when empty. */
export function formatLabels(labels: Record<string, string> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.sort().join(',');
}

/** Up to `max` items, and how many more there are. */
export function shortList(items: string[], max: number): string {
  const shown = items.slice(0, max).join(',');
  return items.length > max ? `${shown} + ${items.length - max} more...` : shown;
}
