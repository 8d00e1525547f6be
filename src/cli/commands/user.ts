/** `keelson user add|list|remove`: people with certificates of the cluster's CA. */
import { X509Certificate } from 'node:crypto';
import type { Argv, CommandModule } from 'yargs';
import type { CertificateSigningRequest } from '#types';
import { certificateSigningRequests } from '../../api/resources/index.js';
import { createRequest } from '../../auth/certificates.js';
import { randomSuffix } from '../../client/index.js';
import { type AdminApi, withAdmin } from '../api.js';
import { CliError } from '../error.js';
import { changeIdentity, findIdentity, listUsers, revoke } from '../identities.js';
import { mergeUser, unmergeUser, userKubeconfigPath } from '../kubeconfig.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';
import { printTable } from '../table.js';

interface UserOptions extends ClusterOptions {
  user: string;
  kubeconfig: string | undefined;
}

interface AddOptions extends UserOptions {
  group: string[];
  days: number;
}

interface RemoveOptions extends UserOptions {
  force: boolean;
}

const SIGNER = 'kubernetes.io/kube-apiserver-client';
const SIGNING_MS = 20_000;

const withUser = <T>(parser: Argv<T>, kubeconfig: string) =>
  clusterOptions(parser)
    .positional('user', {
      type: 'string',
      demandOption: true,
      describe: 'Name of the user, as in RoleBindings',
    })
    .option('kubeconfig', { type: 'string', describe: `${kubeconfig} [default: your kubeconfig]` });

