/** The graph of who owns whom, kept from the events of all resources (upstream `graph_builder.go`). */
import type { OwnerReference } from '#types';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

export interface GraphNode {
  readonly uid: string;
  readonly resource: Resource;
  /** '' for what is cluster-scoped. */
  readonly namespace: string;
  readonly name: string;
  /** Only known from a reference: no event has shown it. */
  virtual: boolean;
  owners: readonly OwnerReference[];
  readonly dependents: Set<GraphNode>;
  /** Its deletion has begun. */
  deleting: boolean;
  /** It waits for its dependents to go first. */
  deletingDependents: boolean;
  /** It waits for its dependents to be made orphans. */
  orphaning: boolean;
}

/** What the graph asks the collector to look at; keys are uids. */
export interface GraphListener {
  /** It may have to be deleted, or (virtual) may not exist. */
  check(uid: string): void;
  orphan(uid: string): void;
  /** The resource that a reference points to; undefined if it is not served (yet). */
  resolve(reference: OwnerReference): Resource | undefined;
}

export class Graph {
  readonly #nodes = new Map<string, GraphNode>();
  /** Nodes with owners of kinds that are not served. */
  readonly #unresolved = new Set<GraphNode>();
  readonly #listener: GraphListener;

  constructor(listener: GraphListener) {
    this.#listener = listener;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** The object exists, in this version. */
  observe(resource: Resource, object: KubeObject): void {
    const node = this.#realNode(resource, object);
    const { ownerReferences = [], finalizers = [], deletionTimestamp } = object.metadata;
    if (!sameReferences(node.owners, ownerReferences)) this.#setOwners(node, ownerReferences);
    const wasOrphaning = node.orphaning;
    const wasWaiting = node.deletingDependents;
    node.deleting = deletionTimestamp !== undefined;
    node.orphaning = node.deleting && finalizers.includes(ORPHAN);
    node.deletingDependents = node.deleting && finalizers.includes(FOREGROUND);
    if (node.orphaning && !wasOrphaning) this.#listener.orphan(node.uid);
    if (node.deletingDependents && !wasWaiting) {
      for (const dependent of node.dependents) this.#listener.check(dependent.uid);
      this.#listener.check(node.uid);
    }
  }

  /** The object is gone: its dependents may have to follow, and owners that waited for it may go on. */
  remove(uid: string): void {
    const node = this.#nodes.get(uid);
    if (node === undefined) return;
    for (const { uid: owner } of node.owners) {
      this.#unlink(owner, node);
      if (this.#nodes.get(owner)?.deletingDependents) this.#listener.check(owner);
    }
    node.owners = [];
    this.#unresolved.delete(node);
    for (const dependent of node.dependents) this.#listener.check(dependent.uid);
    if (node.dependents.size === 0) this.#nodes.delete(uid);
    else node.virtual = true;
    node.deleting = false;
    node.deletingDependents = false;
    node.orphaning = false;
  }

  /** More kinds are served than before: what refers to them is linked. */
  resolve(): void {
    const nodes = [...this.#unresolved];
    this.#unresolved.clear();
    for (const node of nodes)
      for (const owner of node.owners)
        if (!this.#nodes.get(owner.uid)?.dependents.has(node)) this.#link(owner, node);
  }

  /** The nodes of a resource whose objects were seen. */
  ofResource({ group, plural }: Resource): GraphNode[] {
    return [...this.#nodes.values()].filter(
      ({ resource, virtual }) => !virtual && resource.group === group && resource.plural === plural,
    );
  }

  #realNode(resource: Resource, { metadata }: KubeObject): GraphNode {
    const { uid = '', namespace = '', name } = metadata;
    const known = this.#nodes.get(uid);
    if (known !== undefined && isAt(known, resource, namespace, name)) {
      known.virtual = false;
      return known;
    }
    // References told another kind, name or namespace of this uid: they are wrong, and are judged again.
    const node = newNode(uid, resource, namespace, name, false);
    for (const dependent of known?.dependents ?? []) {
      node.dependents.add(dependent);
      this.#listener.check(dependent.uid);
    }
    this.#nodes.set(uid, node);
    return node;
  }

  #setOwners(node: GraphNode, owners: readonly OwnerReference[]): void {
    const before = node.owners;
    node.owners = owners;
    for (const old of before) {
      const kept = owners.find(({ uid }) => uid === old.uid);
      if (kept === undefined) this.#unlink(old.uid, node);
      // A dependent that no longer holds its owner back lets it go on.
      const released = old.blockOwnerDeletion && !kept?.blockOwnerDeletion;
      if (released && this.#nodes.get(old.uid)?.deletingDependents) this.#listener.check(old.uid);
    }
    for (const owner of owners) if (!before.some(({ uid }) => uid === owner.uid)) this.#link(owner, node);
  }

  #link(reference: OwnerReference, dependent: GraphNode): void {
    const resource = this.#listener.resolve(reference);
    if (resource === undefined) {
      this.#unresolved.add(dependent);
      return;
    }
    const namespace = resource.namespaced ? dependent.namespace : '';
    let owner = this.#nodes.get(reference.uid);
    if (owner === undefined) {
      owner = newNode(reference.uid, resource, namespace, reference.name, true);
      this.#nodes.set(owner.uid, owner);
    }
    owner.dependents.add(dependent);
    if (owner.virtual) this.#listener.check(owner.uid);
    if (owner.deletingDependents || !isAt(owner, resource, namespace, reference.name))
      this.#listener.check(dependent.uid);
  }

  #unlink(ownerUid: string, dependent: GraphNode): void {
    const owner = this.#nodes.get(ownerUid);
    owner?.dependents.delete(dependent);
    if (owner?.virtual && owner.dependents.size === 0) this.#nodes.delete(ownerUid);
  }
}

/** Whether a node is the one that a reference with these coordinates means. */
export function isAt(node: GraphNode, resource: Resource, namespace: string, name: string): boolean {
  return (
    node.resource.group === resource.group &&
    node.resource.kind === resource.kind &&
    node.namespace === namespace &&
    node.name === name
  );
}

function newNode(
  uid: string,
  resource: Resource,
  namespace: string,
  name: string,
  virtual: boolean,
): GraphNode {
  return {
    uid,
    resource,
    namespace,
    name,
    virtual,
    owners: [],
    dependents: new Set(),
    deleting: false,
    deletingDependents: false,
    orphaning: false,
  };
}

function sameReferences(a: readonly OwnerReference[], b: readonly OwnerReference[]): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every(
      ({ uid, blockOwnerDeletion }, i) =>
        uid === b[i]!.uid && Boolean(blockOwnerDeletion) === Boolean(b[i]!.blockOwnerDeletion),
    )
  );
}
