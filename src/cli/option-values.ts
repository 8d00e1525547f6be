/** What every option's value must be, whatever its command: given once, not left out, and a number where one is due. */
import { CliError } from './error.js';

const MAX_PORT = 65_535;

/** Names of options by type, with their aliases, as yargs keeps them. */
interface Kinds {
  number?: string[];
  string?: string[];
}

/**
 * `lists`: options that may be given several times. `words`: the command line.
 * @throws CliError (exit code 2) for the first option that is wrong
 */
export function checkOptions(
  values: Record<string, unknown>,
  kinds: unknown,
  lists: ReadonlySet<string>,
  words = process.argv.slice(2),
): true {
  const { number = [], string = [] } = kinds as Kinds;
  requireValues(words, new Set([...number, ...string]));
  for (const [option, value] of Object.entries(values))
    if (Array.isArray(value) && !lists.has(option)) throw wrong(option, 'is given more than once.');
  for (const option of number) {
    const value = values[option];
    if (value === undefined) continue;
    if (!Number.isFinite(value)) throw wrong(option, 'takes a number.');
    if (/(^|-)port$/.test(option) && !isPort(value as number))
      throw wrong(option, `takes a port from 0 to ${MAX_PORT}.`);
  }
  return true;
}

const isPort = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= MAX_PORT;

/** yargs takes the default for an option that the line ends after, or that another option follows. */
function requireValues(words: string[], valued: ReadonlySet<string>): void {
  for (const [i, word] of words.entries()) {
    if (word === '--') return;
    const option = /^--?([a-z][a-z0-9-]*)$/.exec(word)?.[1];
    if (option === undefined || !valued.has(option)) continue;
    const next = words[i + 1];
    if (next === undefined || next.startsWith('--')) throw wrong(option, 'needs a value.');
  }
}

const wrong = (option: string, what: string): CliError =>
  new CliError(`${option.length === 1 ? '-' : '--'}${option} ${what}`, 2);
