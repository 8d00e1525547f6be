/** Options of the control plane that `server` takes, and that `up` keeps and hands on. */
import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { AuthSettings } from '../auth/configuration/settings.js';
import type { AuditSettings } from '../server/control-plane.js';
import { CliError } from './error.js';

export interface ServerOptions extends AuthSettings, AuditSettings {
  corsAllowedOrigins?: string[];
  profiling?: boolean;
  nodeCidrMaskSize?: number;
  encryptionKeyFile?: string;
  admissionControlConfigFile?: string;
  dashboard?: boolean;
}

type Kind = 'file' | 'text' | 'number' | 'list' | 'flag';

const OPTIONS: Record<keyof ServerOptions, [kind: Kind, describe: string]> = {
  encryptionKeyFile: [
    'file',
    'EncryptionConfiguration with the keys for Secrets at rest [default: <data-dir>/encryption.yaml]',
  ],
  admissionControlConfigFile: ['file', 'AdmissionConfiguration with defaults and exemptions of PodSecurity'],
  corsAllowedOrigins: ['list', 'Regular expressions of origins whose pages may use the API'],
  profiling: ['flag', 'Tell of the queues of requests below /debug [default: false]'],
  nodeCidrMaskSize: [
    'number',
    "Size of a node's range of pod addresses, within the cluster's /16 [default: 24]",
  ],
  auditPolicyFile: ['file', 'Policy (audit.k8s.io/v1): which requests are recorded'],
  auditLogPath: ['file', 'File for audit events; - for standard output'],
  auditLogMaxage: ['number', 'Days that old audit files are kept [default: for ever]'],
  auditLogMaxbackup: ['number', 'How many old audit files are kept [default: all]'],
  auditLogMaxsize: ['number', 'Megabytes of an audit file [default: 100]'],
  auditWebhookConfigFile: ['file', 'Kubeconfig of a service that takes audit events'],
  auditWebhookBatchMaxSize: ['number', 'Audit events in one call of the service [default: 400]'],
  auditWebhookBatchMaxWait: ['number', 'Seconds that an audit event waits for others [default: 30]'],
  authenticationConfig: ['file', 'AuthenticationConfiguration: issuers of tokens, anonymous requests'],
  authorizationConfig: ['file', 'AuthorizationConfiguration: authorizers in their order'],
  tokenAuthFile: ['file', 'CSV file with tokens: token,user,uid,"group1,group2"'],
  authenticationTokenWebhookConfigFile: ['file', 'Kubeconfig of a service that reviews tokens'],
  authorizationWebhookConfigFile: ['file', 'Kubeconfig of a service that authorizes what RBAC does not'],
  anonymousAuth: ['flag', 'Take requests without credentials as anonymous [default: true]'],
  oidcIssuerUrl: ['text', 'OpenID Connect: URL of the issuer (https)'],
  oidcClientId: ['text', 'OpenID Connect: the audience that tokens must have'],
  oidcUsernameClaim: ['text', 'OpenID Connect: claim with the user name [default: sub]'],
  oidcUsernamePrefix: ['text', 'OpenID Connect: put before user names; - for nothing [default: <issuer>#]'],
  oidcGroupsClaim: ['text', 'OpenID Connect: claim with the groups'],
  oidcGroupsPrefix: ['text', 'OpenID Connect: put before groups'],
  oidcRequiredClaim: ['list', 'OpenID Connect: claim=value that tokens must have; may be repeated'],
  oidcSigningAlgs: ['list', 'OpenID Connect: algorithms of signatures [default: RS256]'],
  oidcCaFile: ['file', 'OpenID Connect: CA of the issuer'],
  dashboard: ['flag', 'Serve the dashboard at /ui/ [default: true]'],
  requestheaderClientCaFile: ['file', 'CA of proxies that name users in headers'],
  requestheaderAllowedNames: ['list', 'Common names of such proxies [default: any]'],
  requestheaderUsernameHeaders: ['list', 'Headers with the user name [default: X-Remote-User]'],
  requestheaderUidHeaders: ['list', 'Headers with the uid [default: X-Remote-Uid]'],
  requestheaderGroupHeaders: ['list', 'Headers with the groups [default: X-Remote-Group]'],
  requestheaderExtraHeadersPrefix: ['list', 'Prefixes of headers with more [default: X-Remote-Extra-]'],
};

const entries = Object.entries(OPTIONS) as [keyof ServerOptions, [Kind, string]][];
const flagOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Names of options that may be given several times, in both forms that yargs has them. */
export const LIST_OPTIONS = entries
  .filter(([, [kind]]) => kind === 'list')
  .flatMap(([name]) => [name, flagOf(name)]);

export function serverOptions<T>(parser: Argv<T>): Argv<T & ServerOptions> {
  for (const [name, [kind, describe]] of entries)
    parser.option(flagOf(name), {
      type: kind === 'flag' ? 'boolean' : kind === 'number' ? 'number' : 'string',
      ...(kind === 'list' ? { array: true } : {}),
      describe,
      group: 'Users and security:',
    });
  return parser as unknown as Argv<T & ServerOptions>;
}

/** Those that were given; files by their whole path, lists split at commas. */
export function givenServerOptions(options: ServerOptions): ServerOptions {
  const given: Record<string, unknown> = {};
  for (const [name, [kind]] of entries) {
    const value = options[name];
    if (value === undefined) continue;
    if (name === 'nodeCidrMaskSize') checkMaskSize(value as number);
    if (kind === 'file') given[name] = value === '-' ? value : resolve(value as string);
    else if (kind === 'list') given[name] = (value as string[]).flatMap((item) => item.split(','));
    else given[name] = value;
  }
  return given;
}

function checkMaskSize(size: number): void {
  if (!Number.isInteger(size) || size < 16 || size > 30)
    throw new CliError('--node-cidr-mask-size takes a number from 16 to 30.', 2);
}

/** As arguments of `keelson server`. */
export function serverArgv(given: ServerOptions): string[] {
  return (Object.entries(given) as [string, string | boolean | number | string[]][]).flatMap(
    ([name, value]) => [value].flat().map((item) => `--${flagOf(name)}=${item}`),
  );
}
