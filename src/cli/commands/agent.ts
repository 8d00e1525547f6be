/** `keelson agent`: a node in the foreground. */
import { existsSync } from 'node:fs';
import { join as joinPath, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import type { CommandModule } from 'yargs';
import type { NodeFlags } from '../../agent/node/settings.js';
import type { Join } from '../../agent/node.js';
import { tellReady } from '../daemon.js';
import { CliError } from '../error.js';
import { givenFlags, nodeFlags } from '../node-flags.js';
import { defaultNodeName, nodePaths, registerNode, requireNodeName } from '../nodes.js';
import { type IngressOptions, ingressOptions } from '../options.js';
import { clusterPaths } from '../paths.js';
import { requireKernel, requireRoot } from '../preflight.js';
import { closeOnSignal } from '../shutdown.js';

interface Options extends IngressOptions, NodeFlags {
  cluster: string;
  dataDir: string | undefined;
  name: string;
  server: string | undefined;
  token: string | undefined;
  caHash: string | undefined;
  nodeIp: string | undefined;
  resolvConf: string | undefined;
  kubeletRoot: string | undefined;
  labels: string[];
  taints: string[];
  joinFromStdin: boolean;
  logLevel: string;
}

export const agentCommand: CommandModule<object, Options> = {
  command: 'agent',
  describe: 'Run a node in the foreground (for systemd), joining it to a control plane',
  builder: (parser) =>
    nodeFlags(ingressOptions(parser))
      .option('server', { type: 'string', describe: "host:port of the control plane's hub" })
      .option('token', { type: 'string', describe: 'Join token; not needed once the node has joined' })
      .option('ca-hash', { type: 'string', describe: "sha256:… of the cluster CA's public key" })
      .option('name', { type: 'string', default: defaultNodeName(), describe: "The node's name" })
      .option('cluster', {
        type: 'string',
        default: 'default',
        describe: 'Names the kernel objects that this node makes',
      })
      .option('data-dir', { type: 'string', describe: 'Folder for credentials, images and pods' })
      .option('node-ip', {
        type: 'string',
        describe:
          'Address of this node, or one of each IP family with a comma [default: those of the default route]',
      })
      .option('resolv-conf', {
        type: 'string',
        describe:
          "The node's resolver configuration, for names outside of the cluster [default: /etc/resolv.conf]",
      })
      .option('kubelet-root', {
        type: 'string',
        describe:
          "The kubelet's folder, where storage drivers look [default: kubelet in the node's data folder]",
      })
      .option('labels', {
        type: 'string',
        array: true,
        default: [],
        describe: 'Labels for a new node: key=value',
      })
      .option('taints', { type: 'string', array: true, default: [], describe: 'Taints: key=value:Effect' })
      .option('join-from-stdin', {
        type: 'boolean',
        default: false,
        describe: 'Read server, token and caHash as one line of JSON',
      })
      .option('log-level', {
        type: 'string',
        default: 'info',
        describe: 'trace, debug, info, warn or error',
      }) as never,
  handler: async (options) => {
    requireNodeName(options.name);
    requireRoot('agent');
    const flags = givenFlags(options);
    requireKernel();
    const join = options.joinFromStdin ? firstLine() : undefined;
    const cluster = clusterPaths(options.cluster, options.dataDir);
    const paths = nodePaths(cluster, options.name);
    registerNode(paths);
    const { openNode } = await import('../../agent/node.js');
    const node = await openNode({
      cluster: cluster.name,
      node: options.name,
      runDir: paths.run,
      dataDir: paths.data,
      imagesDir: cluster.images,
      imageAliases: cluster.imageAliases,
      registries: cluster.registries,
      cgroupRoot: paths.cgroupRoot,
      logger: pino({ level: options.logLevel }),
    });
    closeOnSignal(() => node.close());
    const told = join === undefined ? fromOptions(options) : (JSON.parse(await join) as Join);
    const joined = node.join({
      ...told,
      ...(options.nodeIp ? { nodeIp: options.nodeIp } : {}),
      ...(options.resolvConf ? { resolvConf: options.resolvConf } : {}),
      ...(options.kubeletRoot ? { kubeletRoot: resolve(options.kubeletRoot) } : {}),
      labels: Object.fromEntries(options.labels.map(parseLabel)),
      taints: options.taints.map(parseTaint),
      flags,
      ingress: {
        httpPort: options.ingressHttpPort ?? 80,
        httpsPort: options.ingressHttpsPort ?? 443,
        metricsPort: options.ingressMetricsPort,
        accessLog: options.ingressAccessLog,
      },
    });
    await joined.catch((error) => {
      throw explained(error, joinPath(paths.data, 'pki'));
    });
    tellReady();
  },
};

/** What the control plane refuses is one sentence. `credentials`: the folder that holds the node's certificate. */
function explained(error: Error & { details?: unknown }, credentials: string): Error {
  if (error.name === 'JoinError') return new CliError(`This node can't join: ${error.message}.`);
  if (typeof error.details !== 'string') return error;
  const again = existsSync(joinPath(credentials, 'node.crt'))
    ? ` To join anew with a token, delete ${credentials} first.`
    : '';
  return new CliError(`The control plane refuses this node: ${error.details}.${again}`);
}

function fromOptions({ server, token, caHash }: Options): Join {
  if (server === undefined)
    throw new CliError('--server is missing: "keelson token" on the control plane prints the whole command.');
  if (token !== undefined && caHash === undefined)
    throw new CliError(
      '--ca-hash is missing: without it, a joining node could be given a false control plane.',
    );
  return { server, ...(token ? { token } : {}), ...(caHash ? { caHash } : {}) };
}

function firstLine(): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: process.stdin });
    lines.once('line', (line) => {
      resolve(line);
      lines.close();
    });
    lines.once('close', () => reject(new CliError('Nothing came on the standard input.')));
  });
}

function parseLabel(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new CliError(`The label "${text}" is not of the form key=value.`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function parseTaint(text: string): { key: string; value?: string; effect: string } {
  const match = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
  if (!match) throw new CliError(`The taint "${text}" is not of the form key=value:Effect.`);
  return { key: match[1]!, ...(match[2] ? { value: match[2] } : {}), effect: match[3]! };
}
