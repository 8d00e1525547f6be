/** Validation of what a CustomResourceDefinition declares (apiextensions `ValidateCustomResourceDefinition`). */
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  CustomResourceSubresources,
  JSONSchemaProps,
  SelectableField,
} from '#types';
import { compileJsonPath } from '../../extensions/json-path.js';
import { itemsOf, memberOf, type Schema } from '../../extensions/schema.js';
import { child, type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { dns1035Label, dns1123Subdomain } from '../../machinery/names.js';
import { sameJson } from '../../machinery/validation.js';
import { namesErrors } from './names.js';
import { conversionErrors } from './validate-conversion.js';
import { schemaErrors } from './validate-schema.js';

/** All errors; what an update leaves as it was is not held against it where the rules got stricter. */
export function specErrors(
  spec: CustomResourceDefinitionSpec,
  path: string,
  old?: CustomResourceDefinitionSpec,
): FieldError[] {
  const errors: FieldError[] = [...groupErrors(spec.group ?? '', child(path, 'group'))];
  const at = (...names: string[]) => child(path, ...names);
  if (!spec.scope) errors.push(required(at('scope')));
  else if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced')
    errors.push(notSupported(at('scope'), spec.scope, ['Cluster', 'Namespaced']));
  if (spec.preserveUnknownFields)
    errors.push(
      invalid(
        at('preserveUnknownFields'),
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  errors.push(...versionErrors(spec.versions ?? [], at('versions')));
  for (const name of ['plural', 'singular', 'kind', 'listKind'] as const)
    if (!spec.names?.[name]) errors.push(required(at('names', name)));
  errors.push(...namesErrors(spec.names, at('names')));
  errors.push(...contentErrors(spec, path, old));
  errors.push(...conversionErrors(spec.conversion, at('conversion')));
  return errors;
}

function groupErrors(group: string, path: string): FieldError[] {
  if (group === '') return [required(path)];
  const problems = dns1123Subdomain(group);
  if (problems.length > 0) return [invalid(path, group, problems.join(','))];
  return group.includes('.') ? [] : [invalid(path, group, 'should be a domain with at least one dot')];
}

function versionErrors(versions: CustomResourceDefinitionVersion[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  versions.forEach(({ name, deprecated, deprecationWarning }, i) => {
    const problems = dns1035Label(name ?? '');
    if (problems.length > 0) errors.push(invalid(child(index(path, i), 'name'), name, problems.join(',')));
    errors.push(
      ...warningErrors(deprecated, deprecationWarning, child(index(path, i), 'deprecationWarning')),
    );
  });
  if (new Set(versions.map(({ name }) => name)).size < versions.length)
    errors.push(invalid(path, versions, 'must contain unique version names'));
  if (versions.filter(({ storage }) => storage).length !== 1)
    errors.push(invalid(path, versions, 'must have exactly one version marked as storage version'));
  return errors;
}

function warningErrors(
  deprecated: boolean | undefined,
  warning: string | undefined,
  path: string,
): FieldError[] {
  if (warning === undefined) return [];
  if (!deprecated) return [invalid(path, warning, 'can only be set for deprecated versions')];
  if (warning === '') return [invalid(path, warning, 'must not be an empty string')];
  if (Buffer.byteLength(warning) > 256)
    return [invalid(path, warning, `must be <= 256 characters in length`)];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\u0000-\u001f\u007f]/.test(warning)
    ? [invalid(path, warning, 'must only contain printable UTF-8 characters')]
    : [];
}

/** Where all versions say the same, upstream reads it as said of the kind, and so names its fields. */
function contentErrors(
  spec: CustomResourceDefinitionSpec,
  path: string,
  old?: CustomResourceDefinitionSpec,
): FieldError[] {
  const versions = spec.versions ?? [];
  const [first] = versions;
  const same = (get: (version: CustomResourceDefinitionVersion) => unknown) =>
    first !== undefined && versions.every((version) => sameJson(get(version), get(first)));
  const places = <T>(get: (version: CustomResourceDefinitionVersion) => T, common: string, own: string) =>
    same(get)
      ? [
          {
            value: get(first as CustomResourceDefinitionVersion),
            version: first as CustomResourceDefinitionVersion,
            at: child(path, common),
          },
        ]
      : versions.map((version, i) => ({
          value: get(version),
          version,
          at: child(index(child(path, 'versions'), i), own),
        }));
  const errors: FieldError[] = [];
  versions.forEach(({ schema }, i) => {
    if (!schema?.openAPIV3Schema)
      errors.push(
        required(
          child(index(child(path, 'versions'), i), 'schema', 'openAPIV3Schema'),
          'schemas are required',
        ),
      );
  });
  for (const { value, version, at } of places(({ schema }) => schema, 'validation', 'schema')) {
    const before = old?.versions?.find(({ name }) => name === version.name)?.schema?.openAPIV3Schema;
    if (value?.openAPIV3Schema)
      errors.push(...schemaErrors(value.openAPIV3Schema, child(at, 'openAPIV3Schema'), before));
  }
  for (const { value, at } of places(({ subresources }) => subresources, 'subresources', 'subresources'))
    errors.push(...subresourceErrors(value, at));
  for (const { value, at } of places(
    (v) => v.additionalPrinterColumns,
    'additionalPrinterColumns',
    'additionalPrinterColumns',
  ))
    errors.push(...(value ?? []).flatMap((column, i) => columnErrors(column, index(at, i))));
  for (const { value, version, at } of places(
    (v) => v.selectableFields,
    'selectableFields',
    'selectableFields',
  ))
    errors.push(...selectableErrors(value ?? [], version.schema?.openAPIV3Schema, at));
  return errors;
}

function subresourceErrors(subresources: CustomResourceSubresources | undefined, path: string): FieldError[] {
  const { scale } = subresources ?? {};
  if (!scale) return [];
  const errors: FieldError[] = [];
  const check = (name: string, value: string | undefined, roots: string[], needed: boolean) => {
    const at = child(path, `scale.${name}`);
    if (!value) {
      if (needed) errors.push(required(at));
    } else if (!value.startsWith('.'))
      errors.push(invalid(at, value, 'must be a simple json path starting with .'));
    else if (!roots.some((root) => value.startsWith(`.${root}.`)))
      errors.push(
        invalid(at, value, `should be a json path under ${roots.map((root) => `.${root}`).join(' or ')}`),
      );
  };
  check('specReplicasPath', scale.specReplicasPath, ['spec'], true);
  check('statusReplicasPath', scale.statusReplicasPath, ['status'], true);
  check('labelSelectorPath', scale.labelSelectorPath, ['spec', 'status'], false);
  return errors;
}

const COLUMN_TYPES = ['integer', 'number', 'string', 'boolean', 'date'];
const COLUMN_FORMATS = ['int32', 'int64', 'float', 'double', 'byte', 'date', 'date-time', 'password'];

function columnErrors(column: CustomResourceColumnDefinition, path: string): FieldError[] {
  const { name, type, format, jsonPath } = column;
  const errors: FieldError[] = [];
  if (!name) errors.push(required(child(path, 'name')));
  if (!type) errors.push(required(child(path, 'type'), `must be one of ${COLUMN_TYPES.join(',')}`));
  else if (!COLUMN_TYPES.includes(type))
    errors.push(invalid(child(path, 'type'), type, `must be one of ${COLUMN_TYPES.join(',')}`));
  if (format && !COLUMN_FORMATS.includes(format))
    errors.push(invalid(child(path, 'format'), format, `must be one of ${COLUMN_FORMATS.join(',')}`));
  if (!jsonPath) errors.push(required(child(path, 'jsonPath')));
  else errors.push(...pathErrors(jsonPath, child(path, 'jsonPath')));
  return errors;
}

function pathErrors(jsonPath: string, path: string): FieldError[] {
  if (!jsonPath.startsWith('.'))
    return [invalid(path, jsonPath, 'must be a simple json path starting with .')];
  try {
    compileJsonPath(jsonPath);
    return [];
  } catch (error) {
    return [invalid(path, jsonPath, (error as Error).message)];
  }
}

const MAX_SELECTABLE = 8;

function selectableErrors(
  fields: SelectableField[],
  schema: JSONSchemaProps | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  if (fields.length > MAX_SELECTABLE)
    errors.push({
      type: 'FieldValueTooMany',
      field: path,
      message: `Too many: ${fields.length}: must have at most ${MAX_SELECTABLE} items`,
    });
  fields.forEach(({ jsonPath = '' }, i) => {
    const at = child(index(path, i), 'jsonPath');
    if (jsonPath === '') errors.push(required(at));
    else if (seen.has(jsonPath))
      errors.push({
        type: 'FieldValueDuplicate',
        field: at,
        message: `Duplicate value: ${JSON.stringify(jsonPath)}`,
      });
    else errors.push(...selectableField(jsonPath, schema ?? {}, at));
    seen.add(jsonPath);
  });
  return errors;
}

function selectableField(jsonPath: string, schema: Schema, at: string): FieldError[] {
  if (!/^(\.[A-Za-z_][\w-]*)+$/.test(jsonPath))
    return [invalid(at, jsonPath, `is an invalid path: does not refer to a valid field`)];
  if (jsonPath === '.metadata' || jsonPath.startsWith('.metadata.'))
    return [invalid(at, jsonPath, 'must not point to fields in metadata')];
  let found: Schema | undefined = schema;
  for (const name of jsonPath.slice(1).split('.'))
    found = found && (itemsOf(found) ? undefined : memberOf(found, name));
  if (found === undefined)
    return [invalid(at, jsonPath, 'is an invalid path: does not refer to a valid field')];
  if (!['string', 'boolean', 'integer'].includes(found.type ?? ''))
    return [
      invalid(
        at,
        jsonPath,
        'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
      ),
    ];
  return [];
}
