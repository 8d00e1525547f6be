/** What a CustomResourceDefinition declares, as resources like all others. */
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from '#types';
import type { Shape } from '../apply/index.js';
import type { FieldError } from '../machinery/field.js';
import type { KubeObject } from '../machinery/types.js';
import { ageColumn, nameColumn, since } from '../resources/columns.js';
import {
  type Column,
  defineResource,
  type Resource,
  SCALE,
  type ScalePaths,
  type Subresource,
} from '../resources/define.js';
import { applyDefaults } from './defaults.js';
import { embeddedErrors } from './embedded.js';
import { compileJsonPath, simplePath } from './json-path.js';
import { listTypeErrors } from './list-types.js';
import { prune } from './prune.js';
import { compileRules } from './rules.js';
import { PRESERVE, type Schema } from './schema.js';
import { shapeOfSchema } from './shape.js';
import { validateValue } from './validate-value.js';

/** One definition with all of its versions. */
export interface CustomDefinition {
  crd: CustomResourceDefinition;
  /** Changes whenever something of it that matters to its objects does. */
  id: string;
  /** Every version by its `apiVersion`, served or not. */
  versions: ReadonlyMap<string, Resource>;
  served: Resource[];
  storage: Resource;
}

/** What handlers need of a kind that is declared at run time. */
export interface CustomKind {
  readonly definition: CustomDefinition;
  schema: Schema;
  /** For server-side apply; made on first use. */
  readonly shape: Shape;
  /** Drops unknown fields in place and returns their paths. */
  prune(object: KubeObject): string[];
}

const known = new WeakMap<CustomResourceDefinition, CustomDefinition | null>();

/** What a definition serves; undefined as long as its names are not accepted. Frozen definitions are compiled once. */
export function definitionOf(crd: CustomResourceDefinition): CustomDefinition | undefined {
  let definition = known.get(crd);
  if (definition === undefined) {
    definition = compile(crd) ?? null;
    known.set(crd, definition);
  }
  return definition ?? undefined;
}

function compile(crd: CustomResourceDefinition): CustomDefinition | undefined {
  const { spec, status, metadata } = crd;
  const names = status?.acceptedNames;
  if (
    !names?.plural ||
    !(status?.conditions ?? []).some((c) => c.type === 'Established' && c.status === 'True')
  )
    return undefined;
  const versions = new Map<string, Resource>();
  // The end of a definition counts as a generation; its objects' watchers are to see these go first.
  const generation = (metadata.generation ?? 0) - (metadata.deletionTimestamp ? 1 : 0);
  const id = `${metadata.uid}/${generation}/${JSON.stringify(names)}`;
  const definition = { crd, id, versions, served: [] as Resource[] } as unknown as CustomDefinition;
  for (const version of spec.versions) {
    const resource = resourceOf(definition, crd, version);
    versions.set(resource.apiVersion, resource);
    if (version.served) definition.served.push(resource);
    if (version.storage) definition.storage = resource;
  }
  return definition;
}

/** The version to read objects in that only their metadata matters of: the stored one if it is served. */
export const anyServed = ({ served, storage }: CustomDefinition): Resource | undefined =>
  served.includes(storage) ? storage : served[0];

function resourceOf(
  definition: CustomDefinition,
  { spec, status }: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
): Resource {
  const names = status!.acceptedNames!;
  const schema = version.schema?.openAPIV3Schema ?? { type: 'object', [PRESERVE]: true };
  const rules = compileRules(schema);
  const check = (object: KubeObject, old?: KubeObject): FieldError[] => {
    const structure = [
      ...validateValue(object, schema, '', old),
      ...listTypeErrors(object, schema, '', old),
      ...embeddedErrors(object, schema),
    ];
    if (rules === undefined) return structure;
    return structure.some(isBlocking) ? [...structure, UNCHECKED] : [...structure, ...rules(object, old)];
  };
  const { scale } = version.subresources ?? {};
  const resource = defineResource({
    group: spec.group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    ...(names.singular ? { singular: names.singular } : {}),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: spec.scope === 'Namespaced',
    subresources: subresourcesOf(names.kind, version),
    ...(scale ? { scale: scalePaths(scale) } : {}),
    generation: true,
    unconditionalUpdate: false,
    plainFinalizers: true,
    defaults: (object) => applyDefaults(object, schema),
    validateCreate: (object) => check(object),
    validateUpdate: (object, old) => check(object, old),
    validateStatusUpdate: (object, old) => check(object, old),
    columns: columnsOf(version.additionalPrinterColumns),
    fields: fieldsOf(version),
    ...(version.deprecated ? { deprecation: deprecationOf(spec.group, names.kind, version) } : {}),
  });
  let shape: Shape | undefined;
  return {
    ...resource,
    listKind: names.listKind || resource.listKind,
    custom: {
      definition,
      schema,
      get shape() {
        shape ??= shapeOfSchema(schema);
        return shape;
      },
      prune: (object) => prune(object, schema),
    },
  };
}

/** Rules can't be run on what has the wrong shape or size. */
const isBlocking = ({ type }: FieldError): boolean => BLOCKING.has(type);
const BLOCKING: ReadonlySet<string> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
const UNCHECKED: FieldError = {
  type: 'FieldValueInvalid',
  field: '<nil>',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
};

const deprecationOf = (group: string, kind: string, version: CustomResourceDefinitionVersion): string =>
  version.deprecationWarning ?? `${group}/${version.name} ${kind} is deprecated`;

function subresourcesOf(kind: string, { subresources }: CustomResourceDefinitionVersion): Subresource[] {
  const found: Subresource[] = [];
  if (subresources?.status) found.push({ name: 'status', kind, verbs: ['get', 'patch', 'update'] });
  if (subresources?.scale) found.push(SCALE);
  return found;
}

const scalePaths = (scale: {
  specReplicasPath: string;
  statusReplicasPath: string;
  labelSelectorPath?: string;
}): ScalePaths => ({
  specReplicas: simplePath(scale.specReplicasPath),
  statusReplicas: simplePath(scale.statusReplicasPath),
  selector: simplePath(scale.labelSelectorPath ?? ''),
});

function fieldsOf({
  selectableFields = [],
}: CustomResourceDefinitionVersion): Record<string, (o: KubeObject) => string> {
  return Object.fromEntries(
    selectableFields.map(({ jsonPath }) => {
      const path = compileJsonPath(jsonPath);
      return [jsonPath.slice(1), (object: KubeObject) => String(path(object)[0] ?? '')];
    }),
  );
}

function columnsOf(columns: CustomResourceColumnDefinition[] | undefined): Column[] {
  if (!columns || columns.length === 0) return [nameColumn, { ...ageColumn, type: 'date' }];
  return [nameColumn, ...columns.map(columnOf)];
}

function columnOf({
  name,
  type,
  format,
  description,
  priority,
  jsonPath,
}: CustomResourceColumnDefinition): Column {
  let path: ReturnType<typeof compileJsonPath> = () => [];
  try {
    path = compileJsonPath(jsonPath);
  } catch {
    // A path that an older server let pass shows nothing.
  }
  return {
    name,
    type: type as Column['type'],
    ...(format ? { format } : {}),
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    ...(priority ? { priority } : {}),
    cell: (object, now) => cell(type, path(object)[0], now),
  };
}

function cell(type: string, value: unknown, now: number): unknown {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      if (typeof value !== 'string') return null;
      return Number.isNaN(Date.parse(value)) ? '<invalid>' : since(value, now);
    default:
      return null;
  }
}
