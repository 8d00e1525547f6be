/** `keelson server`: the control plane in the foreground. */
import { pino } from 'pino';
import type { CommandModule } from 'yargs';
import type { ControlPlaneOptions } from '../../server/control-plane.js';
import { keelsonVersion } from '../../server/version.js';
import { endWithStarter, tellReady } from '../daemon.js';
import { CliError } from '../error.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';
import { givenServerOptions, type ServerOptions, serverOptions } from '../server-options.js';
import { closeOnSignal } from '../shutdown.js';

interface Options extends ClusterOptions, ServerOptions {
  bind: string;
  port: number;
  hubPort: number | undefined;
  advertiseAddress: string | undefined;
  tlsSan: string[];
  nodeMonitorGracePeriod: number;
  clusterCidr: string;
  serviceCidr: string;
  loadBalancerPool: string | undefined;
  logLevel: string;
}

export const serverCommand: CommandModule<object, Options> = {
  command: 'server',
  describe: 'Run a control plane in the foreground (for systemd)',
  builder: (parser) =>
    serverOptions(clusterOptions(parser))
      .option('bind', { type: 'string', default: '0.0.0.0', describe: 'Address to listen on' })
      .option('port', { type: 'number', default: 6443, describe: 'Port of the API server' })
      .option('hub-port', { type: 'number', describe: 'Port that agents dial [default: --port + 1]' })
      .option('advertise-address', {
        type: 'string',
        describe: 'Address under which others reach this machine [default: its first address]',
      })
      .option('node-monitor-grace-period', {
        type: 'number',
        default: 40,
        describe: 'Seconds of silence after which a node counts as gone',
      })
      .option('tls-san', {
        type: 'string',
        array: true,
        default: [],
        describe: 'More names and addresses for the serving certificate',
      })
      .option('cluster-cidr', {
        type: 'string',
        default: '10.244.0.0/16',
        describe: "Range of pods' addresses, or one of each IP family with a comma, the default one first",
      })
      .option('service-cidr', {
        type: 'string',
        default: '10.96.0.0/16',
        describe:
          "Range of Services' addresses, or one of each IP family with a comma, the default one first",
      })
      .option('load-balancer-pool', {
        type: 'string',
        describe:
          "Range of addresses for Services of type LoadBalancer, or one of each IP family, on the nodes' link: 192.0.2.240/28 [default: the nodes' own addresses]",
      })
      .option('log-level', {
        type: 'string',
        default: 'info',
        describe: 'trace, debug, info, warn or error',
      }) as never,
  handler: async (options) => {
    endWithStarter();
    const { startControlPlane } = await import('../../server/control-plane.js');
    const start = (settings: ControlPlaneOptions) =>
      startControlPlane(settings).catch((error) => {
        throw explained(error);
      });
    const paths = clusterPaths(options.name, options.dataDir);
    const logger = pino({ level: options.logLevel });
    const {
      encryptionKeyFile,
      admissionControlConfigFile,
      corsAllowedOrigins,
      dashboard,
      profiling,
      nodeCidrMaskSize,
      ...settings
    } = givenServerOptions(options);
    const controlPlane = await start({
      clusterName: options.name,
      dataDir: paths.data,
      bind: options.bind,
      apiPort: options.port,
      hubPort: options.hubPort ?? options.port + 1,
      advertiseAddress: options.advertiseAddress,
      certificateNames: options.tlsSan,
      nodeMonitorGracePeriod: options.nodeMonitorGracePeriod * 1000,
      clusterCidr: options.clusterCidr,
      nodeCidrMaskSize,
      serviceCidr: options.serviceCidr,
      loadBalancerPool: options.loadBalancerPool,
      encryptionKeyFile,
      admissionControlConfigFile,
      dashboard,
      auth: settings,
      audit: settings,
      corsAllowedOrigins,
      profiling,
      version: keelsonVersion(),
      logger,
    });
    closeOnSignal(() => controlPlane.close());
    tellReady();
  },
};

/** What an administrator can mend is one sentence. */
const explained = (error: Error): Error =>
  error.name === 'StoreError' || error.name === 'ConfigurationError' ? new CliError(error.message) : error;
