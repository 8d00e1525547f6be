/** The ConfigMap from which other API servers learn whom to trust (upstream's cluster authentication trust controller). */
import type { Logger } from 'pino';
import type { ConfigMap } from '#types';
import { isReason } from '../../../api/machinery/status.js';
import { configMaps } from '../../../api/resources/index.js';
import { Client } from '../../../client/client.js';
import type { Transport } from '../../../client/transport.js';
import type { Store } from '../../../store/store.js';
import { follow } from '../../follow.js';

const NAMESPACE = 'kube-system';
const NAME = 'extension-apiserver-authentication';

export interface Trust {
  /** PEM of the CA of clients' certificates. */
  clientCa: string;
  /** PEM of the CA that this server's own certificate as a proxy is from. */
  requestHeaderCa?: string | undefined;
}

/** The name of the certificate with which this server speaks for others. */
export const FRONT_PROXY_NAME = 'front-proxy-client';

function dataOf({ clientCa, requestHeaderCa }: Trust): Record<string, string> {
  return {
    'client-ca-file': clientCa,
    ...(requestHeaderCa === undefined
      ? {}
      : {
          'requestheader-allowed-names': JSON.stringify([FRONT_PROXY_NAME]),
          'requestheader-client-ca-file': requestHeaderCa,
          'requestheader-extra-headers-prefix': JSON.stringify(['X-Remote-Extra-']),
          'requestheader-group-headers': JSON.stringify(['X-Remote-Group']),
          'requestheader-uid-headers': JSON.stringify(['X-Remote-Uid']),
          'requestheader-username-headers': JSON.stringify(['X-Remote-User']),
        }),
  };
}

export async function ensureTrust(transport: Transport, trust: Trust): Promise<void> {
  const client = new Client(transport).of(configMaps);
  const data = dataOf(trust);
  const object: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: NAMESPACE, name: NAME },
    data,
  };
  try {
    await client.create(object);
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    const existing = await client.get(NAMESPACE, NAME);
    if (Object.entries(data).some(([key, value]) => existing.data?.[key] !== value))
      await client.patch(NAMESPACE, NAME, { data }, { type: 'merge' });
  }
}

/** Brings it back when it is deleted or changed, until `closing`. */
export async function keepTrust(
  store: Store,
  transport: Transport,
  trust: Trust,
  logger: Logger,
  closing: AbortSignal,
): Promise<{ done: Promise<void> }> {
  await ensureTrust(transport, trust);
  let running: Promise<void> = Promise.resolve();
  const again = () =>
    ensureTrust(transport, trust).catch((error) =>
      logger.error({ err: error }, `the ConfigMap ${NAME} could not be written`),
    );
  return follow(
    store,
    `core/configmaps/${NAMESPACE}/${NAME}`,
    (key) => {
      if (!closing.aborted && key.endsWith(`/${NAME}`)) running = running.then(again);
    },
    closing,
  );
}
