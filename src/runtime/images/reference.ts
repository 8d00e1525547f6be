/** Image references by Docker's rules: https://pkg.go.dev/github.com/distribution/reference */
import { ImageError } from '../types.js';

export interface Reference {
  /** Host and maybe port of the registry, such as `docker.io`. */
  registry: string;
  /** Path below the registry, such as `library/busybox`. */
  repository: string;
  /** `latest` when neither tag nor digest was given. */
  tag: string | undefined;
  /** `sha256:…` */
  digest: string | undefined;
  /** `registry/repository`. */
  name: string;
  /** The whole normalised reference; a digest wins over a tag. */
  full: string;
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/** Throws ImageError('InvalidName') with the words of kubelet. */
export function parseReference(text: string): Reference {
  const fail = (why = 'invalid reference format'): never => {
    throw new ImageError('InvalidName', `couldn't parse image name ${JSON.stringify(text)}: ${why}`);
  };
  if (/^[a-f0-9]{64}$/.test(text))
    fail(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const { rest, tag, digest } = splitSuffixes(text);
  const { registry, path } = splitRegistry(rest);
  const repository = registry === 'docker.io' && path && !path.includes('/') ? `library/${path}` : path;
  if (/[A-Z]/.test(path) && pathPattern.test(path.toLowerCase()))
    fail(`invalid reference format: repository name (${repository}) must be lowercase`);
  if (!pathPattern.test(path) || !hostPattern.test(registry)) fail();
  if (tag !== undefined && !tagPattern.test(tag)) fail();
  if (digest !== undefined && !digestPattern.test(digest)) fail();
  if (digest?.startsWith('sha256:') && digest.length !== 71) fail('invalid checksum digest length');
  const name = `${registry}/${repository}`;
  if (name.length > 255) fail('repository name must not be more than 255 characters');
  const shownTag = tag ?? (digest ? undefined : 'latest');
  return {
    registry,
    repository,
    tag: shownTag,
    digest,
    name,
    full: digest ? `${name}@${digest}` : `${name}:${shownTag}`,
  };
}

function splitSuffixes(text: string) {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  if (colon <= named.lastIndexOf('/')) return { rest: named, tag: undefined, digest };
  return { rest: named.slice(0, colon), tag: named.slice(colon + 1), digest };
}

/** The first part is a registry if it looks like a host; else all is a path on docker.io. */
function splitRegistry(text: string) {
  const slash = text.indexOf('/');
  const first = text.slice(0, slash);
  const isHost =
    slash >= 0 && (/[.:[]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  if (!isHost) return { registry: 'docker.io', path: text };
  return { registry: first === 'index.docker.io' ? 'docker.io' : first, path: text.slice(slash + 1) };
}

/** A glob of the alias file, completed as Docker completes names. */
export function normalizePattern(pattern: string): string {
  const { registry, path } = splitRegistry(pattern);
  const colon = path.lastIndexOf(':');
  const named = colon > path.lastIndexOf('/') || path.endsWith('*') ? path : `${path}:*`;
  return `${registry}/${registry === 'docker.io' && !path.includes('/') && !path.startsWith('*') ? 'library/' : ''}${named}`;
}