/** @throws CliError for a name that is not a person's. */
function requireName(user: string): void {
  if (user === '' || user.startsWith('system:') || /[\s,=+"\\<>;#]/.test(user))
    throw new CliError(
      `A user can't be named ${JSON.stringify(user)}: choose one without "system:", blanks and ,=+"\\<>;#.`,
      2,
    );
}

const addCommand: CommandModule<object, AddOptions> = {
  command: 'add <user>',
  describe: 'Make a client certificate for a user, and a kubeconfig context',
  builder: (parser) =>
    withUser(parser, 'File that the context goes to')
      .option('group', {
        type: 'string',
        array: true,
        default: [],
        describe: 'Group of the user; may be repeated',
      })
      .option('days', {
        type: 'number',
        default: 365,
        describe: 'How long the certificate is valid',
      }) as never,
  handler: async ({ name, dataDir, user, group, days, kubeconfig }) => {
    requireName(user);
    if (!(days * 86_400 >= 600)) throw new CliError('--days must be at least ten minutes.', 2);
    const paths = clusterPaths(name, dataDir);
    const { csr, key } = await createRequest({ commonName: user, organizations: group });
    const cert = await withAdmin(paths, async (api) => {
      const made = await certify(api, user, csr, Math.round(days * 86_400));
      const expires = new Date(new X509Certificate(made).validTo).toISOString();
      await changeIdentity(api.client, user, (known) => ({
        ...known,
        groups: [...new Set([...(known.removed ? [] : known.groups), ...group])],
        expires: !known.removed && known.expires && known.expires > expires ? known.expires : expires,
        removed: false,
      }));
      return made;
    });
    const file = kubeconfig ?? userKubeconfigPath();
    const context = mergeUser(paths.adminKubeconfig, file, { cluster: name, user, cert, key });
    process.stdout.write(
      `User "${user}" may come in with the context ${context} of ${file}; what it may do is up to RoleBindings.\n`,
    );
  },
};

/** Asks for the certificate as anybody would, approves that, and waits until it is signed. */
async function certify(api: AdminApi, user: string, csr: string, expirationSeconds: number): Promise<string> {
  const requests = api.client.of(certificateSigningRequests);
  const made = await requests.create({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: `keelson-user-${randomSuffix()}${randomSuffix()}` },
    spec: {
      request: Buffer.from(csr).toString('base64'),
      signerName: SIGNER,
      expirationSeconds,
      usages: ['client auth'],
    },
  } as never);
  const path = `/apis/certificates.k8s.io/v1/certificatesigningrequests/${made.metadata.name}`;
  try {
    const approved = {
      ...made,
      status: {
        conditions: [
          {
            type: 'Approved',
            status: 'True',
            reason: 'KeelsonUserAdd',
            message: `Made by keelson user add ${user}.`,
          },
        ],
      },
    };
    await api.transport.request({ method: 'PUT', path: `${path}/approval`, body: approved });
    return await signed(api, made.metadata.name!);
  } finally {
    await api.transport.request({ method: 'DELETE', path }).catch(() => undefined);
  }
}

async function signed({ transport }: AdminApi, name: string): Promise<string> {
  const events = transport.watch({
    method: 'GET',
    path: '/apis/certificates.k8s.io/v1/certificatesigningrequests',
    query: { fieldSelector: `metadata.name=${name}` },
    signal: AbortSignal.timeout(SIGNING_MS),
  });
  for await (const { object } of events) {
    const { status } = object as unknown as CertificateSigningRequest;
    if (status?.certificate) return Buffer.from(status.certificate, 'base64').toString();
    const failed = status?.conditions?.find(({ type }) => type === 'Failed' || type === 'Denied');
    if (failed) throw new CliError(`The certificate was not signed: ${failed.message}`);
  }
  throw new CliError(
    `The certificate was not signed within ${SIGNING_MS / 1000} s: see the log of the server.`,
  );
}

const removeCommand: CommandModule<object, RemoveOptions> = {
  command: 'remove <user>',
  aliases: 'rm',
  describe: 'Take back all certificates of a user, and drop its kubeconfig context; RoleBindings stay',
  builder: (parser) =>
    withUser(parser, 'File that the context is dropped from').option('force', {
      type: 'boolean',
      default: false,
      describe:
        'Also a name that "keelson user add" never made: it may have a certificate or token all the same',
    }) as never,
  handler: async ({ name, dataDir, user, kubeconfig, force }) => {
    requireName(user);
    if (user === 'kubernetes-admin') throw new CliError("The cluster's administrator can't be removed.", 2);
    await withAdmin(clusterPaths(name, dataDir), async ({ client }) => {
      const known = await findIdentity(client, user);
      if ((!known || known.removed) && !force)
        throw new CliError(
          `Cluster "${name}" has no user "${user}": see "keelson user list", or take back with --force what was made otherwise.`,
        );
      await revoke(client, user, { removed: true });
    });
    const context = unmergeUser(name, user, kubeconfig ?? userKubeconfigPath());
    process.stdout.write(
      `User "${user}" can't come in any more${context ? `, and the context ${context} is gone` : ''}.\n`,
    );
  },
};

const listCommand: CommandModule<object, ClusterOptions> = {
  command: 'list',
  aliases: 'ls',
  describe: 'List the users that "keelson user add" made',
  builder: clusterOptions,
  handler: async ({ name, dataDir }) => {
    const users = await withAdmin(clusterPaths(name, dataDir), ({ client }) => listUsers(client));
    const rows = users
      .filter(({ removed }) => !removed)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, groups, expires = '' }) => [name, groups.join(',') || '-', state(expires)]);
    printTable([['USER', 'GROUPS', 'CERTIFICATE'], ...rows]);
  },
};

/** `expires`: RFC 3339. */
const state = (expires: string): string =>
  `${Date.parse(expires) > Date.now() ? 'until' : 'ended'} ${expires.slice(0, 10)}`;

export const userCommand: CommandModule = {
  command: 'user <command>',
  describe: 'List, add and remove users of a cluster',
  builder: (parser) =>
    parser
      .command(listCommand)
      .command(addCommand)
      .command(removeCommand)
      .demandCommand(1, 'Name a command.'),
  handler: () => undefined,
};
