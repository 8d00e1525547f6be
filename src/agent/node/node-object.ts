/** The Node object of this machine: as it is registered, and its status. Pure. */
import type { ContainerImage, Node, NodeCondition, NodeStatus, Taint } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import type { Image } from '../../runtime/types.js';
import { HANDLERS } from '../pods/runtime-handler.js';
import type { Pressure } from './eviction/thresholds.js';
import { type Capacity, goArch, systemInfo } from './facts.js';

export interface NodeInput {
  name: string;
  /** One of each IP family. */
  ips: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Volumes that must not be detached. */
  volumesInUse: string[];
  taints: Taint[];
  capacity: Capacity;
  images: Image[];
  pressures: ReadonlySet<Pressure>;
  /** Why the node is not ready: the network is not set up. */
  notReady: string | undefined;
  /** The status before: transition times are kept from it. */
  previous: NodeStatus | undefined;
  now: number;
}

const MAX_IMAGES = 50;
/** What pods may ask of this node that nodes of other versions lack (KEP-5328), sorted. */
const DECLARED_FEATURES = ['InPlacePodLevelResourcesVerticalScaling', 'RestartAllContainersOnContainerExits'];

/** Labels that every node has. */
export function nodeLabels(name: string, labels: Record<string, string>): Record<string, string> {
  const arch = goArch();
  return {
    'beta.kubernetes.io/arch': arch,
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': arch,
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    ...labels,
  };
}

export function nodeObject(input: NodeInput): Node {
  const { name, labels, annotations, taints } = input;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: nodeLabels(name, labels), annotations },
    spec: taints.length > 0 ? { taints } : {},
    status: nodeStatus(input),
  } as Node;
}

export function nodeStatus(input: NodeInput): NodeStatus {
  const { name, ips, capacity, images } = input;
  return {
    addresses: [
      ...ips.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: name },
    ],
    capacity: capacity.capacity,
    allocatable: capacity.allocatable,
    conditions: conditions(input),
    declaredFeatures: DECLARED_FEATURES,
    // What the container runtime can, under the name of the default RuntimeClass and of those that it knows.
    features: { supplementalGroupsPolicy: true },
    runtimeHandlers: ['', ...HANDLERS].map((handler) => ({
      ...{ name: handler, features: { recursiveReadOnlyMounts: true, userNamespaces: true } },
    })),
    daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
    images: images
      .map(imageEntry)
      .sort((a, b) => (b.sizeBytes ?? 0) - (a.sizeBytes ?? 0))
      .slice(0, MAX_IMAGES),
    nodeInfo: systemInfo(),
    // A list that was told once is emptied only by another one.
    ...(input.volumesInUse.length > 0 || input.previous?.volumesInUse
      ? { volumesInUse: input.volumesInUse }
      : {}),
  } as NodeStatus;
}

const imageEntry = ({ tags, digests, size }: Image): ContainerImage => ({
  names: [...digests, ...tags].slice(0, 5),
  sizeBytes: size,
});

/** Upstream's four, with its reasons and messages. */
function conditions({ notReady, pressures, previous, now }: NodeInput): NodeCondition[] {
  const at = timestamp(now);
  const make = (type: string, status: string, reason: string, message: string): NodeCondition => {
    const before = previous?.conditions?.find((c) => c.type === type);
    const lastTransitionTime = before?.status === status ? (before.lastTransitionTime ?? at) : at;
    return { type, status, lastHeartbeatTime: at, lastTransitionTime, reason, message };
  };
  const pressure = (type: Pressure, has: [reason: string, message: string], not: [string, string]) =>
    pressures.has(type) ? make(type, 'True', ...has) : make(type, 'False', ...not);
  return [
    pressure(
      'MemoryPressure',
      ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
      ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ),
    pressure(
      'DiskPressure',
      ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
      ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ),
    pressure(
      'PIDPressure',
      ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
      ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ),
    notReady === undefined
      ? make('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
      : make('Ready', 'False', 'KubeletNotReady', notReady),
  ];
}
