/** Services on a node: from Services and EndpointSlices to nftables maps. */
export { ServiceProxies } from './families.js';
export { serviceRules } from './layout.js';
export { ServiceProxy, type ServiceProxyOptions } from './proxy.js';
