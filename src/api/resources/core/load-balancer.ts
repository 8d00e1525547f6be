/** What the control plane and the nodes agree on about Services of type LoadBalancer. */

/** `spec.loadBalancerClass` of those that Keelson serves, besides those without a class. */
export const LOAD_BALANCER_CLASS = 'keelson.dev/load-balancer';
/** The annotation that names the node which answers for the Service's address of the pool. */
export const LOAD_BALANCER_NODE = 'keelson.dev/load-balancer-node';
