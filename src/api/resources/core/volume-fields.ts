/** What PersistentVolumes and their claims share. */
import { child, type FieldError, forbidden, key, notSupported } from '../../machinery/field.js';
import type { KubeObject } from '../../machinery/types.js';

export const ACCESS_MODES: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
export const VOLUME_MODES = ['Block', 'Filesystem'];
export const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class';

export function validateAccessModes(modes: string[], path: string): FieldError[] {
  const at = child(path, 'accessModes');
  const errors = modes
    .filter((mode) => !(mode in ACCESS_MODES))
    .map((mode) => notSupported(at, mode, Object.keys(ACCESS_MODES).sort()));
  const others = modes.some((mode) => mode in ACCESS_MODES && mode !== 'ReadWriteOncePod');
  if (modes.includes('ReadWriteOncePod') && others)
    errors.push(forbidden(at, 'may not use ReadWriteOncePod with other access modes'));
  return errors;
}

export function validateVolumeMode(mode: string | undefined, path: string): FieldError[] {
  if (mode === undefined || VOLUME_MODES.includes(mode)) return [];
  return [notSupported(child(path, 'volumeMode'), mode, VOLUME_MODES)];
}

/** `RWO,ROX`: each mode once, in a fixed order. */
export const formatAccessModes = (modes: string[] | undefined): string =>
  Object.entries(ACCESS_MODES)
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',');

/** The annotation counted before there was a field. */
export const storageClassOf = (object: KubeObject): string =>
  object.metadata.annotations?.[CLASS_ANNOTATION] ?? object['spec']?.storageClassName ?? '';

export const classAnnotationWarning = ({ annotations }: KubeObject['metadata']): string[] =>
  annotations?.[CLASS_ANNOTATION] === undefined
    ? []
    : [
        `${key('metadata.annotations', CLASS_ANNOTATION)}: deprecated since v1.8; use "storageClassName" attribute instead`,
      ];
