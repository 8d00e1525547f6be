/** `keelson user add`: a person with a certificate of the cluster's CA. */
import type { CommandModule } from 'yargs';
import type { CertificateSigningRequest } from '#types';
import { certificateSigningRequests } from '../../api/resources/index.js';
import { createRequest } from '../../auth/certificates.js';
import { randomSuffix } from '../../client/index.js';
import { type AdminApi, withAdmin } from '../api.js';
import { CliError } from '../error.js';
import { mergeUser, userKubeconfigPath } from '../kubeconfig.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';

interface AddOptions extends ClusterOptions {
  user: string;
  group: string[];
  days: number;
  kubeconfig: string | undefined;
}

const SIGNER = 'kubernetes.io/kube-apiserver-client';
const SIGNING_MS = 20_000;

const addCommand: CommandModule<object, AddOptions> = {
  command: 'add <user>',
  describe: 'Make a client certificate for a user, and a kubeconfig context',
  builder: (parser) =>
    clusterOptions(parser)
      .positional('user', {
        type: 'string',
        demandOption: true,
        describe: 'Name of the user, as in RoleBindings',
      })
      .option('group', {
        type: 'string',
        array: true,
        default: [],
        describe: 'Group of the user; may be repeated',
      })
      .option('days', { type: 'number', default: 365, describe: 'How long the certificate is valid' })
      .option('kubeconfig', {
        type: 'string',
        describe: 'File that the context goes to [default: your kubeconfig]',
      }) as never,
  handler: async ({ name, dataDir, user, group, days, kubeconfig }) => {
    if (user === '' || user.startsWith('system:') || /[\s,=+"\\<>;#]/.test(user))
      throw new CliError(
        `A user can't be named ${JSON.stringify(user)}: choose one without "system:", blanks and ,=+"\\<>;#.`,
        2,
      );
    if (!(days * 86_400 >= 600)) throw new CliError('--days must be at least ten minutes.', 2);
    const paths = clusterPaths(name, dataDir);
    const { csr, key } = await createRequest({ commonName: user, organizations: group });
    const cert = await withAdmin(paths, (api) => certify(api, user, csr, Math.round(days * 86_400)));
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

export const userCommand: CommandModule = {
  command: 'user <command>',
  describe: 'Users of a cluster',
  builder: (parser) => parser.command(addCommand).demandCommand(1, 'Name a command.'),
  handler: () => undefined,
};
