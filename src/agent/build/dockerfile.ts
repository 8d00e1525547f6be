/** Reads Dockerfiles: https://docs.docker.com/reference/dockerfile/ */
import { BuildError } from './error.js';

export interface Heredoc {
  name: string;
  content: string;
  /** Variables in it are replaced. */
  expand: boolean;
}

export interface Instruction {
  /** Upper case. */
  name: string;
  /** `--from=x` is `['from', 'x']`; a flag without a value has ''. */
  flags: [string, string][];
  /** What follows the flags, joined to one line. */
  text: string;
  heredocs: Heredoc[];
  /** `<file>:<line>` of its first line. */
  where: string;
}

const KNOWN = new Set(
  'FROM RUN CMD LABEL MAINTAINER EXPOSE ENV ADD COPY ENTRYPOINT VOLUME USER WORKDIR ARG ONBUILD STOPSIGNAL HEALTHCHECK SHELL'.split(
    ' ',
  ),
);
const HEREDOC = /<<(-?)(["']?)([A-Za-z_][\w.]*)\2/g;

export interface Dockerfile {
  instructions: Instruction[];
  /** Of variables and line ends: `\` or a backquote. */
  escape: string;
}

/** @throws BuildError with file and line. */
export function parseDockerfile(text: string, file: string): Dockerfile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const escapeMark = escapeDirective(lines, file);
  const instructions: Instruction[] = [];
  for (let at = 0; at < lines.length; ) {
    const where = `${file}:${at + 1}`;
    const line = lines[at++]!;
    if (/^\s*(#|$)/.test(line)) continue;
    let whole = line;
    const continued = new RegExp(`${escapeMark === '\\' ? '\\\\' : escapeMark}[ \\t]*$`);
    while (continued.test(whole)) {
      whole = whole.replace(continued, '');
      // Comments and empty lines within an instruction do not end it.
      while (at < lines.length && /^\s*(#|$)/.test(lines[at]!)) at++;
      if (at >= lines.length) break;
      whole += lines[at++]!;
    }
    const instruction = parseInstruction(whole.trim(), where);
    const inner = /^[a-z]+/i.exec(instruction.name === 'ONBUILD' ? instruction.text : instruction.name)?.[0];
    if (['RUN', 'COPY', 'ADD'].includes(inner?.toUpperCase() ?? ''))
      for (const [, dash, quote, name] of instruction.text.matchAll(HEREDOC)) {
        const content: string[] = [];
        const strip = (text: string) => (dash ? text.replace(/^\t+/, '') : text);
        while (at < lines.length && strip(lines[at]!) !== name) content.push(strip(lines[at++]!));
        if (at++ >= lines.length) throw new BuildError(where, `the here-document ${name} has no end`);
        const body = content.map((row) => `${row}\n`).join('');
        instruction.heredocs.push({ name: name!, content: body, expand: !quote });
      }
    instructions.push(instruction);
  }
  if (instructions.length === 0) throw new BuildError(`${file}:1`, 'there is no instruction in it');
  return { instructions, escape: escapeMark };
}

function escapeDirective(lines: string[], file: string): string {
  for (const [i, line] of lines.entries()) {
    const directive = /^\s*#\s*(\w+)\s*=\s*(.+?)\s*$/.exec(line);
    if (!directive) return '\\';
    const [, name = '', value = ''] = directive;
    if (name.toLowerCase() !== 'escape') continue;
    if (value !== '\\' && value !== '`')
      throw new BuildError(`${file}:${i + 1}`, `invalid escape token '${value}' does not match \` or \\`);
    return value;
  }
  return '\\';
}

function parseInstruction(line: string, where: string): Instruction {
  const [word = '', ...rest] = line.split(/\s+/);
  const name = word.toUpperCase();
  if (!KNOWN.has(name)) throw new BuildError(where, `unknown instruction: ${word}`);
  let text = line.slice(word.length).trim();
  const flags: [string, string][] = [];
  if (['FROM', 'RUN', 'COPY', 'ADD', 'HEALTHCHECK'].includes(name))
    for (
      let flag = /^--([a-z-]+)(?:=(\S*))?(\s+|$)/.exec(text);
      flag;
      flag = /^--([a-z-]+)(?:=(\S*))?(\s+|$)/.exec(text)
    ) {
      flags.push([flag[1]!, flag[2] ?? '']);
      text = text.slice(flag[0].length);
    }
  if (rest.length === 0 || text === '') throw new BuildError(where, `${name} requires at least one argument`);
  return { name, flags, text, heredocs: [], where };
}

/** The exec form `["a", "b"]`; undefined for any other text. */
export function jsonForm(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  } catch {
    // As in Docker: then it is a command of the shell.
  }
  return undefined;
}
