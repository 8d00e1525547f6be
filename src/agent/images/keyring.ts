/** Which credentials are for an image: the addresses of a Docker configuration against its name, as upstream's keyring. */
import type { Pod, Secret } from '#types';

/** A Secret or a ServiceAccount. */
export interface Source {
  uid: string;
  namespace: string;
  name: string;
}

export interface Credential {
  username: string;
  password: string;
  /** The Secret that it is from. Without this and an account it is the node's own. */
  secret?: Source;
  /** The ServiceAccount that a plugin gave it for; its uid is empty where it is for one pod alone. */
  account?: Source;
}

interface DockerAuth {
  auth?: string;
  username?: string;
  password?: string;
}

/** By address: a host, maybe with a port and a path, each part of the host maybe a glob. */
export type DockerAuths = Record<string, DockerAuth>;

const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_KEY = 'index.docker.io';

/** Those whose address fits, the longest first. `image`: `registry/repository`. */
export function keyring(
  sources: ({ auths: DockerAuths } & Pick<Credential, 'secret' | 'account'>)[],
  image: string,
): Credential[] {
  const entries = sources.flatMap(({ auths, ...origin }) =>
    Object.entries(auths).flatMap(([address, auth]) => {
      const credential = decode(auth);
      return credential ? [{ key: normal(address), credential: { ...credential, ...origin } }] : [];
    }),
  );
  const fitting = entries
    .filter(({ key }) => matches(key, image))
    .sort((a, b) => (a.key < b.key ? 1 : a.key > b.key ? -1 : 0));
  const isDefault = image.startsWith(`${DEFAULT_REGISTRY}/`);
  const found = fitting.length > 0 || !isDefault ? fitting : entries.filter(({ key }) => key === DEFAULT_KEY);
  return found.map(({ credential }) => credential);
}

/** Without scheme, and without the version of the API that some write. */
function normal(address: string): string {
  const [host = '', ...rest] = address.replace(/^https?:\/\//, '').split('/');
  const path = rest
    .join('/')
    .replace(/^v[12](\/|$)/, '')
    .replace(/\/+$/, '');
  return path ? `${host}/${path}` : host;
}

/** Whether an address with globs is one of the image: as many parts of the host, the same port, the beginning of the path. */
export function matches(pattern: string, image: string): boolean {
  const [wanted, path] = split(pattern);
  const [host, repository] = split(image);
  const [name = '', port = ''] = host.split(':');
  const [glob = '', globPort = ''] = wanted.split(':');
  const [parts, globs] = [name.split('.'), glob.split('.')];
  return (
    port === globPort &&
    parts.length === globs.length &&
    globs.every((one, i) => globToPattern(one).test(parts[i]!)) &&
    repository.startsWith(path)
  );
}

function split(address: string): [host: string, path: string] {
  const slash = address.indexOf('/');
  return slash < 0 ? [address, ''] : [address.slice(0, slash), address.slice(slash + 1)];
}

const globToPattern = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replace(/[.+^${}()|\\\]]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );

function decode({
  auth,
  username,
  password,
}: DockerAuth): { username: string; password: string } | undefined {
  const [user = '', ...rest] = Buffer.from(auth ?? '', 'base64')
    .toString()
    .split(':');
  const found = { username: username ?? user, password: password ?? rest.join(':') };
  return found.username || found.password ? found : undefined;
}

/** What the pull secrets of a pod have for an image. */
export function secretCredentials(
  { metadata, spec }: Pod,
  image: string,
  secret: (namespace: string, name: string) => Secret | undefined,
): Credential[] {
  const namespace = metadata.namespace ?? '';
  const sources = (spec.imagePullSecrets ?? []).flatMap(({ name = '' }) => {
    const found = secret(namespace, name);
    const source = { uid: found?.metadata?.uid ?? '', namespace, name };
    return found ? [{ auths: secretAuths(found), secret: source }] : [];
  });
  return keyring(sources, image);
}

function secretAuths({ data }: Secret): DockerAuths {
  const read = (key: string) => {
    const value = data?.[key];
    return value ? parseAuths(Buffer.from(value, 'base64').toString()) : undefined;
  };
  return read('.dockerconfigjson')?.auths ?? (read('.dockercfg') as DockerAuths | undefined) ?? {};
}

/** A `config.json`; undefined for what is none. */
export function parseAuths(text: string): { auths?: DockerAuths } | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
