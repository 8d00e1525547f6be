import assert from 'node:assert/strict';
import { nodeBridgeName, nodeLinkName, nodeTableName } from '../../../src/network/names.js';
import { createNodeNetwork } from '../../../src/network/node-network.js';

describe('the network of nodes on one machine', () => {
  const network = createNodeNetwork({
    cluster: 'c',
    nodeCidrs: ['10.180.0.0/29', 'fd00:10:180::/64'],
    clusterCidrs: ['10.244.0.0/16', 'fd00:10:244::/56'],
  });

  it('gives the first address to the bridge and the others to nodes', () => {
    assert.equal(network.gateway, '10.180.0.1');
    assert.deepEqual(network.addresses(0), ['10.180.0.2', 'fd00:10:180::2']);
    assert.deepEqual(network.addresses(4), ['10.180.0.6', 'fd00:10:180::6']);
    assert.throws(() => network.addresses(5), /10\.180\.0\.0\/29 has no room for another node/);
  });

  it('names links so that the kernel takes them, apart for each cluster and node', () => {
    for (const cluster of ['a', 'a-cluster-with-a-long-name-of-32-c']) {
      assert.ok(nodeBridgeName(cluster).length <= 15);
      assert.ok(nodeLinkName(cluster, 'node-1').length <= 15);
    }
    const names = ['a', 'b'].flatMap((c) => ['node-1', 'node-2'].map((node) => nodeLinkName(c, node)));
    assert.equal(new Set(names).size, 4);
    assert.notEqual(nodeTableName('a'), nodeTableName('b'));
  });
});
