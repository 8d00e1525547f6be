import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import { type KeepDeps, keep } from '../../../src/apiserver/keep.js';
import { openLevelStore, type Store } from '../../../src/store/index.js';
import { FakeClock } from '../../fixtures/fake-clock.js';
import { quiet } from './harness.js';

const KEYS = ['a/one', 'b/one'];

describe('what the cluster keeps', () => {
  let dir: string;
  let store: Store;
  let closing: AbortController;
  let clock: FakeClock;
  let keeping: Promise<void>;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-keep-'));
    store = await openLevelStore(join(dir, 'db'));
    closing = new AbortController();
    clock = new FakeClock();
  });
  afterEach(async () => {
    closing.abort();
    await keeping;
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one' } } as KubeObject;
  const put = async () => {
    const missing = KEYS.filter((key) => store.get(key) === undefined);
    await store.commit(missing.map((key) => ({ key, object, expected: 0 })));
  };
  const remove = (key: string) => store.commit([{ key, object: null }]);
  const begin = (ensure: () => Promise<void>) => {
    const deps: KeepDeps = { store, clock, logger: quiet, closing: closing.signal };
    keeping = keep(KEYS, ensure, deps);
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  };
  const isWhole = () => KEYS.every((key) => store.get(key) !== undefined);

  it('comes back, one after the other and at once', async () => {
    begin(put);
    await until(isWhole);
    for (const key of KEYS) await remove(key);
    await until(isWhole);
    await Promise.all(KEYS.map(remove));
    await until(isWhole);
  });

  it('comes back after an attempt that fails', async () => {
    let failures = 0;
    await put();
    begin(async () => {
      if (failures++ < 2) throw new Error('not now');
      await put();
    });
    await remove(KEYS[1]!);
    for (const attempt of [1, 2]) {
      await until(() => failures === attempt && clock.timers === 1);
      clock.advance(1000);
    }
    await until(isWhole);
    assert.equal(failures, 3);
  });
});
