/** Passwords of registries from a pod's imagePullSecrets. */
import type { Pod, Secret } from '#types';

interface DockerAuth {
  auth?: string;
  username?: string;
  password?: string;
}

/** The credentials of the first secret that has some for the image's registry. */
export function registryAuth(
  pod: Pod,
  image: string,
  secret: (namespace: string, name: string) => Secret | undefined,
): { username: string; password: string } | undefined {
  const first = image.split('/')[0] ?? '';
  const registry = /[.:]|^localhost$/.test(first) && image.includes('/') ? first : 'docker.io';
  for (const { name = '' } of pod.spec.imagePullSecrets ?? []) {
    const auths = dockerAuths(secret(pod.metadata.namespace ?? '', name));
    for (const [server, entry] of Object.entries(auths)) {
      const host = server.replace(/^https?:\/\//, '').split('/')[0];
      if (host !== registry && !(registry === 'docker.io' && host === 'index.docker.io')) continue;
      const [user = '', ...rest] = Buffer.from(entry.auth ?? '', 'base64')
        .toString()
        .split(':');
      return { username: entry.username ?? user, password: entry.password ?? rest.join(':') };
    }
  }
  return undefined;
}

function dockerAuths(secret: Secret | undefined): Record<string, DockerAuth> {
  const read = (key: string) => {
    const value = secret?.data?.[key];
    if (!value) return undefined;
    try {
      return JSON.parse(Buffer.from(value, 'base64').toString());
    } catch {
      return undefined;
    }
  };
  return read('.dockerconfigjson')?.auths ?? read('.dockercfg') ?? {};
}
