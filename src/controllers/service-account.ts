/** Keeps a ServiceAccount `default` in each namespace. */
import { isReason } from '../api/machinery/status.js';
import { namespaces, serviceAccounts } from '../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { isNamespaceTerminating } from './pod-control.js';

const NAME = 'default';

export function startServiceAccountController(options: ControllersOptions): Controller {
  const context = contextOf(options, 'service-account-controller');
  const all = context.informers.of(namespaces);
  const accounts = context.informers.of(serviceAccounts);

  const reconcile = async (namespace: string): Promise<void> => {
    const current = all.get(namespace);
    if (current === undefined || current.status?.phase === 'Terminating') return;
    if (current.metadata.deletionTimestamp !== undefined || accounts.get(`${namespace}/${NAME}`)) return;
    try {
      await context.client
        .of(serviceAccounts)
        .create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: NAME, namespace } });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced, accounts.synced], reconcile, 2);
  loop.onClose(
    all.on({
      added: ({ metadata }) => loop.queue.add(metadata.name),
      updated: (_, { metadata }) => loop.queue.add(metadata.name),
    }),
    accounts.on({
      deleted: ({ metadata }) => {
        if (metadata.name === NAME) loop.queue.add(metadata.namespace ?? '');
      },
    }),
  );
  return loop;
}
