/** Pods, nodes and caches for tests of the scheduler's pure parts. */
import type { Node, Pod, PodDisruptionBudget } from '#types';
import { Cache } from '../../../src/scheduler/cache.js';
import { NO_DEVICES } from '../../../src/scheduler/devices/view.js';
import type { Cycle } from '../../../src/scheduler/framework.js';
import type { NodeInfo } from '../../../src/scheduler/node-info.js';
import { Nominations } from '../../../src/scheduler/nominations.js';
import { podInfo } from '../../../src/scheduler/pod-info.js';
import { NO_STORAGE, type StorageView } from '../../../src/scheduler/storage/view.js';

let serial = 0;

export interface PodFacts {
  name?: string;
  namespace?: string;
  requests?: Record<string, string>;
  spec?: Partial<Pod['spec']>;
  labels?: Record<string, string>;
  owner?: string;
}

export function pod(facts: PodFacts = {}): Pod {
  const { name = `p${serial++}`, namespace = 'default', requests, spec = {}, labels = {}, owner } = facts;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: name,
      labels,
      ...(owner && {
        ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: owner, uid: owner, controller: true }],
      }),
    },
    spec: {
      containers: [{ name: 'c', image: 'app', ...(requests && { resources: { requests } }) }],
      ...spec,
    },
  } as Pod;
}

export interface NodeFacts {
  allocatable?: Record<string, string>;
  labels?: Record<string, string>;
  spec?: Partial<Node['spec']>;
  images?: { names: string[]; sizeBytes: number }[];
}

export function node(name: string, facts: NodeFacts = {}): Node {
  const {
    allocatable = { cpu: '4', memory: '8Gi', pods: '110' },
    labels = {},
    spec = {},
    images = [],
  } = facts;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec,
    status: { allocatable, images },
  } as Node;
}

/** A cache of nodes, each with the pods that are on it. */
export function cacheOf(...nodes: [Node, ...Pod[]][]): Cache {
  const cache = new Cache();
  for (const [n, ...pods] of nodes) {
    cache.setNode(n);
    for (const p of pods) cache.setPod(podInfo({ ...p, spec: { ...p.spec, nodeName: n.metadata.name } }));
  }
  return cache;
}

export function infoOf(cache: Cache, name: string): NodeInfo {
  const info = cache.node(name);
  if (info === undefined) throw new Error(`no node ${name}`);
  return info;
}

/** An attempt to place a pod; namespaces have their name as the label `name`. */
export function cycleOf(
  p: Pod,
  cache: Cache,
  budgets: PodDisruptionBudget[] = [],
  storage: StorageView = NO_STORAGE,
): Cycle {
  return {
    pod: podInfo(p),
    cache,
    nominations: new Nominations(),
    storage,
    devices: NO_DEVICES,
    budgets: () => budgets,
    namespaceLabels: (name) => ({ name }),
  };
}
