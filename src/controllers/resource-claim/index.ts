/**
 * Claims of devices: makes those of templates for pods, forgets pods that have ended, and frees devices that nobody uses.
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
 */
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#types';
import { objectKey } from '../../api/machinery/types.js';
import { pods, resourceClaims, resourceClaimTemplates } from '../../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { ClaimKeeper } from './claims.js';
import { PodClaims } from './pod-claims.js';

/** Keys of claims that the pod uses, by an informer's index. */
const CLAIM_INDEX = 'resource-claims';
const TEMPLATE_INDEX = 'resource-claim-templates';
/** UID of the pod that a claim was made for. */
const OWNER_INDEX = 'pod-owner';

const usedBy = ({ metadata, spec, status }: Pod): string[] => {
  const direct = (spec?.resourceClaims ?? []).flatMap(({ resourceClaimName }) => resourceClaimName ?? []);
  const made = (status?.resourceClaimStatuses ?? []).flatMap(
    ({ resourceClaimName }) => resourceClaimName ?? [],
  );
  return [...direct, ...made].map((name) => `${metadata.namespace}/${name}`);
};

const templatesOf = ({ metadata, spec }: Pod): string[] =>
  (spec?.resourceClaims ?? []).flatMap(({ resourceClaimTemplateName: name }) =>
    name ? [`${metadata.namespace}/${name}`] : [],
  );

const madeFor = ({ metadata }: ResourceClaim): string[] =>
  (metadata.ownerReferences ?? []).flatMap(({ kind, controller, uid }) =>
    kind === 'Pod' && controller ? [uid] : [],
  );

export function startResourceClaimController(options: ControllersOptions): Controller {
  const context = contextOf(options, 'resource-claim-controller', 'resource_claim');
  const { informers } = context;
  const allPods = informers.of(pods, {
    indexes: { [CLAIM_INDEX]: usedBy, [TEMPLATE_INDEX]: templatesOf },
  });
  const claims = informers.of(resourceClaims, { indexes: { [OWNER_INDEX]: madeFor } });
  const templates = informers.of(resourceClaimTemplates);
  const made = (pod: Pod) => claims.byIndex(OWNER_INDEX, pod.metadata.uid ?? '');
  const podClaims = new PodClaims({ context, claims, templates, made });
  const keeper = new ClaimKeeper(context, allPods);

  const reconcile = async (key: string): Promise<void> => {
    const [kind, ...name] = key.split(' ');
    const pod = kind === 'pod' ? allPods.get(name.join(' ')) : undefined;
    const claim = kind === 'claim' ? claims.get(name.join(' ')) : undefined;
    if (pod) await podClaims.reconcile(pod);
    if (claim) await keeper.reconcile(claim);
  };
  const loop = new WorkLoop(context, [allPods.synced, claims.synced, templates.synced], reconcile);
  const claimChanged = (claim: ResourceClaim) => loop.queue.add(`claim ${objectKey(claim)}`);
  const podChanged = (pod: Pod) => {
    if (!pod.spec?.resourceClaims?.length) return;
    loop.queue.add(`pod ${objectKey(pod)}`);
    for (const key of usedBy(pod)) loop.queue.add(`claim ${key}`);
    for (const claim of made(pod)) claimChanged(claim);
  };
  const podsOf = (index: string, key: string) => {
    for (const pod of allPods.byIndex(index, key)) podChanged(pod);
  };
  loop.onClose(
    allPods.on({
      added: podChanged,
      updated: (_, pod) => podChanged(pod),
      deleted(pod) {
        podClaims.forget(pod);
        podChanged(pod);
      },
    }),
    claims.on({
      added: claimChanged,
      updated: (_, claim) => claimChanged(claim),
      // One that was deleted too early is made again.
      deleted: (claim) => podsOf(CLAIM_INDEX, objectKey(claim)),
    }),
    templates.on({ added: (template) => podsOf(TEMPLATE_INDEX, objectKey(template)) }),
  );
  return loop;
}
