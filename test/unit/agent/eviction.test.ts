import assert from 'node:assert/strict';
import type { Pod } from '#types';
import {
  diskExcess,
  evictionMessage,
  type PodUsage,
  ranked,
} from '../../../src/agent/node/eviction/ranking.js';
import { EvictionState } from '../../../src/agent/node/eviction/state.js';
import { evictionSettings } from '../../../src/agent/node/eviction/thresholds.js';
import { nodeSettings } from '../../../src/agent/node/settings.js';

const MiB = 1 << 20;

describe('eviction thresholds', () => {
  it('are upstream’s by default', () => {
    const { thresholds, transitionMs } = evictionSettings();
    assert.deepEqual(
      thresholds.map((t) => [t.signal, t.value]),
      [
        ['memory.available', { quantity: '100Mi' }],
        ['nodefs.available', { share: 0.1 }],
        ['nodefs.inodesFree', { share: 0.05 }],
        ['imagefs.available', { share: 0.15 }],
        ['imagefs.inodesFree', { share: 0.05 }],
        ['allocatableMemory.available', { quantity: '100Mi' }],
      ],
    );
    assert.equal(transitionMs, 300_000);
  });

  it('can be switched off', () => {
    assert.deepEqual(evictionSettings({ hard: 'memory.available<0%,nodefs.available<0' }).thresholds, []);
  });

  const wrong: [object, RegExp][] = [
    [{ evictionHard: 'memory<1Mi' }, /^--eviction-hard: unknown eviction signal memory$/],
    [{ evictionHard: 'memory.available=1Mi' }, /--eviction-hard: "memory.available=1Mi" is not of the form/],
    [{ evictionHard: 'pid.available<x' }, /"x" of pid.available is neither a quantity nor a percentage/],
    [{ evictionHard: 'pid.available<101%' }, /must be >= 0% and <= 100%/],
    [{ evictionSoft: 'memory.available<1Gi' }, /grace period must be specified for memory.available/],
    [
      { evictionSoft: 'memory.available<1Gi', evictionSoftGracePeriod: 'memory.available=5' },
      /"5" is not a duration/,
    ],
    [{ kubeReserved: 'disk=1' }, /^--kube-reserved: cannot reserve "disk" resource$/],
    [{ maxPods: 0 }, /--max-pods/],
  ];
  for (const [flags, message] of wrong)
    it(`refuse ${JSON.stringify(flags)}`, () => assert.throws(() => nodeSettings(flags), { message }));
});

describe('the state of a node', () => {
  const memory = (available: number) => ({ 'memory.available': { available, capacity: 1000 * MiB } });

  it('keeps a condition for the transition period, and evicts only while it is short', () => {
    const state = new EvictionState(evictionSettings({ hard: 'memory.available<100Mi' }));
    assert.equal(state.update(memory(100 * MiB), 0).length, 0);
    assert.equal(state.update(memory(99 * MiB), 10).length, 1);
    assert.equal(state.update(memory(100 * MiB), 20).length, 0);
    assert.deepEqual([...state.conditions], ['MemoryPressure']);
    state.update(memory(100 * MiB), 300_009);
    assert.deepEqual([...state.conditions], ['MemoryPressure']);
    state.update(memory(100 * MiB), 300_010);
    assert.deepEqual([...state.conditions], []);
  });

  it('waits the grace of a soft threshold, with the condition at once', () => {
    const soft = { hard: '', soft: 'memory.available<50%', softGracePeriod: 'memory.available=1m' };
    const state = new EvictionState(evictionSettings(soft));
    assert.equal(state.update(memory(400 * MiB), 0).length, 0);
    assert.deepEqual([...state.conditions], ['MemoryPressure']);
    assert.equal(state.update(memory(400 * MiB), 59_999).length, 0);
    assert.equal(state.update(memory(400 * MiB), 60_000).length, 1);
  });

  it('goes on until the minimum is won back', () => {
    const settings = evictionSettings({
      hard: 'memory.available<100Mi',
      minimumReclaim: 'memory.available=50Mi',
    });
    const state = new EvictionState(settings);
    assert.equal(state.update(memory(149 * MiB), 0).length, 0);
    assert.equal(state.update(memory(99 * MiB), 1).length, 1);
    assert.equal(state.update(memory(149 * MiB), 2).length, 1);
    assert.equal(state.update(memory(150 * MiB), 3).length, 0);
    assert.equal(state.update(memory(149 * MiB), 4).length, 0);
  });
});

