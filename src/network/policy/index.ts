/** NetworkPolicies on a node: from policies, peers and pods to nftables. */
export { PolicyEnforcer, type PolicyEnforcerOptions } from './enforcer.js';
export { PolicyEnforcers } from './families.js';
