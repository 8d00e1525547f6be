/** Builds an image from a Dockerfile: stage by stage, a layer for each step that writes files. */
import { readFile, realpath } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { sha256 } from '../../runtime/images/digest.js';
import { type LocalImageStore, parseReference } from '../../runtime/images/index.js';
import { type Image, ImageError, type Runtime } from '../../runtime/types.js';
import { BuildArguments } from './arguments.js';
import { type CopySource, contextSource, layersSource } from './context.js';
import { type Dockerfile, type Instruction, parseDockerfile } from './dockerfile.js';
import { BuildError } from './error.js';
import { type Stage, StageBuilder } from './stage.js';
import { expandWord, words } from './words.js';

export interface BuildOptions {
  store: LocalImageStore;
  runtime: Runtime;
  /** Folder for the logs of commands, while they run. */
  logs: string;
  /** A folder. */
  context: string;
  /** `<context>/Dockerfile` when absent. */
  dockerfile?: string | undefined;
  arguments: Record<string, string>;
  /** For `RUN --mount=type=secret`, by their ids. */
  secrets: ReadonlyMap<string, Buffer>;
  /** A stage's name or number; the last when absent. */
  target?: string | undefined;
  /** Names for the image. */
  tags: string[];
  noCache: boolean;
  /** Pulls base images also where they are on the node. */
  pull: boolean;
  now(): number;
  signal: AbortSignal;
  output(text: string | Buffer): void;
}

interface StagePlan {
  name: string;
  from: Instruction;
  steps: Instruction[];
  built?: Promise<Stage>;
}

/** @throws ImageError; BuildError with file and line for what is wrong in the Dockerfile. */
export async function buildImage(options: BuildOptions): Promise<Image> {
  const tags = options.tags.map((tag) => parseReference(tag));
  for (const { digest, full } of tags)
    if (digest) throw new ImageError('InvalidName', `${full} has a digest: a name with a tag is wanted`);
  const context = await realpath(options.context).catch(() => {
    throw new ImageError('NotFound', `the build context ${options.context} is not there`);
  });
  const path = resolve(context, options.dockerfile ?? 'Dockerfile');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ImageError('NotFound', `the Dockerfile ${path} cannot be read (${error.code})`);
  });
  const file = parseDockerfile(text, basename(path));
  const build = new Build(options, file, await contextSource(context, path));
  const stage = await build.run();
  for (const name of build.args.unused) options.output(`The build argument ${name} is used nowhere.\n`);
  const { store, signal } = options;
  const image = await store.install({
    name: tags[0]?.full ?? 'the built image',
    config: Buffer.from(JSON.stringify(stage.document)),
    tags: tags.map(({ full }) => full),
    digests: [],
    layers: stage.document.rootfs.diff_ids.map((diffId) => ({
      name: `layer ${diffId}`,
      open: () => Promise.reject(new ImageError('Internal', 'a layer was removed meanwhile: build again')),
    })),
    signal,
  });
  return image;
}

export class Build {
  readonly args: BuildArguments;
  readonly #plans: StagePlan[] = [];

  constructor(
    readonly options: BuildOptions,
    readonly file: Dockerfile,
    readonly context: CopySource,
  ) {
    this.args = new BuildArguments(options.arguments);
    for (const instruction of file.instructions) {
      const plan = this.#plans.at(-1);
      if (instruction.name === 'FROM') this.#plans.push(this.#plan(instruction));
      else if (plan) plan.steps.push(instruction);
      else if (instruction.name !== 'ARG')
        throw new BuildError(
          instruction.where,
          `no build stage in current context: ${instruction.name} stands before FROM`,
        );
      else this.#globalArgument(instruction);
    }
    if (this.#plans.length === 0) throw new BuildError(file.instructions[0]!.where, 'there is no FROM');
  }

  get #globals() {
    return { escape: this.file.escape, lookup: (name: string) => this.args.global.get(name) };
  }

  #globalArgument({ text, where }: Instruction): void {
    this.guard(where, () => {
      for (const word of words(text, this.#globals)) {
        const [name = '', value] = split(word);
        this.args.declareGlobal(name, value);
      }
    });
  }

