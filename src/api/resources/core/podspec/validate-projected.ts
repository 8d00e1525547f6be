/** Validation of downwardAPI files and projected volumes. */
import type { DownwardAPIVolumeFile, ProjectedVolumeSource, VolumeProjection } from '#types';
import { child, type FieldError, forbidden, index, invalid, required } from '../../../machinery/field.js';
import { validateLabelSelector } from '../../../machinery/validation.js';
import { validateFileMode, validateKeyToPath, validateNonReserved } from './paths.js';
import { VOLUME_FIELDS, validateFieldSelector, validateResourceSelector } from './validate-env.js';

export function validateDownwardFile(file: DownwardAPIVolumeFile, path: string): FieldError[] {
  const errors: FieldError[] = file.path ? [] : [required(child(path, 'path'))];
  errors.push(...validateNonReserved(file.path ?? '', child(path, 'path')));
  if (file.fieldRef) {
    errors.push(...validateFieldSelector(file.fieldRef, VOLUME_FIELDS, child(path, 'fieldRef')));
    if (file.resourceFieldRef)
      errors.push(
        invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'),
      );
  } else if (file.resourceFieldRef)
    errors.push(...validateResourceSelector(file.resourceFieldRef, child(path, 'resourceFieldRef'), true));
  else errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'));
  return [...errors, ...validateFileMode(file.mode, child(path, 'mode'))];
}

const KINDS = [
  'secret',
  'configMap',
  'downwardAPI',
  'serviceAccountToken',
  'clusterTrustBundle',
  'podCertificate',
] as const;

export function validateProjected(projected: ProjectedVolumeSource, path: string): FieldError[] {
  const errors = validateFileMode(projected.defaultMode, child(path, 'defaultMode'));
  const paths = new Set<string>();
  /** One file can come from one source alone. */
  const claim = (file: string | undefined, value: string) => {
    if (!file) return;
    if (paths.has(file)) errors.push(invalid(path, value, 'conflicting duplicate paths'));
    paths.add(file);
  };
  projected.sources?.forEach((source, i) => {
    const at = index(child(path, 'sources'), i);
    for (const kind of ['secret', 'configMap'] as const) {
      const reference = source[kind];
      if (!reference) continue;
      const name = child(at, kind, 'name');
      if (!reference.name) errors.push(required(name));
      reference.items?.forEach((item, j) => {
        errors.push(...validateKeyToPath(item, index(child(at, kind, 'items'), j)));
        claim(item.path, reference.name ?? '');
      });
    }
    for (const file of source.downwardAPI?.items ?? []) {
      errors.push(...validateDownwardFile(file, child(at, 'downwardAPI')));
      claim(file.path, file.path);
    }
    errors.push(...validateToken(source, path, at));
    errors.push(...validateTrustBundle(source, child(at, 'clusterTrustBundle')));
    if (source.clusterTrustBundle) claim(source.clusterTrustBundle.path, source.clusterTrustBundle.path);
    if (KINDS.filter((kind) => source[kind]).length > 1)
      errors.push(forbidden(at, 'may not specify more than 1 volume type per source'));
  });
  return errors;
}

function validateToken(source: VolumeProjection, path: string, at: string): FieldError[] {
  const token = source.serviceAccountToken;
  if (!token) return [];
  const expiry = child(at, 'serviceAccountToken', 'expirationSeconds');
  const seconds = token.expirationSeconds ?? 0;
  const errors: FieldError[] = [];
  if (seconds < 600) errors.push(invalid(expiry, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > 2 ** 32)
    errors.push(invalid(expiry, seconds, 'may not specify a duration larger than 2^32 seconds'));
  if (!token.path) errors.push(required(child(path, 'path')));
  else errors.push(...validateNonReserved(token.path, child(path, 'path')));
  return errors;
}

function validateTrustBundle(source: VolumeProjection, path: string): FieldError[] {
  const bundle = source.clusterTrustBundle;
  if (!bundle) return [];
  const errors: FieldError[] = [];
  if (bundle.name !== undefined && bundle.signerName !== undefined)
    errors.push(invalid(path, bundle, 'only one of name and signerName may be used'));
  else if (bundle.name !== undefined) {
    if (bundle.name === '') errors.push(required(child(path, 'name'), 'must be a valid object name'));
    if (bundle.labelSelector)
      errors.push(
        invalid(
          child(path, 'labelSelector'),
          bundle.labelSelector,
          'labelSelector must be unset if name is specified',
        ),
      );
  } else if (bundle.signerName !== undefined) {
    if (bundle.signerName === '')
      errors.push(required(child(path, 'signerName'), 'must be a valid signer name'));
    errors.push(...validateLabelSelector(bundle.labelSelector, child(path, 'labelSelector')));
  } else errors.push(required(path, 'either name or signerName must be specified'));
  if (!bundle.path) errors.push(required(child(path, 'path')));
  return [...errors, ...validateNonReserved(bundle.path ?? '', child(path, 'path'))];
}
