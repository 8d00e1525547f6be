/** Where a node is reached from outside of the cluster. Pure. */
import type { Node } from '#types';

/** The external addresses if there are any, else the internal ones; none while the node is not ready. */
export function nodeAddresses({ metadata, status }: Node): string[] {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  if (!ready || metadata.deletionTimestamp) return [];
  const of = (type: string) =>
    (status?.addresses ?? []).filter((a) => a.type === type).map(({ address }) => address);
  const external = of('ExternalIP');
  return external.length > 0 ? external : of('InternalIP');
}
