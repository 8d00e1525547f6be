/** Services on a node: from Services and EndpointSlices to nftables maps. */
export { serviceRules } from './layout.js';
export { ServiceProxy, type ServiceProxyOptions } from './proxy.js';
