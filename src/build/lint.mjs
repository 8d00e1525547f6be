// Lint: style and format (Biome), types (tsc), and the layers of the design.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forbiddenImports } from './layers.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
if (!existsSync(join(root, 'node_modules')))
  spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, stdio: 'inherit' });
let failed = false;
const check = (command, argv) => {
  const result = spawnSync(join(root, 'node_modules/.bin', command), argv, { cwd: root, stdio: 'inherit' });
  failed ||= result.status !== 0;
};
check('biome', ['check', '--error-on-warnings', '--max-diagnostics=50', '.']);
check('tsc', ['--noEmit']);
check('tsc', ['--noEmit', '-p', 'src/ui']);
for (const line of forbiddenImports(root)) {
  failed = true;
  process.stderr.write(`${line}\n`);
}
process.exit(failed ? 1 : 0);
