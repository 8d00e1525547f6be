/** Which VolumeAttributesClasses a claim or a volume names (KEP-3751). */
import type { PersistentVolume, PersistentVolumeClaim } from '#types';

/** Those that it has, wants, or is being changed to. */
export function attributesClassesOf({ spec, status }: PersistentVolumeClaim | PersistentVolume): string[] {
  const { currentVolumeAttributesClassName, modifyVolumeStatus } = (status ?? {}) as NonNullable<
    PersistentVolumeClaim['status']
  >;
  const names = [
    spec?.volumeAttributesClassName,
    currentVolumeAttributesClassName,
    modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return names.filter((name): name is string => Boolean(name));
}
