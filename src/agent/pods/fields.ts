/** Values of the downward API: `fieldRef` and `resourceFieldRef` (kubelet `fieldpath`, `resource` helpers). */
import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '#types';
import { quantityMilli, quantityValue } from '../../api/machinery/quantity.js';

/** What a node tells its pods beside their own object. */
export interface NodeFacts {
  name: string;
  /** One of each IP family. */
  ips: string[];
  /** Quantities: limits where a container has none. */
  allocatable: Record<string, string>;
}

/** The map as upstream prints it in a file: `key="value"` lines, sorted. */
function mapText(map: Record<string, string> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${JSON.stringify(map![key])}`)
    .join('\n');
}

/** Throws for a path that the API's validation would not have let through. `podIPs` count before the status tells them. */
export function fieldValue(
  pod: Pod,
  { fieldPath }: ObjectFieldSelector,
  node: NodeFacts,
  podIPs: string[],
): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata.uid ?? '';
    case 'metadata.labels':
      return mapText(pod.metadata.labels);
    case 'metadata.annotations':
      return mapText(pod.metadata.annotations);
    case 'spec.nodeName':
      return node.name;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
      return node.ips[0] ?? '';
    case 'status.hostIPs':
      return node.ips.join();
    case 'status.podIP':
      return podIPs[0] ?? '';
    case 'status.podIPs':
      return podIPs.join();
    default:
      throw new Error(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** A container's request or limit, in units of the divisor, rounded up. */
export function resourceValue(
  container: Container,
  { resource, divisor }: ResourceFieldSelector,
  node: NodeFacts,
): string {
  const [kind = '', ...rest] = resource.split('.');
  const name = rest.join('.');
  const { limits, requests } = container.resources ?? {};
  const limit = limits?.[name] ?? node.allocatable[name];
  const quantity = kind === 'requests' ? (requests?.[name] ?? limits?.[name] ?? '0') : limit;
  if (kind !== 'limits' && kind !== 'requests')
    throw new Error(`unsupported container resource: ${resource}`);
  const by = divisor && quantityMilli(divisor) !== 0 ? divisor : '1';
  return name === 'cpu'
    ? String(Math.ceil(quantityMilli(quantity) / quantityMilli(by)))
    : String(Math.ceil(quantityValue(quantity) / quantityValue(by)));
}
