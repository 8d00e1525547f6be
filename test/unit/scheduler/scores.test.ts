/** Score plugins, and which node wins. */
import assert from 'node:assert/strict';
import type { Node, Pod } from '#types';
import { feasibleEnough, findNode } from '../../../src/scheduler/algorithm.js';
import type { ScorePlugin } from '../../../src/scheduler/framework.js';
import { imageLocality } from '../../../src/scheduler/plugins/image-locality.js';
import { nodeAffinity } from '../../../src/scheduler/plugins/node-affinity.js';
import { balancedAllocation, nodeResourcesFit } from '../../../src/scheduler/plugins/resources.js';
import { taintToleration } from '../../../src/scheduler/plugins/taints.js';
import { podTopologySpread } from '../../../src/scheduler/plugins/topology-spread.js';

import { cacheOf, cycleOf, node, pod } from './objects.js';

function scores(plugin: ScorePlugin, p: Pod, ...nodes: [Node, ...Pod[]][]): number[] | undefined {
  const cache = cacheOf(...nodes);
  return plugin.score(cycleOf(p, cache), cache.nodes);
}

const small = (name: string) => node(name, { allocatable: { cpu: '4', memory: '4Gi', pods: '110' } });

describe('scheduler scores', () => {
  it('LeastAllocated prefers the emptier node', () =>
    assert.deepEqual(
      scores(
        nodeResourcesFit,
        pod({ requests: { cpu: '1', memory: '1Gi' } }),
        [small('a')],
        [small('b'), pod({ requests: { cpu: '2', memory: '1Gi' } })],
      ),
      [75, 37],
    ));

  it('LeastAllocated counts pods without requests as 100m and 200Mi', () =>
    // 2 × 100m of 4 CPUs: 95; 2 × 200Mi of 4Gi: 90.
    assert.deepEqual(scores(nodeResourcesFit, pod(), [small('a'), pod()]), [92]));

  it('BalancedAllocation prefers even use, and abstains for pods without requests', () => {
    assert.deepEqual(
      scores(
        balancedAllocation,
        pod({ requests: { cpu: '1', memory: '1Gi' } }),
        [small('a')],
        [small('b'), pod({ requests: { cpu: '2' } })],
      ),
      [100, 75],
    );
    assert.equal(scores(balancedAllocation, pod(), [small('a')]), undefined);
  });

  it('TaintToleration avoids PreferNoSchedule', () =>
    assert.deepEqual(
      scores(
        taintToleration,
        pod(),
        [node('a', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } })],
        [node('b')],
      ),
      [0, 100],
    ));

  it('NodeAffinity adds up the weights of what is preferred', () => {
    const prefer = (weight: number, value: string) => ({
      weight,
      preference: { matchExpressions: [{ key: 'zone', operator: 'In', values: [value] }] },
    });
    const spec = {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            prefer(20, 'x'),
            prefer(80, 'y'),
            { weight: 90, preference: {} },
          ],
        },
      },
    };
    assert.deepEqual(
      scores(
        nodeAffinity,
        pod({ spec }),
        [node('a', { labels: { zone: 'x' } })],
        [node('b', { labels: { zone: 'y' } })],
        [node('c')],
      ),
      [25, 100, 0],
    );
  });

  it('ImageLocality prefers the node that has the image', () => {
    const images = [{ names: ['app:latest'], sizeBytes: 500 * 1024 * 1024 }];
    const result = scores(imageLocality, pod(), [node('a', { images })], [node('b')]);
    assert.ok(result![0]! > result![1]!, String(result));
    assert.equal(scores(imageLocality, pod(), [node('a')]), undefined);
  });

  it('PodTopologySpread puts pods of one owner on different nodes and zones', () => {
    const zone = (name: string, z: string) => node(name, { labels: { 'topology.kubernetes.io/zone': z } });
    const result = scores(
      podTopologySpread,
      pod({ owner: 'rs' }),
      [zone('a', 'x'), pod({ owner: 'rs' })],
      [zone('b', 'x')],
      [zone('c', 'y'), pod({ owner: 'other' })],
    )!;
    assert.ok(result[2]! > result[1]! && result[1]! > result[0]!, String(result));
  });

  it('together spread replicas evenly', () => {
    const cache = cacheOf([node('a')], [node('b')], [node('c')]);
    let start = 0;
    for (let i = 0; i < 9; i++) {
      const cycle = cycleOf(pod({ owner: 'rs' }), cache);
      const placed = findNode(cycle, start, Math.random);
      start = placed.next;
      cache.assume(cycle.pod, placed.node!.name);
    }
    assert.deepEqual(
      cache.nodes.map(({ pods }) => pods.size),
      [3, 3, 3],
    );
  });

  it('are taken of all nodes of a small cluster, and of a share of a large one', () => {
    assert.deepEqual([1, 99, 100, 1000, 6000].map(feasibleEnough), [1, 99, 100, 420, 300]);
  });
});
