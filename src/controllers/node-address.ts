/** Where a node is reached from outside of the cluster. Pure. */
import type { Node } from '#types';

/** The external address if there is one, else the internal; undefined while the node is not ready. */
export function nodeAddress({ metadata, status }: Node): string | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  if (!ready || metadata.deletionTimestamp) return undefined;
  const of = (type: string) => status?.addresses?.find((a) => a.type === type)?.address;
  return of('ExternalIP') ?? of('InternalIP');
}
