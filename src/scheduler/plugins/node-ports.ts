/** NodePorts: two pods cannot have the same port of a node. */
import type { FilterPlugin } from '../framework.js';

export const nodePorts: FilterPlugin = {
  name: 'NodePorts',
  filter({ pod }) {
    if (pod.hostPorts.length === 0) return undefined;
    const rejection = {
      reasons: ["node(s) didn't have free ports for the requested pod ports"],
      unresolvable: false,
    };
    return (node) => (pod.hostPorts.some((port) => node.portTaken(port)) ? rejection : undefined);
  },
};
