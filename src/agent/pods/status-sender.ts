/** Pod statuses on their way to the API: the newest of each pod, one at a time, again when the hub is back. */
import type { Logger } from 'pino';
import type { Pod, PodStatus } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import type { Client, ResourceRef } from '../../client/client.js';

export const PODS: ResourceRef<Pod> = {
  group: '',
  version: 'v1',
  apiVersion: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
};

interface Entry {
  pod: Pod;
  status: PodStatus;
  /** Those who wait until the newest status, or a newer one, has arrived. */
  waiting: (() => void)[];
  sending: boolean;
  dirty: boolean;
}

const RETRY_MS = 1000;
/** Conditions that go when they do not hold. */
const TRANSIENT = ['PodResizePending', 'PodResizeInProgress'];

export class StatusSender {
  readonly #entries = new Map<string, Entry>();

  constructor(
    private readonly client: Client,
    private readonly isConnected: () => boolean,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Replaces what has not been sent. */
  set(pod: Pod, status: PodStatus): void {
    const uid = pod.metadata.uid!;
    const entry = this.#entries.get(uid) ?? { pod, status, waiting: [], sending: false, dirty: true };
    Object.assign(entry, { pod, status, dirty: true });
    this.#entries.set(uid, entry);
    this.#send(uid, entry);
  }

  /** Resolves once the API has the newest status of the pod (or the pod is not there any more). */
  sent(uid: string): Promise<void> {
    const entry = this.#entries.get(uid);
    if (!entry || (!entry.dirty && !entry.sending)) return Promise.resolve();
    return new Promise((resolve) => {
      entry.waiting.push(resolve);
    });
  }

  forget(uid: string): void {
    this.#settle(this.#entries.get(uid));
    this.#entries.delete(uid);
  }

  /** The hub is there (again). */
  connected(): void {
    for (const [uid, entry] of this.#entries) this.#send(uid, entry);
  }

  async #send(uid: string, entry: Entry): Promise<void> {
    if (entry.sending) return;
    entry.sending = true;
    try {
      while (entry.dirty) {
        entry.dirty = false;
        await this.#patch(uid, entry);
      }
      this.#settle(entry);
    } catch (error) {
      entry.dirty = true;
      // Without the hub there is nothing to try: `connected` will say when.
      if (!this.isConnected()) return;
      this.logger.warn({ err: error, pod: entry.pod.metadata.name }, 'a pod status could not be sent');
      this.clock.after(RETRY_MS, () => this.#entries.get(uid) === entry && this.#send(uid, entry));
    } finally {
      entry.sending = false;
    }
  }

  async #patch(uid: string, { pod, status }: Entry): Promise<void> {
    const { name, namespace = '' } = pod.metadata;
    const patch = { metadata: { uid }, status: explicit(status) };
    try {
      await this.client.of(PODS).patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
    } catch (error) {
      // The pod is gone, or another has its name: nobody wants this status any more.
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }

  #settle(entry: Entry | undefined): void {
    for (const done of entry?.waiting.splice(0) ?? []) done();
  }
}

/** What a status does not have must be said, or a merge would keep it. */
function explicit(status: PodStatus): object {
  const none = { reason: null, message: null };
  const { conditions } = status;
  // Addresses are merged by their value: without this, those of an earlier sandbox would stay.
  const whole = (list: object[]) => [...list, { $patch: 'replace' }];
  return {
    ...none,
    ...status,
    ...(status.hostIPs ? { hostIPs: whole(status.hostIPs) } : {}),
    ...(status.podIPs ? { podIPs: whole(status.podIPs) } : {}),
    conditions: conditions && [
      ...conditions.map((condition) => ({ ...none, ...condition })),
      ...TRANSIENT.filter((type) => !conditions.some((c) => c.type === type)).map((type) => ({
        ...{ type, $patch: 'delete' },
      })),
    ],
  };
}
