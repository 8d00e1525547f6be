/** Carries out a preemption: the victims are told why, and deleted (upstream `preemption.Executor`). */
import type { Pod } from '#types';
import { timestamp } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';
import { pods } from '../api/resources/index.js';
import type { Client, EventRecorder } from '../client/index.js';
import type { Preemption } from './framework.js';
import type { PodInfo } from './pod-info.js';

export interface Preemptor {
  client: Client;
  events: EventRecorder;
  /** Of the scheduler. */
  name: string;
  /** In ms. */
  now: number;
}

/** Rejects with the first error, after all victims have been tried. */
export async function removeVictims(
  { client, events, name, now }: Preemptor,
  pod: PodInfo,
  { node, victims }: Preemption,
): Promise<void> {
  const results = await Promise.allSettled(
    victims.map(async ({ pod: victim }) => {
      if (victim.metadata.deletionTimestamp !== undefined) return;
      try {
        await remove(client, victim, `${name}: preempting to accommodate a higher priority pod`, now);
      } catch (error) {
        if (isReason(error, 'NotFound')) return;
        throw error;
      }
      events.event(victim, 'Normal', 'Preempted', `Preempted by pod ${pod.uid} on node ${node.name}`);
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function remove(client: Client, victim: Pod, message: string, now: number): Promise<void> {
  const { namespace = '', name, uid } = victim.metadata;
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'PreemptionByScheduler',
    message,
    lastTransitionTime: timestamp(now),
  };
  const patch = { metadata: { uid }, status: { conditions: [condition] } };
  await client.of(pods).patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
  await client.of(pods).delete(namespace, name, uid === undefined ? {} : { preconditions: { uid } });
}
