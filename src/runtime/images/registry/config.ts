/** Settings of registries: a YAML file, by host. */
import { readFileSync } from 'node:fs';
import { parseYaml } from '../yaml.js';

export interface RegistrySettings {
  /** Base addresses that are asked first, in this order, such as `https://mirror.example.com`. */
  mirrors?: string[];
  /** Plain HTTP; the default for loopback addresses. */
  http?: boolean;
  /** Takes any certificate. */
  insecure?: boolean;
  /** A PEM file of certificates to trust besides the system's. */
  ca?: string;
  /** Used when the pull gives none. */
  auth?: { username: string; password: string };
}

/** One place where an image may be asked for. */
export interface Endpoint {
  /** Such as `https://registry-1.docker.io`. */
  base: string;
  insecure: boolean;
  ca: string | undefined;
  auth: { username: string; password: string } | undefined;
}

/** `registries:` maps hosts, or `*` for all that are not listed, to their settings. Throws when it cannot be read. */
export function readRegistrySettings(path: string | undefined): Record<string, RegistrySettings> {
  if (!path) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  return (parseYaml(text) as { registries?: Record<string, RegistrySettings> } | null)?.registries ?? {};
}

const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);

/** Mirrors first, then the registry itself. */
export function endpointsOf(registry: string, settings: Record<string, RegistrySettings>): Endpoint[] {
  const own = settings[registry] ?? settings['*'] ?? {};
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const plain = own.http ?? (isLoopback(host) && !host.endsWith(':443'));
  const shared = { insecure: own.insecure ?? false, ca: own.ca };
  return [
    ...(own.mirrors ?? []).map((mirror) => {
      const base = mirror.replace(/\/+$/, '');
      const { host: mirrorHost } = new URL(base);
      const { auth, ...rest } = { ...shared, auth: settings[mirrorHost]?.auth };
      return { base, ...rest, auth };
    }),
    { base: `${plain ? 'http' : 'https'}://${host}`, ...shared, auth: own.auth },
  ];
}
