import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeNodePort, NodePortUsers } from '../../../src/apiserver/admission/node-ports.js';
import { openLevelStore, type Store } from '../../../src/store/index.js';

describe('ports of nodes', () => {
  const range = (from: number, size: number) => ({ from, to: from + size - 1 });

  for (const [title, size, taken, random, expected] of [
    ['upper part first', 2768, 0, 0, 86],
    ['upper part to its end', 2768, 0, 0.99999, 2767],
    ['lower part last', 2768, 2768 - 86, 0, 0],
    ['a small range as a whole', 16, 0, 0, 0],
    ['at least 16 are kept', 100, 0, 0, 16],
    ['at most 128 are kept', 30_000, 0, 0, 128],
    ['all are taken', 100, 100, 0, undefined],
  ] as const)
    it(`given next: ${title}`, () => {
      const isTaken = (port: number) => port - 1000 >= size - taken;
      const port = freeNodePort(range(1000, size), isTaken, () => random);
      assert.equal(port, expected === undefined ? undefined : 1000 + expected);
    });

  it('are known as the stored Services have them', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'keelson-test-ports-'));
    const store = await openLevelStore(join(dir, 'db'), { windowRevisions: 4 });
    try {
      const users = new NodePortUsers(store);
      await put(store, 'a', 30_001, 30_002);
      await users.refresh();
      assert.deepEqual(used(users), [30_001, 30_002]);
      assert.equal(users.isUsed(30_001, 'ns/a'), false);
      assert.equal(users.isUsed(30_001, 'ns/b'), true);
      await put(store, 'a', 30_002, 30_003);
      await put(store, 'b', 30_003);
      await users.refresh();
      assert.deepEqual(used(users), [30_002, 30_003]);
      assert.equal(users.isUsed(30_003, 'ns/a'), true);
      await put(store, 'a');
      await users.refresh();
      assert.deepEqual(used(users), [30_003]);
      // More than the store remembers.
      for (let port = 30_004; port < 30_024; port++) await put(store, 'c', port);
      await store.compact(store.revision);
      await users.refresh();
      assert.deepEqual(used(users), [30_003, 30_023]);
    } finally {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  const used = (users: NodePortUsers) =>
    Array.from({ length: 100 }, (_, i) => 30_000 + i).filter((port) => users.isUsed(port));

  /** A Service with these node ports, the last as its health check's; without any it is removed. */
  async function put(store: Store, name: string, ...ports: number[]): Promise<void> {
    const metadata = { namespace: 'ns', name };
    const healthCheckNodePort = ports.pop();
    const spec = { ports: ports.map((nodePort) => ({ port: 80, nodePort })), healthCheckNodePort };
    const object = healthCheckNodePort ? { apiVersion: 'v1', kind: 'Service', metadata, spec } : null;
    await store.commit([{ key: `core/services/ns/${name}`, object: object as never }]);
  }
});
