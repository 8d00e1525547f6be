/** Kubeconfig files: the admin's own, and its context merged into the user's, as other local clusters do. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { CliError } from './error.js';

interface Named {
  name: string;
  [field: string]: unknown;
}

interface Kubeconfig {
  apiVersion: string;
  kind: string;
  clusters: Named[];
  contexts: Named[];
  users: Named[];
  'current-context'?: string;
  [field: string]: unknown;
}

const LISTS = ['clusters', 'contexts', 'users'] as const;

/** The file that kubectl would write to. */
export function userKubeconfigPath(): string {
  const fromEnvironment = process.env['KUBECONFIG']?.split(':').find((path) => path !== '');
  return fromEnvironment ?? join(homedir(), '.kube/config');
}

export const contextName = (cluster: string): string => `keelson-${cluster}`;

function read(path: string): Kubeconfig {
  const empty: Kubeconfig = { apiVersion: 'v1', kind: 'Config', clusters: [], contexts: [], users: [] };
  if (!existsSync(path)) return empty;
  let parsed: Partial<Kubeconfig> | null;
  try {
    parsed = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CliError(`${path} is not a kubeconfig: ${(error as Error).message.split('\n')[0]}`);
  }
  const config = { ...empty, ...parsed };
  for (const list of LISTS) config[list] ??= [];
  return config;
}

function write(path: string, config: Kubeconfig): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.keelson-${process.pid}`;
  writeFileSync(temporary, stringify(config), { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
}

/** Adds the admin's cluster, user and context, and makes the context current. */
export function mergeKubeconfig(admin: string, path: string): void {
  const added = read(admin);
  const config = read(path);
  for (const list of LISTS) {
    const names = new Set(added[list].map((entry) => entry.name));
    config[list] = [...config[list].filter((entry) => !names.has(entry.name)), ...added[list]];
  }
  config['current-context'] = added['current-context'];
  write(path, config);
}

export interface UserEntry {
  cluster: string;
  /** The name that the certificate is for. */
  user: string;
  /** PEM. */
  cert: string;
  key: string;
}

/**
 * Adds a context of another user of the cluster, as `keelson-<cluster>-<user>`; it becomes current only in a file that
 * has no current context. Returns its name.
 */
export function mergeUser(admin: string, path: string, { cluster, user, cert, key }: UserEntry): string {
  const name = `${contextName(cluster)}-${user}`;
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  const config = read(path);
  const added: Pick<Kubeconfig, (typeof LISTS)[number]> = {
    clusters: read(admin).clusters,
    users: [{ name, user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } }],
    contexts: [{ name, context: { cluster: contextName(cluster), user: name } }],
  };
  for (const list of LISTS) {
    const names = new Set(added[list].map((entry) => entry.name));
    config[list] = [...config[list].filter((entry) => !names.has(entry.name)), ...added[list]];
  }
  config['current-context'] ||= name;
  write(path, config);
  return name;
}

/** Removes what `mergeUser` added. Returns the context's name, undefined when there is none. */
export function unmergeUser(cluster: string, user: string, path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const config = read(path);
  const name = `${contextName(cluster)}-${user}`;
  if (!config.contexts.some((entry) => entry.name === name)) return undefined;
  for (const list of ['users', 'contexts'] as const)
    config[list] = config[list].filter((entry) => entry.name !== name);
  if (config['current-context'] === name) config['current-context'] = '';
  write(path, config);
  return name;
}

/** Removes what `mergeKubeconfig` and `mergeUser` added; a file that is empty then stays, without a current context. */
export function unmergeKubeconfig(cluster: string, path: string): void {
  if (!existsSync(path)) return;
  const config = read(path);
  const name = contextName(cluster);
  const contexts = config.contexts.filter((entry) => (entry['context'] as any)?.cluster === name);
  const gone = new Set([name, ...contexts.map((entry) => entry.name)]);
  if (!LISTS.some((list) => config[list].some((entry) => gone.has(entry.name)))) return;
  for (const list of LISTS) config[list] = config[list].filter((entry) => !gone.has(entry.name));
  if (gone.has(config['current-context'] ?? '')) config['current-context'] = '';
  write(path, config);
}
