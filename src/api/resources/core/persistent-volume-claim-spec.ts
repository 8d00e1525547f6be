/** The spec of a claim, in PersistentVolumeClaims and in templates of them: its sources and its validation. */
import type { PersistentVolumeClaimSpec, TypedObjectReference } from '#types';
import { child, type FieldError, invalid, key, required } from '../../machinery/field.js';
import { dns1123Label, dns1123Subdomain } from '../../machinery/names.js';
import { canonicalQuantity, compareQuantities } from '../../machinery/quantity.js';
import { checked, validateLabelSelector } from '../../machinery/validation.js';
import { requireFields } from './podspec/volume-sources.js';
import { validateAccessModes, validateVolumeMode } from './volume-fields.js';

/** What a claim could be filled from before any object could fill it. */
const isKnownSource = ({ apiGroup = '', kind }: { apiGroup?: string; kind: string }): boolean =>
  (apiGroup === '' && kind === 'PersistentVolumeClaim') ||
  (apiGroup === 'snapshot.storage.k8s.io' && kind === 'VolumeSnapshot');

/**
 * The two ways to name a source of the data say the same, where both can (KEP-1495). A source in the older field
 * that it never took is dropped, and so is one in another namespace, unless the claim has it already.
 */
export function joinDataSources(spec: PersistentVolumeClaimSpec, old?: PersistentVolumeClaimSpec): void {
  if (spec.dataSourceRef?.namespace && !old?.dataSourceRef) delete spec.dataSourceRef;
  const inUse = old?.dataSource || old?.dataSourceRef;
  if (!inUse && !spec.dataSourceRef && spec.dataSource && !isKnownSource(spec.dataSource))
    delete spec.dataSource;
  if (spec.dataSource) spec.dataSourceRef ??= { ...spec.dataSource };
  else if (spec.dataSourceRef && !spec.dataSourceRef.namespace) {
    const { namespace: _, ...source } = spec.dataSourceRef;
    spec.dataSource = source;
  }
}

function validateDataSource(source: TypedObjectReference, path: string): FieldError[] {
  const errors = requireFields(source, path, 'name', 'kind');
  const { apiGroup, kind, namespace } = source;
  if (!apiGroup && kind !== 'PersistentVolumeClaim')
    errors.push(
      invalid(path, kind ?? '', "must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
    );
  if (apiGroup) errors.push(...checked(child(path, 'apiGroup'), apiGroup, dns1123Subdomain));
  if (namespace) errors.push(...checked(child(path, 'namespace'), namespace, dns1123Label));
  return errors;
}

/** Either both fields name one source, or only the one that can name a namespace is set. */
function validateDataSources({ dataSource, dataSourceRef }: PersistentVolumeClaimSpec, path: string) {
  const errors: FieldError[] = [];
  if (dataSource) errors.push(...validateDataSource(dataSource, child(path, 'dataSource')));
  if (dataSourceRef) errors.push(...validateDataSource(dataSourceRef, child(path, 'dataSourceRef')));
  if (!dataSource || !dataSourceRef) return errors;
  const same =
    dataSource.apiGroup === dataSourceRef.apiGroup &&
    dataSource.kind === dataSourceRef.kind &&
    dataSource.name === dataSourceRef.name;
  const at = child(path, 'dataSource');
  if (dataSourceRef.namespace)
    errors.push(invalid(path, at, 'may not be specified when dataSourceRef.namespace is specified'));
  else if (!same) errors.push(invalid(path, at, 'must match dataSourceRef'));
  return errors;
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const modes = spec.accessModes ?? [];
  if (modes.length === 0)
    errors.push(required(child(path, 'accessModes'), 'at least 1 access mode is required'));
  errors.push(
    ...validateLabelSelector(spec.selector, child(path, 'selector')),
    ...validateAccessModes(modes, path),
  );
  const storage = spec.resources?.requests?.['storage'];
  const at = key(child(path, 'resources'), 'storage');
  if (storage === undefined) errors.push(required(at));
  else if (compareQuantities(storage, 0) <= 0)
    errors.push(invalid(at, canonicalQuantity(storage), 'must be greater than zero'));
  if (spec.storageClassName)
    errors.push(...checked(child(path, 'storageClassName'), spec.storageClassName, dns1123Subdomain));
  errors.push(...validateVolumeMode(spec.volumeMode, path), ...validateDataSources(spec, path));
  if (spec.volumeAttributesClassName)
    errors.push(
      ...checked(child(path, 'volumeAttributesClassName'), spec.volumeAttributesClassName, dns1123Subdomain),
    );
  return errors;
}
