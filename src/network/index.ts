/** Node networking: pod links, addresses and routes. */
export {
  createNodeNetwork,
  type NodeNetwork,
  type NodeNetworkOptions,
  releaseNode,
  removeNodeNetwork,
} from './node-network.js';
export { createPodNetwork, type PodNetworkOptions } from './pod-network.js';
export type {
  NetworkConfig,
  NodeRoute,
  PodNetwork,
  PodPolicies,
  PolicyPod,
  ServiceRules,
} from './types.js';
