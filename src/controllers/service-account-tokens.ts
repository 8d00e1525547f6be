/**
 * Fills Secrets of the type kubernetes.io/service-account-token with a token of their account, and deletes those whose
 * account is gone.
 * @see https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
 */
import type { Secret, ServiceAccount } from '#types';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { secrets, serviceAccounts } from '../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

const TYPE = 'kubernetes.io/service-account-token';
const NAME = 'kubernetes.io/service-account.name';
const UID = 'kubernetes.io/service-account.uid';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

export function startServiceAccountTokens(options: ControllersOptions): Controller {
  const context = contextOf(options, 'service-account-token-controller');
  const all = context.informers.of(secrets);
  const accounts = context.informers.of(serviceAccounts);
  const client = context.client.of(secrets);

  /** The account that a Secret is for. The cache may be behind: only the API can say that there is none. */
  const accountOf = async ({ metadata }: Secret): Promise<ServiceAccount | undefined> => {
    const { [NAME]: name = '', [UID]: uid } = metadata.annotations ?? {};
    const fits = (account: ServiceAccount) => uid === undefined || uid === '' || account.metadata.uid === uid;
    const cached = accounts.get(`${metadata.namespace}/${name}`);
    if (cached && fits(cached)) return cached;
    try {
      const live = await context.client.of(serviceAccounts).get(metadata.namespace!, name);
      return fits(live) ? live : undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };

  const reconcile = async (key: string): Promise<void> => {
    const secret = all.get(key);
    if (secret?.type !== TYPE || secret.metadata.deletionTimestamp || !context.legacyToken) return;
    const { namespace = '', name, uid } = secret.metadata;
    try {
      const account = await accountOf(secret);
      if (account) {
        const filled = await fill(secret, account, context.caCert, context.legacyToken);
        if (filled) await client.update(filled);
      } else {
        await client.delete(namespace, name, { preconditions: { uid: uid! } });
      }
    } catch (error) {
      // Whoever changed it makes an event.
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced, accounts.synced], reconcile, 2);
  const changed = (secret: Secret) => {
    if (secret.type === TYPE) loop.queue.add(objectKey(secret));
  };
  const ofAccount = ({ metadata: { namespace, name } }: ServiceAccount) => {
    for (const secret of all.list())
      if (
        secret.type === TYPE &&
        secret.metadata.namespace === namespace &&
        secret.metadata.annotations?.[NAME] === name
      )
        loop.queue.add(objectKey(secret));
  };
  loop.onClose(
    all.on({ added: changed, updated: (_, secret) => changed(secret) }),
    accounts.on({ added: ofAccount, deleted: ofAccount }),
  );
  return loop;
}

/** The Secret with all that belongs into it; undefined if it has that already. */
async function fill(
  secret: Secret,
  account: ServiceAccount,
  caCert: string,
  makeToken: NonNullable<ControllersOptions['legacyToken']>,
): Promise<Secret | undefined> {
  const { namespace = '', name } = secret.metadata;
  const ca = base64(caCert);
  const { token, namespace: known, 'ca.crt': knownCa } = secret.data ?? {};
  if (token && known && knownCa === ca) return undefined;
  const { name: accountName = '', uid = '' } = account.metadata;
  return {
    ...secret,
    metadata: {
      ...secret.metadata,
      annotations: { ...secret.metadata.annotations, [NAME]: accountName, [UID]: uid },
    },
    data: {
      ...secret.data,
      'ca.crt': ca,
      namespace: known || base64(namespace),
      token: token || base64(await makeToken({ namespace, secret: name, account: accountName, uid })),
    },
  };
}
