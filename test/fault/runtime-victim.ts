/** A process to be killed: makes pods of two containers until then, in the folders of its parent's fixture. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { createRuntime } from '../../src/runtime/index.js';
import type { ImageStore } from '../../src/runtime/types.js';
import { containerConfig, SHIM, sandboxConfig } from '../integration/runtime/fixture.js';

const [dir = '', mark = ''] = process.argv.slice(2);
const layers = readdirSync(join(dir, 'image')).map((name) => join(dir, 'image', name));
const runtime = await createRuntime({
  cluster: 'test',
  node: 'node',
  stateDir: join(dir, 'run'),
  dataDir: join(dir, 'data'),
  cgroupRoot: process.env['KEELSON_TEST_CGROUP']!,
  images: { get: () => ({ layers }) } as unknown as ImageStore,
  shimPath: SHIM,
  logLinkDir: join(dir, 'links'),
  logger: pino({ level: 'silent' }),
});
process.send!('ready');
for (let i = 0; ; i++) {
  await runtime.createSandbox(sandboxConfig(dir, `victim-${i}`));
  for (const attempt of [0, 1])
    await runtime.startContainer(containerConfig(`victim-${i}`, ['sleep', mark], attempt));
}
