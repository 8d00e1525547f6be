/**
 * Pods from files of a node's manifest folder, as upstream's kubelet makes static pods of them.
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Pod } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { deepFreeze } from '../../api/machinery/types.js';
import { pods as podResource } from '../../api/resources/core/pod.js';

export const SOURCE = 'kubernetes.io/config.source';
export const HASH = 'kubernetes.io/config.hash';
export const MIRROR = 'kubernetes.io/config.mirror';
const SEEN = 'kubernetes.io/config.seen';

export interface Manifests {
  /** By UID. */
  pods: Map<string, Pod>;
  errors: { file: string; message: string }[];
}

export const isStatic = ({ metadata }: Pod): boolean => metadata.annotations?.[SOURCE] === 'file';

/** Of a folder (names that begin with a dot are left out) or of one file; what is not there has none. */
export async function readManifests(path: string, node: string, now: number): Promise<Manifests> {
  const found: Manifests = { pods: new Map(), errors: [] };
  const names = new Set<string>();
  for (const file of await filesOf(path))
    try {
      const text = await readFile(file, 'utf8');
      // A file that is just being written.
      if (text.trim() === '') continue;
      const pod = staticPod(text, file, node, now);
      const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
      if (names.has(name)) throw new Error(`another file has the pod ${name}`);
      names.add(name);
      found.pods.set(pod.metadata.uid!, pod);
    } catch (error) {
      found.errors.push({ file, message: (error as Error).message });
    }
  return found;
}

async function filesOf(path: string): Promise<string[]> {
  const what = await stat(path).catch(() => undefined);
  if (what?.isFile()) return [path];
  if (!what?.isDirectory()) return [];
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  return files.map(({ name }) => join(path, name)).sort();
}

/** @throws Error that says what is wrong with the manifest. */
export function staticPod(text: string, file: string, node: string, now: number): Pod {
  const given = parse(text) as Pod | null;
  if (given?.kind !== 'Pod' || given.apiVersion !== 'v1')
    throw new Error('it is not a Pod of the version v1');
  if (!given.metadata?.name || !given.spec) throw new Error('the pod has no name or no spec');
  const hash = createHash('md5').update(JSON.stringify(given)).update(`host:${node}`).update(`file:${file}`);
  const uid = hash.digest('hex');
  const pod = structuredClone(given);
  const { metadata, spec } = pod;
  metadata.name = `${metadata.name}-${node.toLowerCase()}`;
  metadata.namespace ||= 'default';
  metadata.uid = uid;
  metadata.annotations = {
    ...metadata.annotations,
    ...{ [HASH]: uid, [SOURCE]: 'file', [SEEN]: timestamp(now) },
  };
  spec.nodeName = node;
  // A static pod stays whatever becomes of its node.
  spec.tolerations = [...(spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }];
  const reference = apiReference(pod);
  if (reference) throw new Error(`static pods may not reference ${reference}`);
  podResource.defaults?.(pod as never);
  const [wrong] = podResource.validate?.(pod as never) ?? [];
  if (wrong) throw new Error(`${wrong.field}: ${wrong.message}`);
  pod.status = { phase: 'Pending' };
  return deepFreeze(pod);
}

/** The first kind of object of the API that a pod refers to: a static pod can't, as it runs without one. */
function apiReference({ spec }: Pod): string | undefined {
  if (spec.serviceAccountName) return 'serviceaccounts';
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const env = containers.flatMap((c) => c.env ?? []).map(({ valueFrom }) => valueFrom);
  const envFrom = containers.flatMap((c) => c.envFrom ?? []);
  const volumes = spec.volumes ?? [];
  const sources = volumes.flatMap(({ projected }) => projected?.sources ?? []);
  if (
    spec.imagePullSecrets?.length ||
    env.some((from) => from?.secretKeyRef) ||
    envFrom.some((from) => from.secretRef) ||
    volumes.some((v) => v.secret) ||
    sources.some((source) => source.secret)
  )
    return 'secrets';
  if (
    env.some((from) => from?.configMapKeyRef) ||
    envFrom.some((from) => from.configMapRef) ||
    volumes.some((v) => v.configMap) ||
    sources.some((source) => source.configMap)
  )
    return 'configmaps';
  if (sources.some((source) => source.serviceAccountToken)) return 'serviceaccounts';
  if (volumes.some((v) => v.persistentVolumeClaim || v.ephemeral)) return 'persistentvolumeclaims';
  if (volumes.some((v) => v.csi)) return 'csidrivers';
  if (spec.resourceClaims?.length) return 'resourceclaims';
  return undefined;
}
