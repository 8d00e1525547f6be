/** Manifests, indexes and image configs of OCI and Docker: parsing, checking, and the choice by platform. */
import { arch } from 'node:process';
import { type ImageConfig, ImageError } from '../types.js';
import { digestHex } from './digest.js';

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Platform;
  annotations?: Record<string, string>;
}

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

export interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}

/** What an image's config says, and the diff IDs of its layers. */
export interface ParsedConfig {
  config: ImageConfig;
  diffIds: string[];
  platform: Platform;
}

/** In the order of preference, as an Accept header has it. */
export const manifestTypes = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
];

/** Manifests and configs above this are refused, as containerd does. */
export const maxDocumentSize = 8 << 20;

const architectures: Record<string, string> = { x64: 'amd64', ia32: '386', s390x: 's390x', ppc64: 'ppc64le' };

export const hostPlatform: Platform = { os: 'linux', architecture: architectures[arch] ?? arch };

function corrupt(what: string, why: string): never {
  throw new ImageError('Corrupt', `${what} is corrupt: ${why}`);
}

function parseObject(text: Buffer, what: string): Record<string, any> {
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch (error) {
    corrupt(what, (error as Error).message);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) corrupt(what, 'not a JSON object');
  return value as Record<string, any>;
}

function checkDescriptor(value: any, what: string): Descriptor {
  if (typeof value?.digest !== 'string' || !Number.isSafeInteger(value.size) || value.size < 0)
    corrupt(what, 'a descriptor lacks digest or size');
  digestHex(value.digest);
  return { mediaType: '', ...value };
}

/** Either an index of manifests, or one image's manifest. */
export function parseManifest(
  text: Buffer,
  what: string,
): { index: Descriptor[]; manifest?: undefined } | { manifest: Manifest; index?: undefined } {
  const value = parseObject(text, what);
  if (value.schemaVersion === 1 || value.fsLayers)
    throw new ImageError('Unsupported', `${what} has the schema version 1, which is not supported any more`);
  if (Array.isArray(value.manifests))
    return { index: value.manifests.map((entry: unknown) => checkDescriptor(entry, what)) };
  if (!value.config || !Array.isArray(value.layers)) corrupt(what, 'neither a manifest nor an index');
  return {
    manifest: {
      config: checkDescriptor(value.config, what),
      layers: value.layers.map((entry: unknown) => checkDescriptor(entry, what)),
    },
  };
}

/** The entry for this machine, best first; entries that are no images (attestations) are left out. */
export function choosePlatform(index: Descriptor[], wanted = hostPlatform): Descriptor | undefined {
  const images = index.filter(
    (entry) =>
      entry.platform?.os !== 'unknown' &&
      (!entry.mediaType || manifestTypes.includes(entry.mediaType)) &&
      !entry.annotations?.['vnd.docker.reference.type'],
  );
  const fits = images.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const plain = fits.find(
    ({ platform }) => !platform?.variant || platform.variant === defaultVariant(wanted),
  );
  return plain ?? fits[0] ?? images.find((entry) => !entry.platform);
}

function defaultVariant({ architecture }: Platform): string | undefined {
  return { arm64: 'v8', arm: 'v7', amd64: 'v1' }[architecture];
}

const strings = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

/** https://github.com/opencontainers/image-spec/blob/main/config.md */
export function parseConfig(text: Buffer, what: string): ParsedConfig {
  const value = parseObject(text, what);
  const diffIds = strings(value.rootfs?.diff_ids);
  diffIds.forEach(digestHex);
  if (value.rootfs?.type !== 'layers') corrupt(what, 'the config tells no layers');
  const run = value.config ?? {};
  return {
    diffIds,
    platform: { os: value.os ?? 'linux', architecture: value.architecture ?? hostPlatform.architecture },
    config: {
      entrypoint: strings(run.Entrypoint),
      command: strings(run.Cmd),
      env: strings(run.Env),
      workingDirectory: String(run.WorkingDir ?? ''),
      user: String(run.User ?? ''),
      stopSignal: String(run.StopSignal ?? ''),
      labels: run.Labels ?? {},
      exposedPorts: Object.keys(run.ExposedPorts ?? {}),
    },
  };
}
