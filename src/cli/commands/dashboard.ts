/** `keelson dashboard`: an address that opens the dashboard, as the user of a kubeconfig. */
import { accessSync, constants } from 'node:fs';
import type { CommandModule } from 'yargs';
import { StatusError } from '../../api/machinery/status.js';
import { MAX_CERTIFICATE_TOKEN_SECONDS, signCertificateToken } from '../../auth/tokens/certificate.js';
import {
  httpsTransport,
  type KubeconfigContext,
  loadKubeconfig,
  type Transport,
} from '../../client/index.js';
import { hasDesktop, openInBrowser } from '../browser.js';
import { CliError } from '../error.js';
import { userKubeconfigPath } from '../kubeconfig.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';
import { statusOf } from '../probe-url.js';

interface Options extends ClusterOptions {
  kubeconfig: string | undefined;
  context: string | undefined;
  serviceAccount: string | undefined;
  duration: number;
  open: boolean;
}

export const dashboardCommand: CommandModule<object, Options> = {
  command: 'dashboard',
  describe: 'Print an address that opens the dashboard, and open it where there is a desktop',
  builder: (parser) =>
    clusterOptions(parser)
      .option('kubeconfig', {
        type: 'string',
        describe:
          "Whose dashboard it is [default: the administrator's kubeconfig of --name, or else your own]",
      })
      .option('context', { type: 'string', describe: 'Context of the kubeconfig [default: its current one]' })
      .option('service-account', {
        type: 'string',
        describe: 'Log in as this service account instead: [namespace/]name',
      })
      .option('duration', {
        type: 'number',
        default: 60,
        describe: 'Minutes that the log-in is good for; 10 to 60',
      })
      .option('open', {
        type: 'boolean',
        default: true,
        describe: 'Open it in the browser of the desktop',
      }) as never,
  handler: async (options) => {
    if (!(options.duration >= 10 && options.duration <= 60))
      throw new CliError('--duration takes minutes from 10 to 60.', 2);
    const url = await dashboardUrl(options);
    process.stdout.write(`${url}\n`);
    if (!options.open || !hasDesktop()) return;
    const opened = await openInBrowser(url);
    if (!opened) process.stderr.write('No browser could be started: open the address yourself.\n');
  },
};

async function dashboardUrl(options: Options): Promise<string> {
  const file = options.kubeconfig ?? defaultKubeconfig(options);
  const config = await loadKubeconfig(file, options.context).catch((error) => {
    throw new CliError(
      error.code === 'ENOENT'
        ? `There is no kubeconfig ${file}: start a cluster with "keelson up", or name one with --kubeconfig.`
        : `${error.message}.`,
    );
  });
  const { server, ca, insecure } = config.transport;
  const base = server.replace(/\/+$/, '');
  const code = await statusOf(`${base}/ui/`, { ca, insecure }).catch((error) => {
    throw new CliError(`The API server at ${server} does not answer (${error.message}): is the cluster up?`);
  });
  if (code !== 200)
    throw new CliError(
      `The API server at ${server} serves no dashboard (status ${code}): was it started with --dashboard=false?`,
    );
  const transport = httpsTransport(config.transport);
  try {
    const seconds = Math.round(options.duration * 60);
    const { token, namespace } = await logIn(config, transport, options.serviceAccount, seconds);
    const fragment = new URLSearchParams({ token, ...(namespace === 'default' ? {} : { namespace }) });
    return `${base}/ui/#${fragment}`;
  } catch (error) {
    if (error instanceof StatusError) throw new CliError(`The API server refused: ${error.message}.`);
    throw error;
  } finally {
    await transport.close();
  }
}

function defaultKubeconfig({ name, dataDir }: Options): string {
  const { adminKubeconfig } = clusterPaths(name, dataDir);
  try {
    accessSync(adminKubeconfig, constants.R_OK);
    return adminKubeconfig;
  } catch {
    return userKubeconfigPath();
  }
}

/** The token, and the namespace to begin with. */
async function logIn(
  config: KubeconfigContext,
  transport: Transport,
  serviceAccount: string | undefined,
  seconds: number,
): Promise<{ token: string; namespace: string }> {
  if (serviceAccount !== undefined) {
    const [namespace, name] = serviceAccount.includes('/')
      ? serviceAccount.split('/', 2)
      : [config.namespace, serviceAccount];
    return { token: await requestToken(transport, namespace!, name!, seconds), namespace: namespace! };
  }
  const { cert, key, token, headers } = config.transport;
  if (headers) throw new CliError('The dashboard can not impersonate: use a user of your own.');
  if (cert && key)
    return {
      token: await signCertificateToken({ cert, key }, seconds, Date.now()),
      namespace: config.namespace,
    };
  const own = typeof token === 'function' ? await token() : token;
  if (!own)
    throw new CliError(
      `User "${config.user}" of the kubeconfig has neither a client certificate nor a token to log in with.`,
    );
  return { token: (await shorter(transport, seconds)) ?? own, namespace: config.namespace };
}

/** A fresh token of the service account that the kubeconfig is of; undefined where it may not have one. */
async function shorter(transport: Transport, seconds: number): Promise<string | undefined> {
  const review = await transport.request<any>({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  });
  const [, namespace, name] =
    /^system:serviceaccount:([^:]+):([^:]+)$/.exec(review.status?.userInfo?.username ?? '') ?? [];
  if (namespace === undefined || name === undefined) return undefined;
  return requestToken(transport, namespace, name, seconds).catch((error) => {
    if (error instanceof StatusError && error.code === 403) return undefined;
    throw error;
  });
}

async function requestToken(
  transport: Transport,
  namespace: string,
  name: string,
  seconds: number,
): Promise<string> {
  const request = await transport.request<any>({
    method: 'POST',
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(name)}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: Math.min(seconds, MAX_CERTIFICATE_TOKEN_SECONDS) },
    },
  });
  return request.status.token;
}
