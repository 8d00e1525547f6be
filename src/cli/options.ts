/** Options that several commands share. */
import type { Argv } from 'yargs';

export interface ClusterOptions {
  name: string;
  dataDir: string | undefined;
}

/** `--name` and `--data-dir`: which cluster. */
export function clusterOptions<T>(parser: Argv<T>): Argv<T & ClusterOptions> {
  return parser
    .option('name', { alias: 'n', type: 'string', default: 'default', describe: 'Name of the cluster' })
    .option('data-dir', {
      type: 'string',
      describe: 'Folder for its keys, database, images and pods [default: /var/lib/keelson/<name>]',
    }) as unknown as Argv<T & ClusterOptions>;
}

export interface IngressOptions {
  ingressHttpPort: number | undefined;
  ingressHttpsPort: number | undefined;
  ingressMetricsPort: number | undefined;
  ingressAccessLog: boolean;
}

/** `--ingress-…`: where the node serves Ingresses. */
export function ingressOptions<T>(parser: Argv<T>, where = ''): Argv<T & IngressOptions> {
  return parser
    .option('ingress-http-port', {
      type: 'number',
      describe: `Port for HTTP to Ingresses, open while there are any; 0: none [default: 80${where}]`,
    })
    .option('ingress-https-port', {
      type: 'number',
      describe: `Port for HTTPS to Ingresses; 0: none [default: 443${where}]`,
    })
    .option('ingress-metrics-port', {
      type: 'number',
      describe: 'Port for metrics of the Ingress proxy at /metrics [default: none]',
    })
    .option('ingress-access-log', {
      type: 'boolean',
      default: false,
      describe: 'Log each request to an Ingress',
    }) as unknown as Argv<T & IngressOptions>;
}
