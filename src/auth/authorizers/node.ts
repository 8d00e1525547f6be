/**
 * What a node (`system:node:<name>` in `system:nodes`) may do: its own Node, Lease and pods, and what those
 * pods refer to.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { KubeObject } from '../../api/machinery/types.js';
import type { Store } from '../../store/store.js';
import type { Attributes, Authorizer, Rules, User } from '../user.js';
import { PodReferences } from './pod-references.js';
import { type ResourceRule, rule, ruleAllows } from './rules.js';

const PREFIX = 'system:node:';

/** The name of the node that `user` is, or undefined. */
export function nodeNameOf(user: User): string | undefined {
  if (!user.groups.includes('system:nodes') || !user.name.startsWith(PREFIX)) return undefined;
  return user.name.slice(PREFIX.length) || undefined;
}

const READ = 'get list watch';

/** Allowed for every node, whatever the object. */
const ANY: ResourceRule[] = [
  rule('core', 'services nodes namespaces endpoints', READ),
  rule('discovery.k8s.io', 'endpointslices', READ),
  rule('networking.k8s.io', 'networkpolicies', READ),
  rule('core events.k8s.io', 'events', 'create update patch'),
  rule('core', 'nodes', 'create'),
  rule('core', 'pods', 'create'),
  rule('authentication.k8s.io', 'tokenreviews', 'create'),
  rule('authorization.k8s.io', 'subjectaccessreviews localsubjectaccessreviews', 'create'),
  rule('certificates.k8s.io', 'certificatesigningrequests', `create ${READ}`),
  rule('node.k8s.io', 'runtimeclasses', READ),
  rule('storage.k8s.io', 'csidrivers', READ),
  // A create names its object in the body: admission looks at that.
  rule('storage.k8s.io', 'csinodes', 'create'),
];

/** Allowed on the object that has the node's own name. */
const OWN: ResourceRule[] = [
  rule('core', 'nodes nodes/status', 'get update patch'),
  rule('storage.k8s.io', 'csinodes', 'get create update patch delete'),
];

const LEASES = rule('coordination.k8s.io', 'leases', 'get create update patch delete');
const POD_WRITES = rule('core', 'pods pods/status pods/eviction', 'get update patch delete create');
const POD_READS = rule('core', 'pods', 'list watch');
const REFERENCED = rule('core', 'configmaps secrets persistentvolumeclaims', READ);
const CLAIM_STATUS = rule('core', 'persistentvolumeclaims/status', 'get update patch');
const DEVICE_CLAIMS = rule('resource.k8s.io', 'resourceclaims', 'get');
const SLICE_LISTS = rule('resource.k8s.io', 'resourceslices', 'list watch deletecollection');
const SLICES = rule('resource.k8s.io', 'resourceslices', 'get create update patch delete');
const TOKENS = rule('core', 'serviceaccounts/token', 'create');
const ACCOUNTS = rule('core', 'serviceaccounts', 'get');

const allow = { decision: 'allow' as const, reason: '' };
const none = (reason: string) => ({ decision: 'no-opinion' as const, reason });

/** Needs `close`. */
export class NodeAuthorizer implements Authorizer {
  readonly #store: Store;
  readonly #references: PodReferences;

  constructor(store: Store) {
    this.#store = store;
    this.#references = new PodReferences(store);
  }

  authorize(a: Attributes) {
    const node = nodeNameOf(a.user);
    if (node === undefined) return none('');
    if (ANY.some((r) => ruleAllows(r, a))) return allow;
    if (a.name === node && OWN.some((r) => ruleAllows(r, a))) return allow;
    return this.#judge(a, node);
  }

  /** What a node may do depends on its pods. */
  rulesFor(user: User): Rules {
    const isNode = nodeNameOf(user) !== undefined;
    const errors = isNode ? ['node authorizer does not support user rule resolution'] : [];
    return { rules: [], incomplete: isNode, errors };
  }

  close(): void {
    this.#references.close();
  }

  async #judge(a: Attributes, node: string) {
    if (ruleAllows(LEASES, a)) return this.#lease(a, node);
    if (ruleAllows(POD_READS, a)) return this.#podList(a, node);
    if (ruleAllows(POD_WRITES, a)) return this.#pod(a, node);
    if (ruleAllows(REFERENCED, a)) return this.#referenced(a, node, a.resource);
    if (ruleAllows(CLAIM_STATUS, a)) return this.#referenced(a, node, 'persistentvolumeclaims');
    if (ruleAllows(DEVICE_CLAIMS, a)) return this.#referenced(a, node, 'resourceclaims');
    if (ruleAllows(SLICE_LISTS, a)) return this.#sliceList(a, node);
    if (ruleAllows(SLICES, a)) return this.#slice(a, node);
    if (ruleAllows(TOKENS, a) || ruleAllows(ACCOUNTS, a)) return this.#referenced(a, node, 'serviceaccounts');
    return none('');
  }

  #lease({ namespace, name, verb }: Attributes, node: string) {
    if (namespace !== 'kube-node-lease')
      return none('can only access leases in the "kube-node-lease" system namespace');
    // A create names its object in the body: admission looks at that.
    if (verb === 'create' || name === node) return allow;
    return none('can only access node lease with the same name as the requesting node');
  }

  #podList(a: Attributes, node: string) {
    return selectsNode(a, node) ? allow : none('can only list/watch pods with spec.nodeName field selector');
  }

  #sliceList(a: Attributes, node: string) {
    return selectsNode(a, node)
      ? allow
      : none('can only list/watch/deletecollection resourceslices with spec.nodeName field selector');
  }

  #slice({ name, verb }: Attributes, node: string) {
    // A create names its node in the body: admission looks at that.
    if (verb === 'create') return allow;
    const slice = this.#store.get(`resource.k8s.io/resourceslices//${name}`)?.object;
    if (slice === undefined || slice['spec']?.nodeName === node) return allow;
    return none(`no relationship found between node '${node}' and this object`);
  }

  #pod({ namespace, name }: Attributes, node: string) {
    const pod = this.#pods(namespace, name);
    // What is not there is told by the handler.
    if (pod === undefined || pod['spec']?.nodeName === node) return allow;
    return none(`no relationship found between node '${node}' and this object`);
  }

  async #referenced({ namespace, name }: Attributes, node: string, resource: string) {
    const known =
      name !== '' && namespace !== '' && (await this.#references.has(node, resource, namespace, name));
    return known ? allow : none(`no relationship found between node '${node}' and this object`);
  }

  #pods(namespace: string, name: string): KubeObject | undefined {
    return this.#store.get(`core/pods/${namespace}/${name}`)?.object;
  }
}

const selectsNode = ({ fieldSelector = '' }: Attributes, node: string): boolean =>
  fieldSelector.split(',').some((term) => /^spec\.nodeName==?/.test(term) && term.split('=').at(-1) === node);
