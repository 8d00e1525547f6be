// Runs the test suites, one mocha process a suite, and closes with `N passed, N failed`.
//   test.mjs [suite or test file …] [-- mocha arguments]
// When a few tests alone fail, their files are run once more by themselves, when the rest is done and the machine is
// quiet: what passes then counts as passed and is named as unsteady.
// A guard process cleans up what the tests registered (test/fixtures/registry.ts) even when this one is killed.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SUITES = [
  { name: 'unit', needsRoot: false },
  { name: 'integration', needsRoot: true },
  { name: 'fault', needsRoot: true },
];

const args = process.argv.slice(2);
const dashes = args.indexOf('--');
const mochaArgs = dashes < 0 ? [] : args.splice(dashes).slice(1);
const isRoot = process.getuid() === 0;

/** More failures than these are no accident of one moment, and are not tried again. */
const UNSTEADY_AT_MOST = 3;

const records = mkdtempSync(join(tmpdir(), 'keelson-test-'));
const registry = join(records, 'registry');
const failures = join(records, 'failures');
const guard = spawn(process.execPath, [join(root, 'dist/test/fixtures/guard.js'), registry], {
  detached: true,
  stdio: ['pipe', 'inherit', 'inherit'],
});
guard.stdin.on('error', () => undefined);

const totals = { passing: 0, failing: 0, pending: 0 };
let failed = false;
/** Whether a mocha process ended otherwise than by telling its failures. */
let crashed = false;

/** Runs mocha over `files` and shows its output. Resolves to its summary: `{ passing, failing, pending, code }`. */
function runMocha(files) {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        '--enable-source-maps',
        join(root, 'node_modules/mocha/bin/mocha.js'),
        '--exit',
        '--timeout',
        '60000',
        '--reporter',
        join(root, 'src/build/reporter.cjs'),
        ...mochaArgs,
        ...files,
      ],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, KEELSON_TEST_REGISTRY: registry, KEELSON_TEST_FAILURES: failures },
      },
    );
    let tail = '';
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      tail = (tail + chunk).slice(-1_000_000);
    });
    child.on('close', (code) => {
      const summary = { code };
      for (const key of Object.keys(totals)) {
        const counts = [...tail.matchAll(new RegExp(`^\\s+(\\d+) ${key}`, 'gm'))];
        summary[key] = Number(counts.at(-1)?.[1] ?? 0);
      }
      resolve(summary);
    });
  });
}

/** What failed since the last call. */
function takeFailures() {
  if (!existsSync(failures)) return [];
  const lines = readFileSync(failures, 'utf8').trim().split('\n');
  rmSync(failures);
  return lines.map((line) => JSON.parse(line));
}

/** Runs the files of what is unsteady once more, and corrects the totals by what passes then. */
async function tryAgain(unsteady) {
  const files = [...new Set(unsteady.map(({ file }) => file))];
  process.stdout.write(`\n== again, alone: ${files.map((file) => relative(root, file)).join(' ')}\n`);
  const { code } = await runMocha(files);
  const still = takeFailures().map(({ title }) => title);
  const mended = unsteady.filter(({ title }) => !still.includes(title));
  for (const { title } of mended) process.stdout.write(`unsteady (passed only when run again): ${title}\n`);
  totals.passing += totals.failing - still.length;
  totals.failing = still.length;
  failed = code !== 0;
}

const wanted = args.length > 0 ? args : SUITES.map((s) => s.name);
for (const name of wanted) {
  const suite = SUITES.find((s) => s.name === name);
  if (suite?.needsRoot && !isRoot) {
    process.stdout.write(`\nThe ${name} suite needs root and was left out.\n`);
    continue;
  }
  process.stdout.write(`\n== ${name}\n`);
  const { code, ...counts } = await runMocha(
    suite
      ? [`dist/test/${name}/**/*.test.js`]
      : [name.replace(/\.ts$/, '.js').replace(/^test\//, 'dist/test/')],
  );
  for (const key of Object.keys(totals)) totals[key] += counts[key];
  failed ||= code !== 0;
  crashed ||= code !== counts.failing;
}

const unsteady = takeFailures();
if (args.length === 0 && !crashed && unsteady.length > 0 && unsteady.length <= UNSTEADY_AT_MOST)
  await tryAgain(unsteady);

const guarded = new Promise((resolve) => guard.on('exit', resolve));
guard.stdin.end();
failed ||= (await guarded) !== 0;

const skipped = totals.pending > 0 ? `, ${totals.pending} skipped` : '';
process.stdout.write(`\n${totals.passing} passed, ${totals.failing} failed${skipped}\n`);
process.exit(failed ? 1 : 0);
