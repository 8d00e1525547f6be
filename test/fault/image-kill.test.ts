/** An import or removal that is killed leaves either the whole image or none, and nothing of it on disk for good. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { lookInto, makeLayout, openStore, temporaryFolder } from '../integration/images/fixture.js';

const IMPORTER = fileURLToPath(new URL('./image-importer.js', import.meta.url));
const KILLS = 12;

describe('a killed import', function () {
  this.timeout(30_000);
  let dir: string;
  before(() => {
    dir = temporaryFolder('image-kill');
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('leaves nothing that the next agent does not clean up', async () => {
    const layout = await makeLayout(dir);
    const root = join(dir, 'store');
    for (let i = 0; i < KILLS; i++) {
      const child = spawn(process.execPath, [IMPORTER, root, layout], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const closed = once(child, 'close');
      await once(child.stdout, 'data');
      await sleep(i * 9);
      child.kill('SIGKILL');
      await closed;
      assert.equal(child.signalCode, 'SIGKILL');
      const store = await openStore(root);
      const image = store.find('one');
      assert.deepEqual(readdirSync(join(root, 'tmp')), []);
      const used = new Set(store.list().flatMap((found) => found.layers));
      if (image) assert.equal(await lookInto(image, 'cat opt/new; ls etc | wc -l'), 'new\n3\n');
      const layers = readdirSync(join(root, 'layers')).map((name) => join(root, 'layers', name));
      assert.ok(layers.every((path) => used.has(path) || !image));
      const [again] = await store.import(layout, 'one');
      assert.equal(await lookInto(again!, 'cat opt/new'), 'new\n');
      await store.remove('one');
      assert.deepEqual(readdirSync(join(root, 'layers')), []);
      await store.close();
    }
  });
});
