/** `defineResource`: all that is special to one resource, in one declaration. */
import type { CustomKind } from '../extensions/custom-resource.js';
import type { FieldError } from '../machinery/field.js';
import type { KubeObject } from '../machinery/types.js';

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/** A printed column (upstream's `TableColumnDefinition`). Priority 0 always shows, 1 only with `-o wide`. */
export interface Column<T extends KubeObject = KubeObject> {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  format?: string;
  description: string;
  priority?: number;
  /** The cell; `now` (ms) is for ages. */
  cell(object: T, now: number): unknown;
}

/** What holds of a row (upstream's `TableRowCondition`). */
export interface RowCondition {
  type: 'Completed';
  status: string;
  reason?: string;
  message?: string;
}

/** What discovery tells of a subresource, and what the routes of the API server serve. */
export interface Subresource {
  /** Such as `status`, `log`, `exec`, `binding`, `eviction`, `scale`, `token`. */
  name: string;
  kind: string;
  group?: string;
  version?: string;
  verbs: string[];
}

export interface Deletion {
  /** Seconds that the object stays after a delete request; 0 deletes at once. */
  gracePeriodSeconds(object: KubeObject, requested: number | undefined): number;
}

/** Where a scale subresource finds its numbers, as paths of field names. */
export interface ScalePaths {
  specReplicas: string[];
  statusReplicas: string[];
  /** The LabelSelector (or map) whose text form goes to `status.selector`. */
  selector: string[];
}

/** What a subresource that takes the whole object may change (`pods/resize`, `namespaces/finalize`). */
export interface UpdateStrategy<T extends KubeObject = KubeObject> {
  /** Keeps from `old` all that the subresource may not change. `object` is a mutable draft. */
  prepareForUpdate(object: T, old: T): void;
  /** All errors, of the object and of the change; metadata is validated by the caller. */
  validateUpdate(object: T, old: T): FieldError[];
}

/** How a version is made from the one that is stored. Both functions are pure and return an object of their own. */
export interface Conversion {
  storedApiVersion: string;
  /** Where the objects are stored under another group; '' for core. */
  storedGroup?: string;
  fromStored(object: KubeObject): KubeObject;
  toStored(object: KubeObject): KubeObject;
}

/** The counts of kinds that are scaled as Deployments are. */
export const REPLICAS: ScalePaths = {
  specReplicas: ['spec', 'replicas'],
  statusReplicas: ['status', 'replicas'],
  selector: ['spec', 'selector'],
};

/** Their `scale` subresource. */
export const SCALE: Subresource = {
  name: 'scale',
  kind: 'Scale',
  group: 'autoscaling',
  version: 'v1',
  verbs: ['get', 'patch', 'update'],
};

export interface ResourceSpec<T extends KubeObject = KubeObject> {
  /** '' for the core group. */
  group: string;
  version: string;
  kind: string;
  /** Lower-case plural, such as `deployments`. */
  plural: string;
  singular?: string;
  shortNames?: string[];
  categories?: string[];
  namespaced: boolean;
  /** All eight when absent. */
  verbs?: Verb[];
  subresources?: Subresource[];
  scale?: ScalePaths;
  /** Whether `metadata.generation` counts changes of the spec (any non-metadata, non-status field). */
  generation?: boolean;
  /** How `metadata.name` is validated: returns messages. DNS-1123 subdomain when absent. */
  validateName?(name: string): string[];
  /** Whether finalizers need no domain. */
  plainFinalizers?: boolean;
  /** Fills what the client left out. `object` is a mutable draft. */
  defaults?(object: T): void;
  /** Create strategy before validation: drop what a client may not set (status is dropped already). */
  prepareForCreate?(object: T): void;
  /** Create strategy once the name is known, also a generated one: what is derived from name and uid. */
  complete?(object: T): void;
  /** Update strategy: keep what an update may not change (status is kept from `old` already). */
  prepareForUpdate?(object: T, old: T): void;
  /** Status strategy: by default everything but `status` and some metadata is kept from `old`. */
  prepareForStatusUpdate?(object: T, old: T): void;
  /** All errors at once. Metadata is validated by the caller. */
  validate?(object: T): FieldError[];
  /** Errors of creation alone; `validate(object)` runs as well. */
  validateCreate?(object: T): FieldError[];
  /** Errors of the change alone (immutable fields); `validate(object)` runs as well. */
  validateUpdate?(object: T, old: T): FieldError[];
  validateStatusUpdate?(object: T, old: T): FieldError[];
  /** Strategies of the subresources, besides `status`, whose body is the object itself, by subresource name. */
  updates?: Record<string, UpdateStrategy<T>>;
  /** Whether an update without a resourceVersion overwrites what is stored; true when absent. */
  unconditionalUpdate?: boolean;
  /** Whether a delete that names no policy leaves its dependents; the `Warning:` that such a delete has, '' for none. */
  orphansByDefault?: string;
  /** The `Warning:` header of every request for this kind, such as that of a deprecated one. */
  deprecation?: string;
  /** Texts for `Warning:` headers. */
  warnings?(object: T, old: T | undefined): string[];
  columns?: Column<T>[];
  /** What holds of the object's row in a table. */
  rowConditions?(object: T): RowCondition[];
  /** In which order a table shows objects; as they are listed when absent. */
  compareRows?(a: T, b: T): number;
  /** Selectable fields besides `metadata.name` and `metadata.namespace`. */
  fields?: Record<string, (object: T) => string>;
  deletion?: Deletion;
  /** What the first delete request makes of an object that it does not remove at once. `object` is a mutable draft; `now` in ms. */
  prepareForDelete?(object: T, now: number): void;
  /** For a version in which nothing is stored; absent for the stored one. */
  conversion?: Conversion;
}

export interface Resource<T extends KubeObject = KubeObject> extends ResourceSpec<T> {
  apiVersion: string;
  listKind: string;
  singular: string;
  shortNames: string[];
  categories: string[];
  verbs: Verb[];
  subresources: Subresource[];
  columns: Column<T>[];
  fields: Record<string, (object: T) => string>;
  /** Whether there is a `status` subresource. */
  hasStatus: boolean;
  updates: Record<string, UpdateStrategy<T>>;
  unconditionalUpdate: boolean;
  /** Of a kind that is declared at run time. */
  custom?: CustomKind;
}

const ALL_VERBS: Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Completes a declaration with what follows from it. */
export function defineResource<T extends KubeObject>(spec: ResourceSpec<T>): Resource<T> {
  const subresources = spec.subresources ?? [];
  return {
    ...spec,
    apiVersion: spec.group === '' ? spec.version : `${spec.group}/${spec.version}`,
    listKind: `${spec.kind}List`,
    singular: spec.singular ?? spec.kind.toLowerCase(),
    shortNames: spec.shortNames ?? [],
    categories: spec.categories ?? [],
    verbs: spec.verbs ?? ALL_VERBS,
    subresources,
    columns: spec.columns ?? [],
    fields: spec.fields ?? {},
    updates: spec.updates ?? {},
    unconditionalUpdate: spec.unconditionalUpdate ?? true,
    hasStatus: subresources.some((s) => s.name === 'status'),
  };
}