  #plan(from: Instruction): StagePlan {
    const match = /^(\S+)(?:\s+as\s+(\S+))?$/i.exec(from.text);
    if (!match)
      throw new BuildError(from.where, 'FROM requires either one or three arguments: FROM IMAGE [AS NAME]');
    const name = match[2]?.toLowerCase() ?? `${this.#plans.length}`;
    if (match[2] && !/^[a-z][a-z0-9._-]*$/.test(name))
      throw new BuildError(
        from.where,
        `invalid name for build stage: "${match[2]}", name can't start with a number or contain symbols`,
      );
    return { name, from: { ...from, text: match[1]! }, steps: [] };
  }

  /** Runs `work`; what goes wrong in it is said with the place. */
  guard<T>(where: string, work: () => T): T {
    const fail = (error: unknown): never => {
      const { name, message } = error as Error;
      if (error instanceof BuildError || name === 'AbortError') throw error;
      throw new BuildError(where, message);
    };
    try {
      const result = work();
      return result instanceof Promise ? (result.catch(fail) as T) : result;
    } catch (error) {
      return fail(error);
    }
  }

  async run(): Promise<Stage> {
    const { target } = this.options;
    const plan =
      target === undefined || target === '' ? this.#plans.at(-1) : this.#find(target, this.#plans.length);
    if (!plan) throw new ImageError('NotFound', `target stage "${target}" could not be found`);
    return this.#build(plan);
  }

  #find(name: string, before: number): StagePlan | undefined {
    const index = /^\d+$/.test(name)
      ? Number(name)
      : this.#plans.findLastIndex((plan, i) => i < before && plan.name === name.toLowerCase());
    return index < before ? this.#plans[index] : undefined;
  }

  #build(plan: StagePlan): Promise<Stage> {
    plan.built ??= this.#start(plan);
    return plan.built;
  }

  async #start(plan: StagePlan): Promise<Stage> {
    const { from, name, steps } = plan;
    const wanted = this.guard(from.where, () => expandWord(from.text, this.#globals));
    if (!wanted) throw new BuildError(from.where, `base name (${from.text}) should not be blank`);
    for (const [flag, value] of from.flags) this.#checkPlatform(from.where, flag, value);
    const index = this.#plans.indexOf(plan);
    const earlier = /^\d+$/.test(wanted) ? undefined : this.#find(wanted, index);
    const base = earlier ? await this.#build(earlier) : undefined;
    const count = steps.length + 1;
    this.options.output(`[${name} 1/${count}] FROM ${wanted}\n`);
    const image =
      base || wanted === 'scratch' ? undefined : await this.guard(from.where, () => this.image(wanted));
    const stage = new StageBuilder(this, { name, index });
    if (base) stage.continue(base);
    else if (image) await this.guard(from.where, () => stage.startFrom(image));
    for (const trigger of stage.takeTriggers(from.where))
      await this.guard(from.where, () => stage.step(trigger, 'ONBUILD'));
    for (const [i, step] of steps.entries())
      await this.guard(step.where, () => stage.step(step, `${i + 2}/${count}`));
    return stage.result();
  }

  #checkPlatform(where: string, flag: string, value: string): void {
    if (flag !== 'platform') throw new BuildError(where, `unknown flag: --${flag}`);
    const wanted = this.guard(where, () => expandWord(value, this.#globals));
    const own = this.args.global.get('BUILDPLATFORM');
    if (wanted !== own && !wanted.startsWith(`${own}/`))
      throw new BuildError(where, `this machine builds for ${own} only, not for ${wanted}`);
  }

  /** From the node, or pulled. */
  async image(name: string): Promise<Image> {
    const { store, pull, signal } = this.options;
    const here = store.find(name);
    return here && !pull ? here : store.pull(name, { signal });
  }

  /** What `--from` means in a stage. */
  async source(name: string, index: number): Promise<CopySource> {
    const plan = this.#find(name, index);
    if (plan) {
      const { folders, key } = await this.#build(plan);
      return layersSource(folders, key, `the stage ${plan.name}`);
    }
    if (/^\d+$/.test(name)) throw new Error(`invalid stage ${name}: it is to be an earlier one`);
    const { layers, id } = await this.image(name);
    return layersSource(layers, id, `the image ${name}`);
  }
}

/** `name` or `name=value`. */
export function split(word: string): [string, string?] {
  const equals = word.indexOf('=');
  return equals < 0 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}

export const keyOf = (...parts: unknown[]): string => sha256(JSON.stringify(parts));
