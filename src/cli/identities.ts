/** Keeps the cluster's records of people and nodes: who was let in, and whose credentials were taken back. */
import type { Secret } from '#types';
import { isReason } from '../api/machinery/status.js';
import { secrets } from '../api/resources/core/secret.js';
import {
  IDENTITY_LABEL,
  IDENTITY_NAMESPACE,
  type Identity,
  identitySecret,
  identitySecretName,
  readIdentity,
} from '../auth/identities.js';
import type { Client } from '../client/client.js';

const ATTEMPTS = 5;

/** Of users, removed ones too. */
export async function listUsers(client: Client): Promise<Identity[]> {
  const { items } = await client
    .of(secrets)
    .list({ namespace: IDENTITY_NAMESPACE, labelSelector: `${IDENTITY_LABEL}=user` });
  return items.map(readIdentity).filter((identity) => identity !== undefined);
}

async function find(client: Client, name: string): Promise<Secret | undefined> {
  try {
    return await client.of(secrets).get(IDENTITY_NAMESPACE, identitySecretName(name));
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

/** Undefined when the cluster has no record of the name. */
export async function findIdentity(client: Client, name: string): Promise<Identity | undefined> {
  const secret = await find(client, name);
  return secret && readIdentity(secret);
}

/** Writes what `change` makes of the record, again when another write came between. */
export async function changeIdentity(
  client: Client,
  name: string,
  change: (known: Identity) => Identity,
): Promise<void> {
  const records = client.of(secrets);
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await find(client, name);
      const known = (found && readIdentity(found)) ?? { name, groups: [], removed: false };
      const { metadata, ...rest } = identitySecret(change(known));
      if (found) await records.update({ ...found, ...rest });
      else await records.create({ metadata, ...rest });
      return;
    } catch (error) {
      const raced = isReason(error, 'Conflict') || isReason(error, 'AlreadyExists');
      if (!raced || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Takes back what was issued for the name until now. */
export const revoke = (client: Client, name: string, { removed }: { removed: boolean }): Promise<void> =>
  changeIdentity(client, name, (known) => ({ ...known, validFrom: Date.now(), removed }));
