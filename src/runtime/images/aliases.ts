/** Image aliases: a YAML file, read again when it changes, says which image serves instead of another. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { normalizePattern, parseReference, type Reference } from './reference.js';
import { parseYaml } from './yaml.js';

export interface AliasRule {
  /** Glob over the whole name; `*` stands for anything. */
  match: string;
  /** May contain {tag}, {name} and {registry}. */
  image: string;
  /** `unreachable`: only when the registry does not answer. `always`: instead of it. */
  when: 'unreachable' | 'always';
  /** Of `match`. */
  pattern: RegExp;
}

const defaultRules: AliasRule[] = [
  rule('gcr.io/kuar-demo/kuard-*:*', 'keelson.dev/demo:{tag}'),
  rule('busybox:*', 'keelson.dev/busybox:latest'),
];

export const defaultAliases = `# Which image serves instead of another. Changes count at once.
#
#   match  a name with tag; * stands for anything. Names are completed as Docker completes them:
#          "busybox:*" means "docker.io/library/busybox:*".
#   image  the image to take; {tag}, {name} (path below the registry) and {registry} are those of the asked one.
#   when   unreachable: only when the registry does not answer; with a network the real image is pulled.
#          always: the registry is not asked.
#
# The images keelson.dev/demo (blue, green, purple, 1, 2, 3, latest) and keelson.dev/busybox are built in.
# To give every alpine image BusyBox's shell as long as there is no network, for example:
#
#   - match: "alpine:*"
#     image: "keelson.dev/busybox:latest"
#     when: unreachable

aliases:
${defaultRules
  .map(({ match, image, when }) => `  - match: "${match}"\n    image: "${image}"\n    when: ${when}\n`)
  .join('')}`;

function rule(match: string, image: string, when: AliasRule['when'] = 'unreachable'): AliasRule {
  return { match, image, when, pattern: compile(match) };
}

/** Throws an Error that says which rule is wrong. */
export function parseAliases(text: string): AliasRule[] {
  if (text === defaultAliases) return defaultRules;
  const document = parseYaml(text) as { aliases?: unknown } | unknown[] | null;
  const rules = Array.isArray(document) ? document : (document?.aliases ?? []);
  if (!Array.isArray(rules)) throw new Error('aliases is not a list');
  return rules.map((given: Partial<AliasRule> | null, i) => {
    if (typeof given?.match !== 'string' || typeof given.image !== 'string')
      throw new Error(`aliases[${i}] needs match and image`);
    const when = given.when ?? 'unreachable';
    if (when !== 'unreachable' && when !== 'always')
      throw new Error(`aliases[${i}].when is neither "unreachable" nor "always"`);
    return rule(given.match, given.image, when);
  });
}

function compile(glob: string): RegExp {
  const parts = normalizePattern(glob)
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}

/** The rule that counts for a name, and the name it leads to; the first that fits wins. */
export function findAlias(rules: AliasRule[], reference: Reference) {
  const name = `${reference.name}:${reference.tag ?? ''}`;
  const found = rules.find(({ pattern }) => pattern.test(name));
  if (!found) return undefined;
  const target = found.image
    .replaceAll('{tag}', reference.tag ?? 'latest')
    .replaceAll('{name}', reference.repository)
    .replaceAll('{registry}', reference.registry);
  return { when: found.when, target: parseReference(target) };
}

export class Aliases {
  private rules: AliasRule[] = [];
  private stamp = '';

  /** Writes the default file when there is none; without a path there are no aliases. */
  constructor(
    private readonly path: string | undefined,
    private readonly logger?: Logger,
  ) {
    if (!path || existsSync(path)) return;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, defaultAliases, { mode: 0o644 });
  }

  find(reference: Reference) {
    this.refresh();
    return findAlias(this.rules, reference);
  }

  /** A file that cannot be read leaves the rules that were. */
  private refresh(): void {
    if (!this.path) return;
    const stat = statSync(this.path, { throwIfNoEntry: false });
    const stamp = stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : '';
    if (stamp === this.stamp) return;
    this.stamp = stamp;
    try {
      this.rules = stat ? parseAliases(readFileSync(this.path, 'utf8')) : [];
    } catch (error) {
      this.logger?.error(
        { path: this.path, error: (error as Error).message },
        'the image aliases cannot be read',
      );
    }
  }
}
