/** The node's own resolver configuration (resolv.conf(5)): where the cluster's DNS asks for other names. */
import { readFile, stat } from 'node:fs/promises';

export interface ResolverConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

export const RESOLV_CONF = '/etc/resolv.conf';
/** systemd-resolved's servers themselves, where /etc/resolv.conf names only its stub on loopback. */
const BEHIND_STUB = '/run/systemd/resolve/resolv.conf';
const STUB = '127.0.0.53';
/** The file is looked at no more often, and only when somebody asks. */
const CHECK_MS = 1000;

/** The last `search` counts and options add up; a search domain's last dot is dropped. */
export function parseResolvConf(text: string): ResolverConfig {
  const resolver: ResolverConfig = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0]) resolver.servers.push(values[0]);
    else if (keyword === 'search')
      resolver.searches = values.map((name) => (name === '.' ? name : name.replace(/\.$/, '')));
    else if (keyword === 'options') resolver.options.push(...values);
  }
  return resolver;
}

/** Never rejects: a file that is not there says nothing. */
export async function readResolvConf(path = RESOLV_CONF): Promise<ResolverConfig> {
  const read = async (file: string) => parseResolvConf(await readFile(file, 'utf8').catch(() => ''));
  const resolver = await read(path);
  if (path !== RESOLV_CONF || resolver.servers.length !== 1 || resolver.servers[0] !== STUB) return resolver;
  const behind = await read(BEHIND_STUB);
  return behind.servers.length > 0 ? behind : resolver;
}

/** Changes whenever the file does. */
async function fileVersion(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found ? `${found.dev} ${found.ino} ${found.mtimeMs} ${found.size}` : 'none';
}

/** The servers of a resolv.conf, read again after it has changed. */
export class ResolvConfServers {
  private servers: string[] = [];
  private version: string | undefined;
  private checked = Number.NEGATIVE_INFINITY;
  private checking: Promise<string[]> | undefined;

  /** Servers in `except` are never used: to ask them would be to ask ourselves. */
  constructor(
    private readonly path: string,
    private readonly except: string[],
    private readonly now: () => number,
  ) {}

  get(): Promise<string[]> {
    if (this.now() - this.checked < CHECK_MS) return Promise.resolve(this.servers);
    this.checking ??= this.check().finally(() => {
      this.checking = undefined;
    });
    return this.checking;
  }

  private async check(): Promise<string[]> {
    const version = (await Promise.all([this.path, BEHIND_STUB].map(fileVersion))).join();
    if (version !== this.version) {
      const { servers } = await readResolvConf(this.path);
      this.servers = servers.filter((server) => !this.except.includes(server));
      this.version = version;
    }
    this.checked = this.now();
    return this.servers;
  }
}
