/** Objects as rows of a meta.k8s.io Table: what kubectl prints. */
import { badRequest } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { ageColumn, nameColumn } from '../../api/resources/columns.js';
import type { Column, Resource, RowCondition } from '../../api/resources/define.js';

/** What each row holds of its object. */
export type Include = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  include: Include;
  /** Milliseconds, for ages. */
  now: number;
  /** Whether column definitions are sent (once in a watch). */
  header: boolean;
}

/** The columns of a resource; name and age where it declares none. */
export function columnsOf(resource: Resource | undefined): Column[] {
  if (resource && resource.columns.length > 0) return resource.columns as Column[];
  return [nameColumn, ageColumn];
}

/** `includeObject` of a request. Throws 400. */
export function includeOption(query: URLSearchParams): Include {
  const value = query.get('includeObject') ?? '';
  if (value === '' || value === 'Metadata') return 'Metadata';
  if (value === 'None' || value === 'Object') return value;
  throw badRequest(`unrecognized includeObject value: "${value}"`);
}

export function toTable(
  resource: Resource | undefined,
  objects: KubeObject[],
  metadata: object,
  version: 'v1' | 'v1beta1',
  { include, now, header }: TableOptions,
): unknown {
  const columns = columnsOf(resource);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: header ? columns.map(definition) : [],
    rows: inOrder(resource, objects).map((object) => ({
      cells: columns.map((column) => column.cell(object, now) ?? null),
      ...rowConditions(resource, object),
      ...rowObject(object, include, version),
    })),
  };
}

const inOrder = (resource: Resource | undefined, objects: KubeObject[]): KubeObject[] =>
  resource?.compareRows ? objects.toSorted(resource.compareRows) : objects;

function rowConditions(resource: Resource | undefined, object: KubeObject): { conditions?: RowCondition[] } {
  const conditions = resource?.rowConditions?.(object) ?? [];
  return conditions.length > 0 ? { conditions } : {};
}

const definition = ({ name, type, format, description, priority }: Column) => ({
  name,
  type,
  format: format ?? '',
  description,
  priority: priority ?? 0,
});

function rowObject(object: KubeObject, include: Include, version: string): { object?: unknown } {
  if (include === 'None') return {};
  if (include === 'Object') return { object };
  const { metadata } = object;
  return { object: { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata } };
}
