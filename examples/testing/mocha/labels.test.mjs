import assert from 'node:assert/strict';
import { configMaps, startCluster } from 'keelson';

describe('a controller', () => {
  let cluster;
  before(async function () {
    this.timeout(30_000);
    cluster = await startCluster();
  });
  after(() => cluster?.close());

  it('finds its objects by label', async () => {
    const client = cluster.client.of(configMaps);
    const metadata = { name: 'settings', namespace: 'default', labels: { app: 'mine' } };
    await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { colour: 'blue' } });
    const { items } = await client.list({ namespace: 'default', labelSelector: 'app=mine' });
    assert.deepEqual(
      items.map(({ data }) => data),
      [{ colour: 'blue' }],
    );
  });
});
