/** The scale subresource of what an autoscaler refers to. */
import type { Scale as ScaleType } from '#types';
import { type KubeObject, parseApiVersion } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import type { Client } from '../../client/index.js';
import { type CustomKinds, resourceOfKind } from '../custom-kinds.js';

export type Scale = KubeObject & Pick<ScaleType, 'spec' | 'status'>;

export interface Target {
  resource: Resource;
  scale: Scale;
}

/** Rejects when there is no such kind or object, or it can't be scaled. */
export async function readTarget(
  client: Client,
  namespace: string,
  reference: { apiVersion?: string; kind: string; name: string },
  custom: CustomKinds,
): Promise<Target> {
  const resource = resourceOfTarget(reference, custom);
  const scale = await client.of(resource).getSubresource<Scale>(namespace, reference.name, 'scale');
  return { resource, scale };
}

export async function writeScale(
  client: Client,
  { resource, scale }: Target,
  replicas: number,
): Promise<void> {
  const { namespace = '', name } = scale.metadata;
  const next = { ...scale, spec: { ...scale.spec, replicas } };
  await client.of(resource).updateSubresource(namespace, name, 'scale', next);
}

function resourceOfTarget(
  { apiVersion = 'v1', kind }: { apiVersion?: string; kind: string },
  custom: CustomKinds,
): Resource {
  const found = resourceOfKind(apiVersion, kind, custom);
  if (found) return found;
  const { group } = parseApiVersion(apiVersion);
  throw new Error(
    `unable to determine resource for scale target reference: no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`,
  );
}
