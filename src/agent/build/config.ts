/** The config of an image that is being built, as Docker writes it: https://github.com/moby/docker-image-spec */
import { hostPlatform } from '../../runtime/images/manifest.js';

export interface BuildConfig {
  Env?: string[];
  Cmd?: string[] | null;
  Entrypoint?: string[] | null;
  WorkingDir?: string;
  User?: string;
  ExposedPorts?: Record<string, object>;
  Labels?: Record<string, string>;
  Volumes?: Record<string, object>;
  StopSignal?: string;
  Shell?: string[];
  OnBuild?: string[] | null;
  [other: string]: unknown;
}

export interface History {
  created?: string;
  created_by?: string;
  comment?: string;
  author?: string;
  empty_layer?: boolean;
}

/** All of an image but its layers' content. */
export interface ImageDocument {
  architecture: string;
  os: string;
  variant?: string;
  author?: string;
  created?: string;
  config: BuildConfig;
  rootfs: { type: 'layers'; diff_ids: string[] };
  history: History[];
}

export const emptyDocument = (): ImageDocument => ({
  ...hostPlatform,
  config: {},
  rootfs: { type: 'layers', diff_ids: [] },
  history: [],
});

/** From a base image's config; what only that image was (its container, its date) goes. */
export function documentOf(text: Buffer): ImageDocument {
  const { architecture, os, variant, config, rootfs, history } = JSON.parse(text.toString('utf8'));
  const own: BuildConfig = structuredClone(config ?? {});
  // That it is built in is said of the base image only.
  delete own.Labels?.['dev.keelson.builtin'];
  const known: History[] = structuredClone(history ?? []);
  const layers = known.filter((entry) => !entry.empty_layer).length;
  // One entry a layer is the rule of the format.
  const untold = Array.from({ length: Math.max(0, rootfs.diff_ids.length - layers) }, () => ({
    created_by: 'the base image',
  }));
  return {
    architecture,
    os,
    ...(variant ? { variant } : {}),
    config: own,
    rootfs: { type: 'layers', diff_ids: [...rootfs.diff_ids] },
    history: [...untold, ...known],
  };
}

/** Sets or replaces a variable, in place. */
export function setEnv(env: string[], name: string, value: string): string[] {
  const entry = `${name}=${value}`;
  const at = env.findIndex((other) => other.startsWith(`${name}=`));
  return at < 0 ? [...env, entry] : env.with(at, entry);
}

/** `8080`, `80-82/udp` … as `port/protocol`. @throws Error that says what is wrong. */
export function exposedPorts(spec: string): string[] {
  const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(spec);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? from);
  if (!match || to < from || to > 65_535) throw new Error(`invalid containerPort: ${spec}`);
  const protocol = (match[3] ?? 'tcp').toLowerCase();
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}/${protocol}`);
}

/** `NAME=value NAME2="two words"`, or the old form `NAME all the rest`. @throws Error that says what is wrong. */
export function pairs(
  raw: string,
  split: (text: string) => string[],
  whole: (text: string) => string,
): [string, string][] {
  const [first = ''] = raw.split(/\s/, 1);
  if (!first.includes('=')) {
    const value = raw.slice(first.length).trim();
    if (!value) throw new Error(`${first} has no value: write ${first}=VALUE`);
    return [[first, whole(value)]];
  }
  return split(raw).map((word) => {
    const equals = word.indexOf('=');
    if (equals < 1) throw new Error(`can't find = in "${word}". Must be of the form: name=value`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}
