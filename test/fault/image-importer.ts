/** A process that imports and removes an image until it is killed, for `image-kill.test.ts`. */
import { writeSync } from 'node:fs';
import { openImageStore } from '../../src/runtime/images/index.js';

const [dir, archive] = process.argv.slice(2);
const store = await openImageStore({ dir: dir! });
for (let n = 0; ; n++) {
  writeSync(1, `${n}\n`);
  await store.import(archive!, 'one');
  await store.remove('one');
}
