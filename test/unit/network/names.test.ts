import assert from 'node:assert/strict';
import { bridgeMac, bridgeName, podMac, routePriority, vethName } from '../../../src/network/names.js';
import { tableRules, tablesOf } from '../../../src/network/nftables.js';

describe('names of kernel objects', () => {
  it('fit into fifteen characters and differ between clusters', () => {
    assert.equal(bridgeName('default'), 'kl-default');
    const long = 'a-cluster-with-a-long-name';
    assert.equal(bridgeName(long).length, 15);
    assert.notEqual(bridgeName(long), bridgeName(`${long}2`));
    assert.equal(vethName('default', '8f14e45f-ceea-467f-a0e6-d1d4e4a9a2f1').length, 15);
    assert.notEqual(vethName('a', 'x'), vethName('b', 'x'));
    assert.notEqual(routePriority('a'), routePriority('b'));
  });

  it('are local unicast addresses, the same for the same pod address', () => {
    assert.equal(podMac('10.244.0.17'), '0a:58:0a:f4:00:11');
    assert.match(bridgeMac('default'), /^0a:4b(:[0-9a-f]{2}){4}$/);
  });
});

describe('the nftables table', () => {
  it('masquerades only what leaves the cluster', () => {
    const podCidrs = ['10.1.2.0/24', 'fd00:2::/64'];
    const clusterCidrs = ['10.1.0.0/16', 'fd00::/56'];
    const [ipv4, ipv6] = tablesOf({ cluster: 'c', podCidrs, clusterCidrs }).map(tableRules);
    assert.match(ipv4!, /postrouting ip saddr 10\.1\.2\.0\/24 ip daddr != 10\.1\.0\.0\/16 masquerade/);
    assert.match(ipv4!, /add table inet keelson-c\n/);
    assert.match(ipv6!, /postrouting ip6 saddr fd00:2::\/64 ip6 daddr != fd00::\/56 masquerade/);
    assert.match(ipv6!, /add table ip6 keelson-c\n/);
  });
});
