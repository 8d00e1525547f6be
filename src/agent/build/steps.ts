/** Instructions that change the image's config only. */
import { join } from 'node:path';
import { type BuildConfig, exposedPorts, pairs, setEnv } from './config.js';
import { type Instruction, jsonForm, parseDockerfile } from './dockerfile.js';
import { type Expansion, expandWord, words } from './words.js';

export interface ConfigStep {
  config: BuildConfig;
  /** For the history. */
  createdBy: string;
  /** For who builds. */
  note?: string;
}

const DEFAULT_SHELL = ['/bin/sh', '-c'];
export const shellOf = (config: BuildConfig): string[] => config.Shell ?? DEFAULT_SHELL;

/** A command in either form, as argv. */
export const commandOf = (text: string, config: BuildConfig): string[] =>
  jsonForm(text) ?? [...shellOf(config), text];

/** A path as WORKDIR and COPY take it: relative to the working folder. A `/` at its end stays. */
export function absolute(path: string, config: BuildConfig): string {
  const whole = join(path.startsWith('/') ? '/' : config.WorkingDir || '/', path);
  const isFolder = path === '.' || path.endsWith('/.');
  return isFolder ? `${whole.replace(/\/$/, '')}/` : whole;
}

type Apply = (
  text: string,
  config: BuildConfig,
  expansion: Expansion,
  own: Set<string>,
  heredocs: Instruction['heredocs'],
) => ConfigStep;

const list = (values: string[]) => JSON.stringify(values);

/** `own`: what this stage has set itself, by the config's names. */
const APPLY: Record<string, Apply> = {
  ENV(text, config, expansion) {
    const set = pairs(
      text,
      (t) => words(t, expansion),
      (t) => expandWord(t, expansion),
    );
    const Env = set.reduce((env, [name, value]) => setEnv(env, name, value), config.Env ?? []);
    return { config: { ...config, Env }, createdBy: `ENV ${set.map((pair) => pair.join('=')).join(' ')}` };
  },
  LABEL(text, config, expansion) {
    const set = pairs(
      text,
      (t) => words(t, expansion),
      (t) => expandWord(t, expansion),
    );
    const Labels = { ...config.Labels, ...Object.fromEntries(set) };
    return {
      config: { ...config, Labels },
      createdBy: `LABEL ${set.map((pair) => pair.join('=')).join(' ')}`,
    };
  },
  EXPOSE(text, config, expansion) {
    const ports = words(text, expansion).flatMap(exposedPorts);
    const ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
    return { config: { ...config, ExposedPorts }, createdBy: `EXPOSE [${ports.join(' ')}]` };
  },
  VOLUME(text, config, expansion) {
    const paths = jsonForm(text) ?? words(text, expansion);
    const Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
    return { config: { ...config, Volumes }, createdBy: `VOLUME [${paths.join(' ')}]` };
  },
  USER(text, config, expansion) {
    const User = expandWord(text, expansion);
    return { config: { ...config, User }, createdBy: `USER ${User}` };
  },
  CMD(text, config, _expansion, own) {
    own.add('Cmd');
    const Cmd = commandOf(text, config);
    return { config: { ...config, Cmd }, createdBy: `CMD ${list(Cmd)}` };
  },
  ENTRYPOINT(text, config, _expansion, own) {
    const Entrypoint = commandOf(text, config);
    // The base image's arguments are for its own entrypoint.
    const { Cmd, ...rest } = config;
    return {
      config: { ...rest, ...(own.has('Cmd') ? { Cmd } : {}), Entrypoint } as BuildConfig,
      createdBy: `ENTRYPOINT ${list(Entrypoint)}`,
    };
  },
  SHELL(text, config) {
    const Shell = jsonForm(text);
    if (!Shell?.length) throw new Error('SHELL requires the arguments to be in JSON form');
    return { config: { ...config, Shell }, createdBy: `SHELL ${list(Shell)}` };
  },
  STOPSIGNAL(text, config, expansion) {
    const StopSignal = expandWord(text, expansion);
    if (!/^((SIG)?[A-Z0-9+]+|\d+)$/.test(StopSignal)) throw new Error(`invalid signal: ${StopSignal}`);
    return { config: { ...config, StopSignal }, createdBy: `STOPSIGNAL ${StopSignal}` };
  },
  ONBUILD(text, config, _expansion, _own, heredocs) {
    const { name } = parseDockerfile(`${text.split('<<', 1)[0]} .`, 'ONBUILD').instructions[0]!;
    if (name === 'ONBUILD') throw new Error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (name === 'FROM' || name === 'MAINTAINER')
      throw new Error(`${name} isn't allowed as an ONBUILD trigger`);
    const trigger = [text, ...heredocs.map((doc) => `${doc.content}${doc.name}`)].join('\n');
    return {
      config: { ...config, OnBuild: [...(config.OnBuild ?? []), trigger] },
      createdBy: `ONBUILD ${trigger}`,
    };
  },
  MAINTAINER: (text, config) => ({ config, createdBy: `MAINTAINER ${text}` }),
  HEALTHCHECK: (text, config) => ({
    config,
    createdBy: `HEALTHCHECK ${text}`,
    note: 'HEALTHCHECK is left out: pods have probes instead',
  }),
};

/** Undefined for other instructions. @throws Error that says what is wrong with it. */
export function configStep(
  { name, text, heredocs }: Instruction,
  config: BuildConfig,
  expansion: Expansion,
  own: Set<string>,
): ConfigStep | undefined {
  return APPLY[name]?.(text, config, expansion, own, heredocs);
}
