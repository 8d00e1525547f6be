/** Who goes first, and what it is told (kubelet `eviction/helpers`). Pure. */
import type { Container, Pod } from '#types';
import { addQuantities, formatQuantity, quantityValue } from '../../../api/machinery/quantity.js';
import { aggregateWith } from '../../../api/resources/core/podspec/amounts.js';
import { quantities } from '../../../api/resources/core/podspec/pod-level-resources.js';
import { podRequest } from '../../pods/resources.js';
import { amount, type Observations, resourceOf, type Threshold } from './thresholds.js';

/** What a pod uses; bytes, inodes, process ids. */
export interface PodUsage {
  pod: Pod;
  memory: number;
  disk: number;
  inodes: number;
  pids: number;
  /** By container name: memory, and disk with the log. */
  containers: Record<string, { memory: number; disk: number }>;
}

/** Those above their request first, of them the least important, of them who uses most above it. */
export function ranked(usages: PodUsage[], resource: string): PodUsage[] {
  const request = ({ pod }: PodUsage) =>
    resource === 'memory' || resource === 'ephemeral-storage' ? podRequest(pod, resource, quantityValue) : 0;
  const used = (usage: PodUsage) =>
    resource === 'memory'
      ? usage.memory
      : resource === 'inodes'
        ? usage.inodes
        : resource === 'pids'
          ? usage.pids
          : usage.disk;
  const exceeds = (usage: PodUsage) => Number(resource !== 'pids' && used(usage) > request(usage));
  const priority = ({ pod }: PodUsage) => pod.spec.priority ?? 0;
  const above = (usage: PodUsage) => used(usage) - request(usage);
  return usages.toSorted(
    (a, b) => exceeds(b) - exceeds(a) || priority(a) - priority(b) || above(b) - above(a),
  );
}

/** As upstream prints amounts of bytes. */
export const bytes = (value: number): string =>
  formatQuantity({ nano: BigInt(Math.floor(value)) * 1_000_000_000n, format: 'BinarySI' });

export interface EvictionMessage {
  message: string;
  annotations: Record<string, string>;
}

export function evictionMessage(
  usage: PodUsage,
  threshold: Threshold,
  observations: Observations,
): EvictionMessage {
  const resource = resourceOf(threshold.signal);
  const seen = observations[threshold.signal];
  const limit = threshold.value;
  let message = `The node was low on resource: ${resource}. `;
  if (seen) {
    const quantity = 'quantity' in limit ? limit.quantity : bytes(amount(limit, seen.capacity));
    const available = resource === 'memory' || resource === 'ephemeral-storage' ? bytes : String;
    message += `Threshold quantity: ${quantity}, available: ${available(seen.available)}. `;
  }
  const annotations: Record<string, string> = { starved_resource: resource };
  const { metadata, spec } = usage.pod;
  const ofPod = resource === 'memory' ? spec.resources?.requests?.[resource] : undefined;
  if (ofPod !== undefined) {
    const used = bytes(usage.memory);
    message += `Pod ${metadata.name} was using ${used}, request is ${ofPod}, has larger consumption of ${resource}. `;
    Object.assign(annotations, { offending_pod: metadata.name, offending_pod_usage: used });
  }
  const over = containersOver(usage, resource);
  for (const { name, used, request } of over)
    message += `Container ${name} was using ${used}, request is ${request}, has larger consumption of ${resource}. `;
  annotations['offending_containers'] = over.map((c) => c.name).join(',');
  annotations['offending_containers_usage'] = over.map((c) => c.used).join(',');
  return { message, annotations };
}

function containersOver({ pod, containers }: PodUsage, resource: string) {
  if (resource !== 'memory' && resource !== 'ephemeral-storage') return [];
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].flatMap((container) => {
    const usage = containers[container.name];
    const used = resource === 'memory' ? usage?.memory : usage?.disk;
    const request = container.resources?.requests?.[resource] ?? '0';
    return used !== undefined && used > quantityValue(request)
      ? [{ name: container.name, used: bytes(used), request }]
      : [];
  });
}

/** What a pod has taken of the node's disk, against its limits; undefined: not too much. `volumes`: bytes of emptyDirs on disk. */
export function diskExcess(usage: PodUsage, volumes: Record<string, number>): EvictionMessage | undefined {
  const { pod } = usage;
  const annotations: Record<string, string> = {};
  for (const { name, emptyDir } of pod.spec.volumes ?? []) {
    if (!emptyDir?.sizeLimit || quantityValue(emptyDir.sizeLimit) === 0) continue;
    if ((volumes[name] ?? 0) > quantityValue(emptyDir.sizeLimit))
      return {
        message: `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir.sizeLimit}". `,
        annotations,
      };
  }
  const limitOf = (c: Container) => c.resources?.limits?.['ephemeral-storage'];
  const total = wholeDiskLimit(pod);
  if (total !== undefined && usage.disk > quantityValue(total))
    return {
      message: `Pod ephemeral local storage usage exceeds the total limit of containers ${total}. `,
      annotations,
    };
  for (const container of pod.spec.containers) {
    const limit = limitOf(container);
    if (limit && (usage.containers[container.name]?.disk ?? 0) > quantityValue(limit))
      return {
        message: `Container ${container.name} exceeded its local ephemeral storage limit "${limit}". `,
        annotations,
      };
  }
  return undefined;
}

/** Of its containers together; one without a limit adds nothing to it, as upstream counts. */
function wholeDiskLimit({ spec }: Pod): string | undefined {
  const name = 'ephemeral-storage';
  const of = ({ resources }: Container): Record<string, string> => {
    const limit = resources?.limits?.[name];
    return limit === undefined ? {} : { [name]: limit };
  };
  const sum = aggregateWith(spec, of, quantities)[name];
  const overhead = spec.overhead?.[name];
  return sum !== undefined && overhead !== undefined ? addQuantities(sum, overhead) : sum;
}

/** Whether a pod has limits of what it may take of the disk. */
export function hasDiskLimits({ spec }: Pod): boolean {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const limited = all.some((c) => c.resources?.limits?.['ephemeral-storage']);
  return limited || (spec.volumes ?? []).some(({ emptyDir }) => quantityValue(emptyDir?.sizeLimit) > 0);
}
