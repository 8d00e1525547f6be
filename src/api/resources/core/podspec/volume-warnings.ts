/** Volumes that are accepted but do not do what was meant: of sources that are gone, or with files in each other's place. */
import type { KeyToPath, Volume, VolumeProjection } from '#types';
import { child } from '../../../machinery/field.js';

const DEPRECATED: Record<string, string> = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

/** Of the source of a pod's volume or a PersistentVolume. */
export const volumeWarnings = (volume: object, path: string): string[] =>
  Object.entries(DEPRECATED)
    .filter(([kind]) => (volume as Record<string, unknown>)[kind])
    .map(([kind, text]) => `${child(path, kind === 'storageos' ? 'storageOS' : kind)}: ${text}`);

/** Files of one volume that have the same path, or of which one is a folder of the other. */
export const overlapWarnings = (volumes: Volume[] | undefined): string[] =>
  (volumes ?? []).flatMap(({ name, configMap, secret, downwardAPI, projected }) => {
    const of = (kind: string) => `volume ${JSON.stringify(name)} (${kind}): overlapping paths`;
    return [
      ...overlaps(pathsOf(configMap?.items), of(`ConfigMap ${JSON.stringify(configMap?.name ?? '')}`)),
      ...overlaps(pathsOf(secret?.items), of(`Secret ${JSON.stringify(secret?.secretName ?? '')}`)),
      ...overlaps(pathsOf(downwardAPI?.items), of('DownwardAPI')),
      ...(projected ? projectedOverlaps(name, projected.sources ?? []) : []),
    ];
  });

const pathsOf = (items: Pick<KeyToPath, 'path'>[] | undefined): string[] =>
  (items ?? []).map(({ path }) => path);

function projectedOverlaps(name: string, sources: VolumeProjection[]): string[] {
  const volume = JSON.stringify(name);
  const all = new Set<string>();
  return sources.flatMap((source) => {
    const known = filesOf(source);
    if (!known) return [`volume ${volume} (Projected) has no sources provided`];
    const message = `volume ${volume} (Projected ${known.title}): overlapping paths`;
    const own = new Set(known.paths);
    const warnings = [...overlaps(known.paths, message), ...overlaps([...own, ...all].sort(), message)];
    for (const path of own) all.add(path);
    return known.paths.length === 0 ? [] : warnings;
  });
}

/** What a source puts where; undefined when it is empty. */
function filesOf(source: VolumeProjection): { title: string; paths: string[] } | undefined {
  const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle } = source;
  if (configMap)
    return { title: `ConfigMap ${JSON.stringify(configMap.name ?? '')}`, paths: pathsOf(configMap.items) };
  if (secret) return { title: `Secret ${JSON.stringify(secret.name ?? '')}`, paths: pathsOf(secret.items) };
  if (downwardAPI) return { title: 'DownwardAPI', paths: pathsOf(downwardAPI.items) };
  if (serviceAccountToken) return { title: 'ServiceAccountToken', paths: [serviceAccountToken.path] };
  if (!clusterTrustBundle) return Object.keys(source).length === 0 ? undefined : { title: '', paths: [] };
  const bundle = clusterTrustBundle.name ?? clusterTrustBundle.signerName ?? '';
  return { title: `ClusterTrustBundle ${JSON.stringify(bundle)}`, paths: [clusterTrustBundle.path] };
}

function overlaps(paths: string[], message: string): string[] {
  const seen: string[] = [];
  return paths.flatMap((raw) => {
    const path = (raw ?? '').replace(/\/+$/, '');
    const other = seen.find((each) => each !== '' && path !== '' && clash(each, path));
    if (!seen.includes(path)) seen.push(path);
    return other === undefined ? [] : [`${message}: ${JSON.stringify(path)} with ${JSON.stringify(other)}`];
  });
}

const clash = (a: string, b: string): boolean => `${a}/`.startsWith(b) || `${b}/`.startsWith(a);
