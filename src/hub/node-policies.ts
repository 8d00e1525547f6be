/** Which NetworkPolicies a node is told of: those of its pods' namespaces, and the peers that these name. */
import type { Namespace, NetworkPolicy, Pod } from '#types';
import { type KubeObject, objectKey } from '../api/machinery/types.js';
import { namespaces, networkPolicies, pods } from '../api/resources/index.js';
import { type PeerGroup, policyGroups } from '../api/resources/networking/policy-peers.js';
import type { Informer } from '../client/informer.js';
import type { Informers } from '../client/informers.js';
import type { NodeListener } from './node-objects.js';
import { PeerGroups, type PolicyPeers } from './policy-peers.js';

interface View {
  listener: NodeListener;
  /** Pods of the node by namespace. */
  pods: Map<string, Set<string>>;
  /** How many policies that the node has refer to a group. */
  groups: Map<string, number>;
  /** The groups that each policy was told with. */
  told: Map<string, PeerGroup[]>;
}

export class NodePolicies {
  readonly synced: Promise<unknown>;
  readonly #policies: Informer<NetworkPolicy>;
  readonly #peers: PeerGroups;
  readonly #views = new Map<string, View>();
  /** The groups of every policy there is. */
  readonly #groups = new Map<string, PeerGroup[]>();
  readonly #unsubscribe: (() => void)[];

  constructor(informers: Informers) {
    const allPods = informers.of<Pod>(pods, {
      indexes: { namespace: (pod: Pod) => [pod.metadata.namespace ?? ''] },
    });
    const allNamespaces = informers.of<Namespace & KubeObject>(namespaces);
    this.#policies = informers.of(networkPolicies, {
      indexes: { namespace: (policy: NetworkPolicy) => [policy.metadata.namespace ?? ''] },
    });
    this.#peers = new PeerGroups(allPods, allNamespaces, {
      peersChanged: (group, key, peers) => this.#peersChanged(group, key, peers),
    });
    this.synced = Promise.all([allPods.synced, allNamespaces.synced, this.#policies.synced]);
    const namespaceChanged = ({ metadata }: Namespace) => this.#peers.namespaceChanged(metadata.name!);
    this.#unsubscribe = [
      allPods.on({
        added: (pod) => this.#peers.podChanged(undefined, pod),
        updated: (old, pod) => this.#peers.podChanged(old, pod),
        deleted: (pod) => this.#peers.podGone(pod),
      }),
      allNamespaces.on({
        added: namespaceChanged,
        updated: (old, now) => {
          if (JSON.stringify(old.metadata.labels) !== JSON.stringify(now.metadata.labels))
            namespaceChanged(now);
        },
        deleted: namespaceChanged,
      }),
      this.#policies.on({
        added: (policy) => this.#changed(policy),
        updated: (_, policy) => this.#changed(policy),
        deleted: (policy) => this.#gone(policy),
      }),
    ];
  }

  follow(node: string, listener: NodeListener): () => void {
    const view: View = { listener, pods: new Map(), groups: new Map(), told: new Map() };
    this.#views.set(node, view);
    return () => {
      if (this.#views.get(node) === view) this.#views.delete(node);
    };
  }

  /** Before the node is told of a pod: what isolates it comes first. */
  podTold(node: string, pod: Pod): void {
    const view = this.#views.get(node);
    const { namespace = '' } = pod.metadata;
    const there = view?.pods.get(namespace);
    there?.add(objectKey(pod));
    if (!view || there) return;
    view.pods.set(namespace, new Set([objectKey(pod)]));
    for (const policy of this.#policies.byIndex('namespace', namespace)) this.#tell(view, policy);
  }

  podGone(node: string, pod: Pod): void {
    const view = this.#views.get(node);
    const { namespace = '' } = pod.metadata;
    const there = view?.pods.get(namespace);
    if (!view || !there?.delete(objectKey(pod)) || there.size > 0) return;
    view.pods.delete(namespace);
    for (const policy of this.#policies.byIndex('namespace', namespace)) this.#take(view, policy);
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#views.clear();
  }

  #changed(policy: NetworkPolicy): void {
    const key = objectKey(policy);
    const before = this.#groups.get(key) ?? [];
    const groups = policyGroups(policy);
    this.#groups.set(key, groups);
    for (const group of groups) this.#peers.acquire(group);
    for (const view of this.#views.values())
      if (view.pods.has(policy.metadata.namespace!)) this.#tell(view, policy);
    for (const group of before) this.#peers.release(group);
  }

  #gone(policy: NetworkPolicy): void {
    const key = objectKey(policy);
    for (const view of this.#views.values()) this.#take(view, policy);
    for (const group of this.#groups.get(key) ?? []) this.#peers.release(group);
    this.#groups.delete(key);
  }

  /** Its peers first. */
  #tell(view: View, policy: NetworkPolicy): void {
    const key = objectKey(policy);
    const groups = this.#groups.get(key) ?? [];
    for (const { id } of groups) {
      const users = view.groups.get(id) ?? 0;
      view.groups.set(id, users + 1);
      if (users === 0)
        for (const peers of this.#peers.shards(id)) view.listener.changed('policypeers', peers);
    }
    view.listener.changed('networkpolicies', policy);
    this.#drop(view, view.told.get(key) ?? []);
    view.told.set(key, groups);
  }

  #take(view: View, policy: NetworkPolicy): void {
    const key = objectKey(policy);
    const groups = view.told.get(key);
    if (!groups) return;
    view.told.delete(key);
    view.listener.gone('networkpolicies', key);
    this.#drop(view, groups);
  }

  #drop(view: View, groups: PeerGroup[]): void {
    for (const { id } of groups) {
      const users = view.groups.get(id)! - 1;
      if (users > 0) {
        view.groups.set(id, users);
        continue;
      }
      view.groups.delete(id);
      for (const peers of this.#peers.shards(id)) view.listener.gone('policypeers', objectKey(peers));
    }
  }

  #peersChanged(group: string, key: string, peers: PolicyPeers | undefined): void {
    for (const { groups, listener } of this.#views.values()) {
      if (!groups.has(group)) continue;
      if (peers) listener.changed('policypeers', peers);
      else listener.gone('policypeers', key);
    }
  }
}
