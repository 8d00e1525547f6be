/** Publishes the cluster's CA as the ConfigMap `kube-root-ca.crt` of each namespace. */
import type { ConfigMap, Namespace } from '#types';
import { isReason } from '../api/machinery/status.js';
import { configMaps, namespaces } from '../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { isNamespaceTerminating } from './pod-control.js';

const NAME = 'kube-root-ca.crt';
const DESCRIPTION = 'kubernetes.io/description';
const TEXT =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the ' +
  'internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

export function startRootCaPublisher(options: ControllersOptions): Controller {
  const context = contextOf(options, 'root-ca-cert-publisher');
  const all = context.informers.of(namespaces);
  const maps = context.informers.of(configMaps);
  const client = context.client.of(configMaps);

  const reconcile = async (namespace: string): Promise<void> => {
    const current = all.get(namespace);
    if (current === undefined || isTerminating(current)) return;
    const existing = maps.get(`${namespace}/${NAME}`);
    try {
      if (existing === undefined) await client.create(wanted(namespace, context.caCert));
      else if (!isCurrent(existing, context.caCert))
        await client.update({
          ...existing,
          data: { 'ca.crt': context.caCert },
          metadata: {
            ...existing.metadata,
            annotations: { ...existing.metadata.annotations, [DESCRIPTION]: TEXT },
          },
        });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced, maps.synced], reconcile, 2);
  const add = (namespace: string | undefined) => loop.queue.add(namespace ?? '');
  const changed = ({ metadata }: ConfigMap) => {
    if (metadata.name === NAME) add(metadata.namespace);
  };
  loop.onClose(
    all.on({
      added: ({ metadata }) => add(metadata.name),
      updated: (_, { metadata }) => add(metadata.name),
    }),
    maps.on({
      updated: (_, map) => changed(map),
      deleted: changed,
    }),
  );
  return loop;
}

function isTerminating({ metadata, status }: Namespace): boolean {
  return metadata.deletionTimestamp !== undefined || status?.phase === 'Terminating';
}

function isCurrent({ data, metadata }: ConfigMap, caCert: string): boolean {
  const keys = Object.keys(data ?? {});
  return keys.length === 1 && data?.['ca.crt'] === caCert && metadata.annotations?.[DESCRIPTION] === TEXT;
}

function wanted(namespace: string, caCert: string): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: NAME, namespace, annotations: { [DESCRIPTION]: TEXT } },
    data: { 'ca.crt': caCert },
  };
}
