import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder, makeFolderSync } from '../../../src/runtime/make-folder.js';

describe('making folders', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-folders-'));
    writeFileSync(join(dir, 'file'), '');
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  for (const [name, make] of [
    ['makeFolder', makeFolder],
    ['makeFolderSync', async (path: string, mode?: number) => makeFolderSync(path, mode)],
  ] as const) {
    it(`${name} makes what is missing above, once`, async () => {
      const path = join(dir, name, 'b', 'c');
      await make(path, 0o700);
      await make(path);
      for (const made of [path, join(dir, name)]) assert.equal(statSync(made).mode & 0o777, 0o700);
    });

    it(`${name} tells what is in the way`, async () => {
      await assert.rejects(make(join(dir, 'file')), { code: 'EEXIST' });
      await assert.rejects(make(join(dir, 'file', 'a')), { code: 'ENOTDIR' });
      await assert.rejects(make('/proc/none/a'), { code: 'ENOENT', path: '/proc/none' });
    });
  }
});
