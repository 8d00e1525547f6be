/** Makes the claims of a pod's templates, and tells the pod of them. */
import type {
  Pod,
  PodResourceClaim,
  PodResourceClaimStatus,
  ResourceV1ResourceClaim as ResourceClaim,
  ResourceClaimTemplate,
} from '#types';
import { pods, resourceClaims } from '../../api/resources/index.js';
import {
  canBeReserved,
  isReservedFor,
  POD_CLAIM_ANNOTATION,
  reservation,
  whyNotFor,
} from '../../api/resources/resource/pod-claims.js';
import type { Informer } from '../../client/index.js';
import type { Context } from '../context.js';
import { controllerRef } from '../owners.js';
import { isPodTerminal } from '../pods.js';

export interface PodClaimsOptions {
  context: Context;
  claims: Informer<ResourceClaim>;
  templates: Informer<ResourceClaimTemplate>;
  /** Claims that were made for a pod. */
  made(pod: Pod): ResourceClaim[];
}

export class PodClaims {
  /** Made by this controller, and not yet seen: by UID of the pod, then by the pod's name for it. */
  readonly #fresh = new Map<string, Map<string, ResourceClaim>>();

  constructor(private readonly options: PodClaimsOptions) {}

  async reconcile(pod: Pod): Promise<void> {
    const { context } = this.options;
    const uid = pod.metadata.uid ?? '';
    if (pod.metadata.deletionTimestamp || isPodTerminal(pod)) {
      this.#fresh.delete(uid);
      return;
    }
    const statuses: PodResourceClaimStatus[] = [];
    for (const one of pod.spec.resourceClaims ?? []) {
      if (!one.resourceClaimTemplateName) continue;
      try {
        const claim = await this.#ensure(pod, one);
        statuses.push({ name: one.name, resourceClaimName: claim.metadata.name });
      } catch (error) {
        const message = `PodResourceClaim ${one.name}: ${(error as Error).message}`;
        context.events.event(pod, 'Warning', 'FailedResourceClaimCreation', message);
        throw error;
      }
    }
    await this.#tell(pod, statuses);
    await this.#reserveForPlaced(pod);
  }

  forget({ metadata }: Pod): void {
    this.#fresh.delete(metadata.uid ?? '');
  }

  async #ensure(
    pod: Pod,
    { name, resourceClaimTemplateName = '' }: PodResourceClaim,
  ): Promise<ResourceClaim> {
    const { context, claims, templates, made } = this.options;
    const { namespace = '', uid = '' } = pod.metadata;
    const told = pod.status?.resourceClaimStatuses?.find((status) => status.name === name)?.resourceClaimName;
    const known = told ? claims.get(`${namespace}/${told}`) : undefined;
    if (known) {
      const why = whyNotFor(pod, known);
      if (why) throw new Error(why);
      return known;
    }
    const isIt = (claim: ResourceClaim) => claim.metadata.annotations?.[POD_CLAIM_ANNOTATION] === name;
    const fresh = this.#fresh.get(uid) ?? new Map<string, ResourceClaim>();
    const found = made(pod).find(isIt) ?? (told ? undefined : fresh.get(name));
    if (found) return found;
    const template = templates.get(`${namespace}/${resourceClaimTemplateName}`);
    if (!template)
      throw new Error(
        `resource claim template "${resourceClaimTemplateName}": resourceclaimtemplate.resource.k8s.io "${resourceClaimTemplateName}" not found`,
      );
    const created = await context.client.of(resourceClaims).create(claimFor(pod, name, template));
    fresh.set(name, created);
    this.#fresh.set(uid, fresh);
    return created;
  }

  async #tell({ metadata, status }: Pod, statuses: PodResourceClaimStatus[]): Promise<void> {
    const told = status?.resourceClaimStatuses ?? [];
    const isTold = ({ name, resourceClaimName }: PodResourceClaimStatus) =>
      told.some((one) => one.name === name && one.resourceClaimName === resourceClaimName);
    if (statuses.every(isTold)) return;
    const { uid, name, namespace = '' } = metadata;
    const patch = { metadata: { uid }, status: { resourceClaimStatuses: statuses } };
    await this.options.context.client
      .of(pods)
      .patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
  }

  /** Of a pod that came to its node without the scheduler: it may use claims that have their devices. */
  async #reserveForPlaced(pod: Pod): Promise<void> {
    if (!pod.spec.nodeName) return;
    const { context, claims } = this.options;
    for (const { resourceClaimName } of pod.spec.resourceClaims ?? []) {
      const claim = claims.get(`${pod.metadata.namespace}/${resourceClaimName}`);
      if (!claim?.status?.allocation || isReservedFor(pod, claim) || !canBeReserved(claim)) continue;
      const reservedFor = [...(claim.status.reservedFor ?? []), reservation(pod)];
      const status = { ...claim.status, reservedFor };
      await context.client.of(resourceClaims).update({ ...claim, status }, { subresource: 'status' });
    }
  }
}

function claimFor(pod: Pod, name: string, { spec }: ResourceClaimTemplate): ResourceClaim {
  const { labels, annotations } = spec.metadata ?? {};
  // As long as names can be, the rest is for the random end.
  const generateName = `${`${pod.metadata.name}-${name}`.slice(0, 247)}-`;
  return {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaim',
    metadata: {
      name: '',
      generateName,
      namespace: pod.metadata.namespace ?? '',
      ...(labels ? { labels } : {}),
      annotations: { ...annotations, [POD_CLAIM_ANNOTATION]: name },
      ownerReferences: [controllerRef({ ...pod, apiVersion: 'v1', kind: 'Pod' })],
    },
    spec: spec.spec,
  };
}
