/** What the files of ConfigMap, Secret, downward API and projected volumes are to hold. */
import type { ConfigMap, KeyToPath, Pod, Secret, Volume } from '#types';
import { fieldValue, type NodeFacts, resourceValue } from '../pods/fields.js';
import type { FileProjection, Payload } from './atomic-writer.js';

/** A volume can't be made (yet). */
export class VolumeError extends Error {}

export interface PayloadSources {
  node: NodeFacts;
  podIPs: string[];
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** A token for the pod's service account. */
  token(audience: string, expirationSeconds: number): Promise<string>;
}

interface Named {
  kind: 'configmap' | 'secret';
  name: string;
  items: KeyToPath[] | undefined;
  optional: boolean | undefined;
  mode: number;
}

const DEFAULT_MODE = 0o644;

/** Whether a volume's files come from objects, and are written by `payload`. */
export const isPayloadVolume = (volume: Volume): boolean =>
  Boolean(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);

export async function payload(pod: Pod, volume: Volume, sources: PayloadSources): Promise<Payload> {
  const files: Payload = new Map();
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) addNamed(files, sources, named('configmap', configMap.name, configMap));
  else if (secret) addNamed(files, sources, named('secret', secret.secretName, secret));
  else if (downwardAPI) addDownward(pod, files, sources, downwardAPI.items ?? [], downwardAPI.defaultMode);
  else if (projected) {
    const mode = projected.defaultMode ?? DEFAULT_MODE;
    for (const source of projected.sources ?? []) {
      if (source.configMap)
        addNamed(files, sources, named('configmap', source.configMap.name, source.configMap, mode));
      if (source.secret) addNamed(files, sources, named('secret', source.secret.name, source.secret, mode));
      if (source.downwardAPI) addDownward(pod, files, sources, source.downwardAPI.items ?? [], mode);
      if (source.serviceAccountToken) {
        const { audience = '', expirationSeconds = 3600, path } = source.serviceAccountToken;
        const token = await sources.token(audience, expirationSeconds);
        files.set(path, tokenFile(pod, token, mode));
      }
      if (source.clusterTrustBundle ?? source.podCertificate)
        throw new VolumeError('this kind of projected volume is not supported');
    }
  }
  return files;
}

/** Readable for the one user that all containers run as, and for fsGroup; else only for root (kubelet, KEP-2451). */
function tokenFile(pod: Pod, token: string, mode: number): FileProjection {
  const data = Buffer.from(token);
  const hasGroup = pod.spec.securityContext?.fsGroup !== undefined;
  const users = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(
      (c) => c.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser,
    ),
  );
  const [uid] = users;
  if (users.size === 1 && uid !== undefined) return { data, mode: hasGroup ? 0o640 : 0o600, uid };
  return { data, mode: hasGroup ? 0o640 : mode };
}

function named(
  kind: Named['kind'],
  name = '',
  { items, optional, defaultMode }: { items?: KeyToPath[]; optional?: boolean; defaultMode?: number },
  mode = defaultMode ?? DEFAULT_MODE,
): Named {
  return { kind, name, items, optional, mode };
}

function addNamed(
  files: Payload,
  sources: PayloadSources,
  { kind, name, items, optional, mode }: Named,
): void {
  const data =
    kind === 'configmap' ? configMapData(sources.configMap(name)) : secretData(sources.secret(name));
  if (!data) {
    if (optional) return;
    throw new VolumeError(`${kind} "${name}" not found`);
  }
  if (!items || items.length === 0) {
    for (const [key, value] of data) files.set(key, { data: value, mode });
    return;
  }
  for (const { key, path, mode: own } of items) {
    const value = data.get(key);
    if (value) files.set(path, { data: value, mode: own ?? mode });
    else if (!optional)
      throw new VolumeError(
        kind === 'configmap'
          ? `configmap references non-existent config key: ${key}`
          : `references non-existent secret key: ${key}`,
      );
  }
}

function configMapData(object: ConfigMap | undefined): Map<string, Buffer> | undefined {
  if (!object) return undefined;
  const text = Object.entries(object.data ?? {}).map(([k, v]): [string, Buffer] => [k, Buffer.from(v)]);
  const binary = Object.entries(object.binaryData ?? {}).map(([k, v]): [string, Buffer] => [
    k,
    Buffer.from(v, 'base64'),
  ]);
  return new Map([...text, ...binary]);
}

function secretData(object: Secret | undefined): Map<string, Buffer> | undefined {
  if (!object) return undefined;
  return new Map(Object.entries(object.data ?? {}).map(([k, v]) => [k, Buffer.from(v, 'base64')]));
}

type DownwardItems = NonNullable<NonNullable<Volume['downwardAPI']>['items']>;

function addDownward(
  pod: Pod,
  files: Payload,
  { node, podIPs }: PayloadSources,
  items: DownwardItems,
  defaultMode = DEFAULT_MODE,
): void {
  for (const { path, fieldRef, resourceFieldRef, mode = defaultMode } of items) {
    let text = '';
    if (fieldRef) text = fieldValue(pod, fieldRef, node, podIPs);
    else if (resourceFieldRef) {
      const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
      const container = all.find((c) => c.name === resourceFieldRef.containerName);
      if (!container) throw new VolumeError(`container ${resourceFieldRef.containerName} not found`);
      text = resourceValue(container, resourceFieldRef, node);
    }
    files.set(path, { data: Buffer.from(text), mode });
  }
}
