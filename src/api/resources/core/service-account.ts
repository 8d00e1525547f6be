/** ServiceAccounts. */
import type { ServiceAccount } from '#types';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

const MOUNTABLE = 'kubernetes.io/enforce-mountable-secrets';

export const serviceAccounts = defineResource<ServiceAccount>({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  namespaced: true,
  subresources: [
    { name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
  ],
  prepareForCreate: keepNames,
  prepareForUpdate: keepNames,
  warnings: (account, old) =>
    account.metadata.annotations?.[MOUNTABLE] !== undefined &&
    old?.metadata.annotations?.[MOUNTABLE] === undefined
      ? [
          `metadata.annotations[${MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`,
        ]
      : [],
  columns: [
    nameColumn,
    {
      name: 'Secrets',
      type: 'string',
      description: 'Number of secrets that pods of this account may mount.',
      cell: (account) => account.secrets?.length ?? 0,
    },
    ageColumn,
  ],
});

/** References to secrets are names alone. */
function keepNames(account: ServiceAccount): void {
  if (account.secrets) account.secrets = account.secrets.map(({ name }) => ({ name }));
}
