/** docs/compatibility.md tells what is served. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

describe('docs/compatibility.md', () => {
  it('is what npm run docs writes', () => {
    const script = join(process.cwd(), 'src/build/compatibility.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });
});
