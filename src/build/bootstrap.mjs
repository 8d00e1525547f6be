// From a fresh clone to a command that runs: prerequisites, `npm ci`, build, each only when stale.
//   bootstrap.mjs <keelson arguments>   runs the CLI
//   bootstrap.mjs --build-only | --test [mocha arguments] | --bench [arguments]
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStale, markFresh } from './stale.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const args = process.argv.slice(2);
const mode =
  args[0]?.startsWith('--') && ['--build-only', '--test', '--bench'].includes(args[0]) ? args.shift() : 'cli';

function run(command, argv, options = {}) {
  const result = spawnSync(command, argv, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function fail(message) {
  process.stderr.write(`keelson: ${message}\n`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: 20.19 or newer is needed.`);

/** Whether the tests that are asked for have the dashboard's among them. */
function needsBrowser() {
  if (mode !== '--test') return false;
  const wanted = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  return wanted.length === 0 || wanted.some((name) => name === 'integration' || name.includes('dashboard'));
}

function setUp() {
  const test = mode === '--test' || mode === '--bench';
  run('sh', ['src/build/prerequisites.sh', test ? 'test' : 'run', ...(needsBrowser() ? ['browser'] : [])]);
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed) || isStale(root, 'install')) {
    process.stdout.write('Installing npm packages\n');
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
    markFresh(root, 'install');
  }
  run(process.execPath, ['src/build/build.mjs']);
}

// `down` of an installed tree needs no set-up; everything else does.
if (!(mode === 'cli' && args[0] === 'down' && existsSync(join(root, 'dist/src/cli/main.js')))) setUp();

if (mode === '--test') run(process.execPath, ['src/build/test.mjs', ...args]);
else if (mode === '--bench') run(process.execPath, ['dist/bench/main.js', ...args]);
else if (mode === 'cli') {
  // Ctrl-C is the command's, which may have things to take away; this process ends with it.
  process.on('SIGINT', () => undefined);
  const main = join(root, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin.keelson);
  run(process.execPath, [main, ...args]);
}
