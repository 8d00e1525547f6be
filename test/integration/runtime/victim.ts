/** A process to be killed: starts a container in the folders of its parent's fixture, and tells of it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { createRuntime } from '../../../src/runtime/index.js';
import type { ImageStore } from '../../../src/runtime/types.js';
import { containerConfig, SHIM, sandboxConfig } from './fixture.js';

const dir = process.argv[2]!;
const layers = readdirSync(join(dir, 'image')).map((name) => join(dir, 'image', name));
const runtime = await createRuntime({
  cluster: 'test',
  node: 'node',
  stateDir: join(dir, 'run'),
  dataDir: join(dir, 'data'),
  cgroupRoot: process.env.KEELSON_TEST_CGROUP!,
  images: { get: () => ({ layers }) } as unknown as ImageStore,
  shimPath: SHIM,
  logLinkDir: join(dir, 'links'),
  logger: pino({ level: 'silent' }),
});
await runtime.createSandbox(sandboxConfig(dir, 'pod-of-the-victim'));
process.send!(await runtime.startContainer(containerConfig('pod-of-the-victim', ['sleep', '1000'], 0)));
