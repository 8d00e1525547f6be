/** Reads kubeconfig files (client-go `clientcmd`): where a cluster is, and who one is there. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { HttpsTransportOptions } from './https.js';

export interface KubeconfigContext {
  context: string;
  cluster: string;
  user: string;
  /** `default` when the context names none. */
  namespace: string;
  /** For `httpsTransport`. */
  transport: HttpsTransportOptions;
}

interface Named {
  name: string;
  [kind: string]: any;
}

/**
 * The named context of a kubeconfig file, or its current one. Files that it names are read. Rejects with
 * an error that says what is missing; credential plugins (`exec`, `auth-provider`) are not run.
 */
export async function loadKubeconfig(path: string, context?: string): Promise<KubeconfigContext> {
  const { parse } = await import('yaml');
  const config = parse(await readFile(path, 'utf8')) ?? {};
  const name: string = context ?? config['current-context'] ?? '';
  if (name === '') throw new Error(`${path} has no current context`);

  const entry = find(path, config.contexts, 'context', name);
  const cluster = find(path, config.clusters, 'cluster', entry['cluster'] ?? '');
  const user = entry['user'] === undefined ? {} : find(path, config.users, 'user', entry['user']);
  if (typeof cluster['server'] !== 'string')
    throw new Error(`${path}: cluster "${entry['cluster']}" has no server`);
  if (user['exec'] !== undefined || user['auth-provider'] !== undefined)
    throw new Error(`${path}: user "${entry['user']}" needs a credential plugin, which is not supported`);

  const file = (value: Record<string, any>, field: string) => data(dirname(path), value, field);
  const [ca, cert, key] = await Promise.all([
    file(cluster, 'certificate-authority'),
    file(user, 'client-certificate'),
    file(user, 'client-key'),
  ]);
  return {
    context: name,
    cluster: entry['cluster'],
    user: entry['user'] ?? '',
    namespace: entry['namespace'] || 'default',
    transport: {
      server: cluster['server'],
      ca,
      cert,
      key,
      token: await tokenOf(dirname(path), user),
      headers: headersOf(user),
      serverName: cluster['tls-server-name'],
      insecure: cluster['insecure-skip-tls-verify'] === true,
    },
  };
}

function find(
  path: string,
  entries: Named[] | null | undefined,
  kind: string,
  name: string,
): Record<string, any> {
  const entry = entries?.find((e) => e.name === name);
  if (entry === undefined) throw new Error(`${path} has no ${kind} "${name}"`);
  return entry[kind] ?? {};
}

/** `field-data` in base64, else the file that `field` names, relative to the kubeconfig. */
async function data(dir: string, value: Record<string, any>, field: string): Promise<Buffer | undefined> {
  const inline = value[`${field}-data`];
  if (inline) return Buffer.from(inline, 'base64');
  return value[field] ? readFile(resolve(dir, value[field])) : undefined;
}

async function tokenOf(dir: string, user: Record<string, any>): Promise<HttpsTransportOptions['token']> {
  if (!user['tokenFile']) return user['token'];
  const path = resolve(dir, user['tokenFile']);
  await readFile(path);
  return async () => (await readFile(path, 'utf8')).trim();
}

function headersOf(user: Record<string, any>): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  if (user['username'] !== undefined) {
    const pair = Buffer.from(`${user['username']}:${user['password'] ?? ''}`).toString('base64');
    headers['authorization'] = `Basic ${pair}`;
  }
  if (user['as'] !== undefined) headers['impersonate-user'] = user['as'];
  return Object.keys(headers).length === 0 ? undefined : headers;
}
