// Runs the test suites, one mocha process a suite, and closes with `N passed, N failed`.
//   test.mjs [suite or test file …] [-- mocha arguments]
// A guard process cleans up what the tests registered (test/fixtures/registry.ts) even when this one is killed.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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

const registry = join(mkdtempSync(join(tmpdir(), 'keelson-test-')), 'registry');
const guard = spawn(process.execPath, [join(root, 'dist/test/fixtures/guard.js'), registry], {
  detached: true,
  stdio: ['pipe', 'inherit', 'inherit'],
});
guard.stdin.on('error', () => undefined);

const totals = { passing: 0, failing: 0, pending: 0 };
let failed = false;

/** Runs mocha over `files`, shows its output, and adds up its summary. */
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
        ...mochaArgs,
        ...files,
      ],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, KEELSON_TEST_REGISTRY: registry },
      },
    );
    let tail = '';
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      tail = (tail + chunk).slice(-1_000_000);
    });
    child.on('close', (code) => {
      for (const key of Object.keys(totals)) {
        const counts = [...tail.matchAll(new RegExp(`^\\s+(\\d+) ${key}`, 'gm'))];
        totals[key] += Number(counts.at(-1)?.[1] ?? 0);
      }
      failed ||= code !== 0;
      resolve();
    });
  });
}

const wanted = args.length > 0 ? args : SUITES.map((s) => s.name);
for (const name of wanted) {
  const suite = SUITES.find((s) => s.name === name);
  if (suite?.needsRoot && !isRoot) {
    process.stdout.write(`\nThe ${name} suite needs root and was left out.\n`);
    continue;
  }
  process.stdout.write(`\n== ${name}\n`);
  await runMocha(
    suite
      ? [`dist/test/${name}/**/*.test.js`]
      : [name.replace(/\.ts$/, '.js').replace(/^test\//, 'dist/test/')],
  );
}

const guarded = new Promise((resolve) => guard.on('exit', resolve));
guard.stdin.end();
failed ||= (await guarded) !== 0;

const skipped = totals.pending > 0 ? `, ${totals.pending} skipped` : '';
process.stdout.write(`\n${totals.passing} passed, ${totals.failing} failed${skipped}\n`);
process.exit(failed ? 1 : 0);
