/**
 * TaintNodesByCondition and NodeRestriction: a new node takes no pods until it is ready, and a node writes
 * nothing but itself and its pods.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */
import type { Node, Pod } from '#types';
import { sameJson } from '../../api/machinery/validation.js';
import { nodeNameOf } from '../../auth/authorizers/node.js';
import type { Authorizer } from '../../auth/user.js';
import type { Store } from '../../store/store.js';
import { type AdmissionPlugin, type AdmissionRequest, refuse } from './admission.js';
import { restrictToken } from './node-tokens.js';

const NOT_READY = 'node.kubernetes.io/not-ready';
const MIRROR = 'kubernetes.io/config.mirror';

const is = ({ resource }: AdmissionRequest, group: string, plural: string): boolean =>
  resource.group === group && resource.plural === plural;

export const taintNewNodes: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  admit(request) {
    if (!is(request, '', 'nodes') || request.operation !== 'CREATE') return;
    const node = request.object as unknown as Node;
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some(({ key, effect }) => key === NOT_READY && effect === 'NoSchedule')) return;
    node.spec.taints = [...taints, { key: NOT_READY, effect: 'NoSchedule' }];
  },
};

export function nodeRestriction(store: Store, authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    async admit(request) {
      const node = nodeNameOf(request.user);
      if (node === undefined) return;
      if (is(request, '', 'nodes')) restrictNode(request, node);
      if (is(request, 'storage.k8s.io', 'csinodes')) restrictCsiNode(request, node);
      if (is(request, 'resource.k8s.io', 'resourceslices')) restrictSlice(request, node);
      if (is(request, '', 'pods')) restrictPod(store, request, node);
      if (is(request, 'coordination.k8s.io', 'leases')) restrictLease(request, node);
      if (is(request, '', 'serviceaccounts') && request.subresource === 'token')
        await restrictToken(store, authorizer, request, node);
    },
    validate(request) {
      const node = nodeNameOf(request.user);
      if (node === undefined || request.operation !== 'DELETE' || !is(request, '', 'pods')) return;
      if ((request.old as unknown as Pod).spec?.nodeName !== node)
        throw refuse(request, `node ${quoted(node)} can only delete pods with spec.nodeName set to itself`);
    },
  };
}

const quoted = (text: string) => JSON.stringify(text);

function restrictNode(request: AdmissionRequest, node: string): void {
  const name = request.name || request.object?.metadata.name || '';
  if (name !== node)
    throw refuse(request, `node ${quoted(node)} is not allowed to modify node ${quoted(name)}`);
  if (request.operation === 'DELETE') return;
  const [next, old] = [
    request.object as unknown as Node | undefined,
    request.old as unknown as Node | undefined,
  ];
  const labels = changedLabels(next?.metadata?.labels, old?.metadata?.labels).filter(isReserved);
  if (labels.length > 0)
    throw refuse(
      request,
      `node ${quoted(node)} is not allowed to modify labels: ${labels.sort().join(', ')}`,
    );
  if (old && request.subresource === '' && !sameJson(next?.spec?.taints, old.spec?.taints))
    throw refuse(request, `node ${quoted(node)} is not allowed to modify taints`);
}

function changedLabels(next: Record<string, string> = {}, old: Record<string, string> = {}): string[] {
  return [...new Set([...Object.keys(next), ...Object.keys(old)])].filter((key) => next[key] !== old[key]);
}

/** Labels by which administrators keep pods on trusted nodes. */
const isReserved = (label: string): boolean => /^(?:[^/]+\.)?node-restriction\.kubernetes\.io\//.test(label);

function restrictSlice(request: AdmissionRequest, node: string): void {
  if (request.operation === 'CREATE' && request.object?.['spec']?.nodeName !== node)
    throw refuse(request, 'can only create ResourceSlice with the same NodeName as the requesting node');
}

function restrictPod(store: Store, request: AdmissionRequest, node: string): void {
  const pod = request.object as unknown as Pod | undefined;
  if (request.operation === 'CREATE' && request.subresource === '') {
    if (pod?.metadata?.annotations?.[MIRROR] === undefined)
      throw refuse(
        request,
        `pod does not have ${quoted(MIRROR)} annotation, node ${quoted(node)} can only create mirror pods`,
      );
    if (pod.spec?.nodeName !== node)
      throw refuse(request, `node ${quoted(node)} can only create pods with spec.nodeName set to itself`);
    const wrong = mirrorProblem(store, pod, node);
    if (wrong) throw refuse(request, `node ${quoted(node)} ${wrong}`);
  }
  if (request.operation !== 'UPDATE') return;
  if (request.subresource !== 'status')
    throw refuse(
      request,
      `unexpected operation ${quoted(request.operation)}, node ${quoted(node)} can only create and delete mirror pods`,
    );
  if ((request.old as unknown as Pod).spec?.nodeName !== node)
    throw refuse(
      request,
      `node ${quoted(node)} can only update pod status for pods with spec.nodeName set to itself`,
    );
  const labels = changedLabels(pod?.metadata?.labels, request.old?.metadata.labels);
  if (labels.length > 0)
    throw refuse(request, `node ${quoted(node)} cannot update labels through pod status`);
}

/** A mirror belongs to its node, and leads it to no other object of the API. */
function mirrorProblem(store: Store, { metadata, spec }: Pod, node: string): string | undefined {
  const { ownerReferences: owners = [] } = metadata;
  if (owners.length > 1) return 'can only create pods with a single owner reference set to itself';
  const [owner] = owners;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    return 'can only create pods with an owner reference set to itself';
  if (!owner.controller) return 'can only create pods with a controller owner reference set to itself';
  if (owner.blockOwnerDeletion) return 'must not set blockOwnerDeletion on an owner reference';
  const own = store.get(`core/nodes//${node}`)?.object.metadata.uid;
  if (own !== undefined && owner.uid !== own) return `UID mismatch: expected ${own} got ${owner.uid}`;
  if (spec?.serviceAccountName) return 'can not create pods that reference a service account';
  const volumes = spec?.volumes ?? [];
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const env = containers.flatMap((container) => container.env ?? []);
  const envFrom = containers.flatMap((container) => container.envFrom ?? []);
  if (
    spec?.imagePullSecrets?.length ||
    volumes.some((volume) => volume.secret) ||
    env.some(({ valueFrom }) => valueFrom?.secretKeyRef) ||
    envFrom.some(({ secretRef }) => secretRef)
  )
    return 'can not create pods that reference secrets';
  if (
    volumes.some((volume) => volume.configMap) ||
    env.some(({ valueFrom }) => valueFrom?.configMapKeyRef) ||
    envFrom.some(({ configMapRef }) => configMapRef)
  )
    return 'can not create pods that reference configmaps';
  if (volumes.some((volume) => volume.persistentVolumeClaim))
    return 'can not create pods that reference persistentvolumeclaims';
  if (spec?.resourceClaims?.length) return 'can not create pods that reference resourceclaims';
  return undefined;
}

function restrictLease(request: AdmissionRequest, node: string): void {
  if (request.namespace !== 'kube-node-lease')
    throw refuse(request, 'can only access leases in the "kube-node-lease" system namespace');
  if ((request.name || request.object?.metadata.name) !== node)
    throw refuse(request, 'can only access node lease with the same name as the requesting node');
}

function restrictCsiNode(request: AdmissionRequest, node: string): void {
  if ((request.name || request.object?.metadata.name) !== node)
    throw refuse(request, 'can only access CSINode with the same name as the requesting node');
}
