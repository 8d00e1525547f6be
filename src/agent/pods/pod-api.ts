/** What pods need of the API beyond their status: tokens of their accounts, and to be deleted for good. */
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Client } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { PODS } from './status-sender.js';

const CONFIRM_RETRY_MS = 1000;
const SERVICE_ACCOUNTS = {
  group: '',
  version: 'v1',
  apiVersion: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

export interface PodApiDeps {
  client: Client;
  isConnected: () => boolean;
  clock: Clock;
  logger: Logger;
}

export class PodApi {
  readonly #abort = new AbortController();

  constructor(private readonly deps: PodApiDeps) {}

  /** `expires`: milliseconds since the epoch. */
  async token(pod: Pod, audience: string, seconds: number): Promise<{ token: string; expires: number }> {
    const { namespace = '', name, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName || 'default';
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        ...(audience ? { audiences: [audience] } : {}),
        expirationSeconds: seconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const accounts = this.deps.client.of<KubeObject>(SERVICE_ACCOUNTS);
    const { status } = await accounts.createSubresource(namespace, account, 'token', request);
    return { token: status.token, expires: Date.parse(status.expirationTimestamp) };
  }

  /** That of a pod; rejects when it is not there. */
  account({ metadata, spec }: Pod): Promise<KubeObject> {
    const accounts = this.deps.client.of<KubeObject>(SERVICE_ACCOUNTS);
    return accounts.get(metadata.namespace ?? '', spec.serviceAccountName || 'default');
  }

  /** Tries until it is done: a pod must not stay in the API when nothing is left of it. */
  async confirmDeleted({ metadata }: Pod): Promise<void> {
    const { client, clock, logger, isConnected } = this.deps;
    const { namespace = '', name, uid } = metadata;
    while (!this.#abort.signal.aborted) {
      try {
        const preconditions = { uid };
        await client.of(PODS).delete(namespace, name, { gracePeriodSeconds: 0, preconditions });
        return;
      } catch (error) {
        if (isReason(error, 'NotFound') || isReason(error, 'Conflict')) return;
        if (isConnected()) logger.warn({ err: error, pod: name }, 'a pod could not be deleted');
        await sleep(clock, CONFIRM_RETRY_MS, this.#abort.signal);
      }
    }
  }

  close(): void {
    this.#abort.abort();
  }
}
