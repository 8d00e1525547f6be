/** The node's networking as the agent sees it. */
import type { EndpointSlice, NetworkPolicy, Pod, Service } from '#types';
import type { AddressedPod, HostPort } from './services/host-ports.js';

export interface NetworkConfig {
  /** Names the bridge and the nftables table. */
  cluster: string;
  /** Where pods' addresses come from, such as `10.244.0.0/24`: one range of each IP family. */
  podCidrs: string[];
  /** All pods of the cluster, of the same families: not masqueraded. */
  clusterCidrs: string[];
  /** More addresses of the node within the cluster, such as that of the DNS: they lead here from its pods only. */
  nodeAddresses?: string[];
  mtu?: number;
}

export interface PodNetwork {
  /** Bridge, forwarding, masquerade: idempotent, finds what an earlier agent made. */
  setup(config: NetworkConfig): Promise<void>;
  /**
   * Veth pair, addresses, routes and loopback for a sandbox. Gives the addresses, one of each IP family in the order of
   * the configuration. Idempotent: gives the same ones again. What isolates `pod` is in place before its first packet.
   */
  attach(sandboxId: string, netns: string, pod?: PolicyPod): Promise<string[]>;
  /** Ports of the node whose connections a sandbox gets until it is detached; `attach` claims those of a pod. */
  claimPorts(sandboxId: string, ips: string[], ports: HostPort[]): void;
  detach(sandboxId: string): Promise<void>;
  /** Routes to the other nodes' pods over the link that the nodes share: what is not listed is removed. */
  setRoutes(nodes: NodeRoute[]): Promise<void>;
  /** What Services are on this node. */
  readonly services: ServiceRules;
  /** What may reach the node's pods, and what these may reach. */
  readonly policies: PodPolicies;
  /** Removes every kernel object that setup and attach made, or that a dead agent of the same cluster left. */
  teardown(): Promise<void>;
}

/** A range of another node's pods, and the node's address of the same IP family. */
export interface NodeRoute {
  podCidr: string;
  address: string;
}

/** Told of everything that exists and of each change; programs the kernel within milliseconds. */
export interface ServiceRules {
  /** `undefined`: it is gone. Keys are `namespace/name`. */
  serviceChanged(key: string, service: Service | undefined): void;
  sliceChanged(key: string, slice: EndpointSlice | undefined): void;
  /** What ports of the node a pod claims; `undefined`: none any more. */
  hostPortsChanged(uid: string, pod: AddressedPod | undefined): void;
  /** Which endpoints are local, and in which zone the node is. */
  setNode(facts: { name: string; zone?: string | undefined }): void;
  /** The network is set up and all that exists was told: from now on the kernel is kept up to date. */
  start(): void;
  /**
   * Resolves once no Service leads new connections to the pod any more: the control plane knows that it ends, and
   * so does the kernel. At once for a pod that is no endpoint.
   */
  withdrawn(podUid: string): Promise<void>;
  /** Resolves once the kernel has all that was told. */
  settled(): Promise<void>;
  /** Stops; what the kernel has stays. */
  close(): Promise<void>;
}

/** A pod as far as NetworkPolicies look at it. */
export type PolicyPod = Pick<Pod, 'metadata' | 'spec'>;

/** Told of the policies of the node's namespaces, of who their peers are, and of the node's pods. */
export interface PodPolicies {
  /** `undefined`: it is gone. */
  policyChanged(key: string, policy: NetworkPolicy | undefined): void;
  /** A part of a group of peers: its addresses, with port numbers (`10.244.0.5:80`) in groups of named ports. */
  peersChanged(key: string, peers: { members: string[] } | undefined): void;
  /** The pod's labels may have changed. */
  podChanged(uid: string, pod: PolicyPod): void;
  /** All that exists was told: from now on the kernel is kept up to date. */
  start(): void;
  /** Resolves once the kernel has all that was told. */
  settled(): Promise<void>;
  /** Stops; what the kernel has stays. */
  close(): Promise<void>;
}
