/** Ephemeral containers: added to a pod that is there, to look into it (KEP-277). */
import type { Container, EphemeralContainer } from '#types';
import type { ContainerRecord } from './status.js';

/** The run whose processes the container is meant for, if it names one. @throws Error when that doesn't run. */
export function targetOf(
  container: Container | EphemeralContainer,
  record: (name: string) => ContainerRecord | undefined,
): { pidsOf?: string } {
  const target = 'targetContainerName' in container ? container.targetContainerName : undefined;
  if (!target) return {};
  const run = record(target)?.latest;
  if (run?.state !== 'running') throw new Error(`unable to find target container ${JSON.stringify(target)}`);
  return { pidsOf: run.id };
}
