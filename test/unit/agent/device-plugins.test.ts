import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { DevicePlugins } from '../../../src/agent/devices/device-plugins.js';
import { TestDevicePlugin } from '../../fixtures/device-plugin.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

const RESOURCE = 'test.dev/x';
const GRACE_MS = 5 * 60_000;

/** On real sockets; only time is not real. */
describe('a device plugin that has gone', () => {
  let root: string;
  let clock: FakeClock;
  let plugins: DevicePlugins;
  let plugin: TestDevicePlugin;
  let told: () => void;
  const changed = () =>
    new Promise<void>((resolve) => {
      told = resolve;
    });
  const amounts = () => {
    const { capacity, allocatable } = plugins.amounts();
    return `${allocatable[RESOURCE]} of ${capacity[RESOURCE]}`;
  };
  const register = async () => {
    const news = changed();
    await plugin.serve();
    await plugin.register();
    await news;
  };
  const leave = async () => {
    const news = changed();
    plugin.stop();
    await news;
  };

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'keelson-test-dp-'));
    mkdirSync(join(root, 'plugins_registry'));
    clock = new FakeClock();
    told = () => {};
    plugins = new DevicePlugins({
      ...{ dir: join(root, 'device-plugins'), clock, logger: pino({ level: 'silent' }) },
      changed: () => told(),
    });
    await plugins.start();
    plugin = new TestDevicePlugin({ resource: RESOURCE, root, node: '/dev/null', ids: ['a', 'b'] });
    await register();
  });
  afterEach(async () => {
    plugin.stop();
    await plugins.close();
    rmSync(root, { recursive: true });
  });

  it('is told with none for five minutes, then as nothing', async () => {
    assert.equal(amounts(), '2 of 2');
    await leave();
    clock.advance(GRACE_MS - 1000);
    assert.equal(amounts(), '0 of 2');
    clock.advance(1000);
    assert.equal(amounts(), '0 of 0');
  });

  it('goes on when it comes back', async () => {
    await leave();
    await register();
    clock.advance(GRACE_MS);
    assert.equal(amounts(), '2 of 2');
  });

  it('gives way to one that registers after it', async () => {
    const before = plugin;
    plugin = new TestDevicePlugin({ resource: RESOURCE, root, node: '/dev/null', ids: ['c'] });
    await register();
    before.stop();
    assert.equal(amounts(), '1 of 1');
  });
});
