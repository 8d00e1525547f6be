import { pods, startCluster } from 'keelson';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

let cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
}, 30_000);
afterAll(() => cluster?.close());

test('a pod runs', async () => {
  const client = cluster.client.of(pods);
  await client.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'hello', namespace: 'default' },
    spec: { containers: [{ name: 'hello', image: 'keelson.dev/demo:blue' }] },
  });
  await vi.waitFor(async () => expect((await client.get('default', 'hello')).status?.phase).toBe('Running'), 10_000);
}, 20_000);