describe('eviction order', () => {
  const make = (name: string, request: string | undefined, memory: number, priority = 0): PodUsage => ({
    pod: {
      metadata: { name },
      spec: {
        priority,
        containers: [{ name: 'c', resources: request ? { requests: { memory: request } } : {} }],
      },
    } as Pod,
    ...{ memory, disk: memory, inodes: 0, pids: 0, containers: { c: { memory, disk: memory } } },
  });

  it('is usage over request, then priority, then how far over', () => {
    const pods = [
      make('within', '100Mi', 90 * MiB),
      make('important', undefined, 500 * MiB, 10),
      make('slightly over', '100Mi', 110 * MiB),
      make('far over', undefined, 50 * MiB),
    ];
    assert.deepEqual(
      ranked(pods, 'memory').map(({ pod }) => pod.metadata.name),
      ['far over', 'slightly over', 'important', 'within'],
    );
  });

  it('is explained as upstream does', () => {
    const [threshold] = evictionSettings({ hard: 'memory.available<100Mi' }).thresholds;
    const seen = { 'memory.available': { available: 50 * MiB, capacity: 1000 * MiB } };
    const { message, annotations } = evictionMessage(make('p', '10Mi', 20 * MiB), threshold!, seen);
    assert.equal(
      message,
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 20Mi, request is 10Mi, has larger consumption of memory. ',
    );
    assert.deepEqual(annotations, {
      starved_resource: 'memory',
      offending_containers: 'c',
      offending_containers_usage: '20Mi',
    });
    const whole = make('p', undefined, 0);
    whole.memory = 20 * MiB;
    whole.pod.spec.resources = { requests: { memory: '10Mi' } };
    const ofPod = evictionMessage(whole, threshold!, seen);
    assert.equal(
      ofPod.message,
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Pod p was using 20Mi, request is 10Mi, has larger consumption of memory. ',
    );
    assert.deepEqual(ofPod.annotations, {
      ...{ starved_resource: 'memory', offending_pod: 'p', offending_pod_usage: '20Mi' },
      ...{ offending_containers: '', offending_containers_usage: '' },
    });
  });
});

describe('limits of the disk', () => {
  const usage = (disk: number, limits: (string | undefined)[], sizeLimit?: string): PodUsage => ({
    pod: {
      metadata: { name: 'p' },
      spec: {
        containers: limits.map((limit, i) => ({
          name: `c${i}`,
          resources: limit ? { limits: { 'ephemeral-storage': limit } } : {},
        })),
        volumes: [{ name: 'v', emptyDir: { sizeLimit } }],
      },
    } as Pod,
    ...{ memory: 0, disk, inodes: 0, pids: 0, containers: { c0: { memory: 0, disk } } },
  });
  const cases: [string, PodUsage, number, string | undefined][] = [
    ['within', usage(10 * MiB, ['10Mi']), 0, undefined],
    [
      'the pod',
      usage(11 * MiB, ['8Mi', '2Mi']),
      0,
      'Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ',
    ],
    [
      'a pod with a container without a limit',
      usage(11 * MiB, ['10Mi', undefined]),
      0,
      'Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ',
    ],
    [
      'a container within what the pod may have',
      usage(11 * MiB, ['10M', '8M']),
      0,
      'Container c0 exceeded its local ephemeral storage limit "10M". ',
    ],
    [
      'a volume',
      usage(0, [undefined], '5Mi'),
      6 * MiB,
      'Usage of EmptyDir volume "v" exceeds the limit "5Mi". ',
    ],
  ];
  for (const [what, given, volume, expected] of cases)
    it(what, () => assert.equal(diskExcess(given, { v: volume })?.message, expected));
});
