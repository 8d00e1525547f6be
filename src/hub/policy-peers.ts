/** Which pods the peers of NetworkPolicies are: resolved here once, so that nodes are told addresses and nothing else. */
import { createHash } from 'node:crypto';
import type { Namespace, Pod } from '#types';
import { labelSelector, nothing, type Selector } from '../api/machinery/selectors.js';
import { deepFreeze, type KubeObject, objectKey } from '../api/machinery/types.js';
import {
  memberText,
  type PeerGroup,
  parseMember,
  portNumbers,
} from '../api/resources/networking/policy-peers.js';
import type { Informer } from '../client/informer.js';

/** Members of one group that have the first three bytes of their addresses in common: what one node's pods are, mostly. */
export interface PolicyPeers extends KubeObject {
  members: string[];
}

interface Resolved {
  group: PeerGroup;
  users: number;
  pods: Selector;
  namespaces: Selector;
  /** By pod: its members and the shard they are in. */
  byPod: Map<string, { shard: string; members: string[] }>;
  shards: Map<string, { pods: Set<string>; object?: PolicyPeers }>;
}

export interface PeersListener {
  /** `undefined`: the shard holds nobody any more. */
  peersChanged(group: string, key: string, peers: PolicyPeers | undefined): void;
}

export class PeerGroups {
  readonly #groups = new Map<string, Resolved>();
  readonly #byNamespace = new Map<string, Set<Resolved>>();
  readonly #wide = new Set<Resolved>();

  constructor(
    private readonly pods: Informer<Pod>,
    private readonly namespaces: Informer<Namespace & KubeObject>,
    private readonly listener: PeersListener,
  ) {}

  /** The group is followed from now on, until it is released as often as it was acquired. */
  acquire(group: PeerGroup): void {
    const known = this.#groups.get(group.id);
    if (known) {
      known.users++;
      return;
    }
    const resolved: Resolved = {
      ...{ group, users: 1, byPod: new Map(), shards: new Map() },
      pods: selectorOf(group.podSelector ?? {}),
      namespaces: selectorOf(group.namespaceSelector),
    };
    this.#groups.set(group.id, resolved);
    if (group.namespace === undefined) this.#wide.add(resolved);
    else {
      const there = this.#byNamespace.get(group.namespace) ?? new Set();
      this.#byNamespace.set(group.namespace, there.add(resolved));
    }
    const candidates =
      group.namespace === undefined ? this.pods.list() : this.pods.byIndex('namespace', group.namespace);
    for (const pod of candidates) this.#place(resolved, pod);
  }

  release({ id, namespace }: PeerGroup): void {
    const resolved = this.#groups.get(id);
    if (!resolved || --resolved.users > 0) return;
    this.#groups.delete(id);
    this.#wide.delete(resolved);
    const there = this.#byNamespace.get(namespace ?? '');
    if (there?.delete(resolved) && there.size === 0) this.#byNamespace.delete(namespace!);
  }

  /** All that is known of a group, by key. */
  *shards(id: string): Iterable<PolicyPeers> {
    for (const { object } of this.#groups.get(id)?.shards.values() ?? []) if (object) yield object;
  }

  podChanged(old: Pod | undefined, pod: Pod): void {
    if (this.#groups.size === 0 || (old && looksTheSame(old, pod))) return;
    for (const resolved of this.#candidates(pod)) this.#place(resolved, pod);
  }

  podGone(pod: Pod): void {
    for (const resolved of this.#candidates(pod)) this.#set(resolved, objectKey(pod), []);
  }

  /** Its labels may have changed. */
  namespaceChanged(name: string): void {
    if (this.#wide.size === 0) return;
    for (const pod of this.pods.byIndex('namespace', name))
      for (const resolved of this.#wide) this.#place(resolved, pod);
  }

  *#candidates({ metadata: { namespace = '' } }: Pod): Iterable<Resolved> {
    yield* this.#byNamespace.get(namespace) ?? [];
    yield* this.#wide;
  }

  #place(resolved: Resolved, pod: Pod): void {
    this.#set(resolved, objectKey(pod), this.#holds(resolved, pod) ? membersOf(pod, resolved.group) : []);
  }

  #holds({ group, pods, namespaces }: Resolved, { metadata }: Pod): boolean {
    const { namespace = '', labels } = metadata;
    if (group.namespace !== undefined && group.namespace !== namespace) return false;
    if (group.namespace === undefined) {
      const there = this.namespaces.get(namespace);
      if (!there || !namespaces.matches(there.metadata.labels)) return false;
    }
    return pods.matches(labels);
  }

  #set(resolved: Resolved, pod: string, members: string[]): void {
    const before = resolved.byPod.get(pod);
    if ((before?.members.join() ?? '') === members.join()) return;
    const shard = members[0] && shardOf(members[0]);
    if (shard === undefined) resolved.byPod.delete(pod);
    else {
      resolved.byPod.set(pod, { shard, members });
      const there = resolved.shards.get(shard) ?? { pods: new Set() };
      there.pods.add(pod);
      resolved.shards.set(shard, there);
    }
    if (before && before.shard !== shard) {
      resolved.shards.get(before.shard)?.pods.delete(pod);
      this.#tell(resolved, before.shard);
    }
    if (shard !== undefined) this.#tell(resolved, shard);
  }

  #tell({ group, byPod, shards }: Resolved, name: string): void {
    const shard = shards.get(name)!;
    // Two pods may have one address for a moment, the one that goes and the one that comes.
    const members = [...new Set([...shard.pods].flatMap((pod) => byPod.get(pod)?.members ?? []))].sort();
    if (members.length === 0) shards.delete(name);
    else shard.object = peersObject(group.id, name, members);
    this.listener.peersChanged(group.id, `${group.id}/${name}`, shards.get(name)?.object);
  }
}

/** A selector that can't be read holds nobody. */
function selectorOf(selector: Parameters<typeof labelSelector>[0]): Selector {
  try {
    return labelSelector(selector);
  } catch {
    return nothing;
  }
}

const isOver = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/** Pods in the node's own network are no peers: their address is the node's. */
function membersOf(pod: Pod, { port }: PeerGroup): string[] {
  if (pod.spec.hostNetwork || isOver(pod)) return [];
  const ips = podIps(pod);
  return port ? portNumbers(pod, port).flatMap((number) => ips.map((ip) => memberText(ip, number))) : ips;
}

const podIps = ({ status }: Pod): string[] =>
  status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : []);

/** Of a pod's first address: all before its last number. */
const shardOf = (member: string): string => parseMember(member).ip.replace(/[.:][^.:]*$/, '');

/** Of a pod's many changes few concern others. */
const looksTheSame = (old: Pod, pod: Pod): boolean =>
  podIps(old).join() === podIps(pod).join() &&
  isOver(old) === isOver(pod) &&
  JSON.stringify(old.metadata.labels) === JSON.stringify(pod.metadata.labels) &&
  old.metadata.uid === pod.metadata.uid;

function peersObject(group: string, name: string, members: string[]): PolicyPeers {
  // Its version is what it says.
  const resourceVersion = createHash('sha256').update(members.join()).digest('hex').slice(0, 16);
  return deepFreeze({
    apiVersion: 'keelson.dev/v1',
    kind: 'PolicyPeers',
    metadata: { namespace: group, name, uid: group, resourceVersion },
    members,
  });
}
