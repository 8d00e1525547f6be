/** Node networking: pod links, addresses and routes. */
export { createPodNetwork, type PodNetworkOptions } from './pod-network.js';
export type { NetworkConfig, NodeRoute, PodAddress, PodNetwork } from './types.js';
