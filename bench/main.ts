/** `npm run bench -- [group…] [--json]`: measures one group after the other, each with a cluster of its own. */
import { chosen, GROUPS } from './groups.js';
import { type Result, table } from './report.js';
import { Skipped } from './tools.js';

const argv = process.argv.slice(2);
const json = argv.includes('--json');
const say = (text: string) => process.stderr.write(`${text}\n`);
const results: (Result & { group: string })[] = [];
let failed = false;

if (process.getuid?.() !== 0) throw new Error('The benchmark needs root: it runs pods.');
for (const group of chosen(argv.filter((name) => !name.startsWith('--')))) {
  say(`Measuring ${group}`);
  try {
    for (const result of await GROUPS[group]!()) results.push({ group, ...result });
  } catch (error) {
    if (!(error instanceof Skipped)) failed = true;
    say(`${group}: ${error instanceof Skipped ? `left out, ${error.message}` : (error as Error).stack}`);
  }
}
process.stdout.write(json ? `${JSON.stringify({ results }, null, 2)}\n` : table(results));
if (failed) process.exitCode = 1;
