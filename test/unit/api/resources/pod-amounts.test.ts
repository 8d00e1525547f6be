import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { podLimits, podRequests } from '../../../../src/api/resources/core/podspec/amounts.js';
import { podQosClass } from '../../../../src/api/resources/core/podspec/qos.js';
import { pods } from '../../../../src/api/resources/index.js';
import { object } from './support.js';

const pod = (spec: Record<string, unknown>, status?: Record<string, unknown>): Pod =>
  object(pods, { spec, ...(status ? { status } : {}) });
const asks = (cpu: string, fields: Record<string, unknown> = {}) => ({
  name: 'c',
  resources: { requests: { cpu }, limits: { cpu } },
  ...fields,
});

describe('sums of pods', () => {
  const cases: [string, Record<string, unknown>, number][] = [
    ['containers add up', { containers: [asks('100m'), asks('1')] }, 1100],
    ['a larger init container counts alone', { containers: [asks('1')], initContainers: [asks('3')] }, 3000],
    ['a smaller one does not', { containers: [asks('2')], initContainers: [asks('1')] }, 2000],
    [
      'a sidecar runs with the containers',
      { containers: [asks('2')], initContainers: [asks('1', { restartPolicy: 'Always' })] },
      3000,
    ],
    [
      'and with the init containers after it',
      {
        containers: [asks('1')],
        initContainers: [asks('1', { restartPolicy: 'Always' }), asks('4')],
      },
      5000,
    ],
    [
      'but not with those before it',
      {
        containers: [asks('1')],
        initContainers: [asks('4'), asks('1', { restartPolicy: 'Always' })],
      },
      4000,
    ],
    ['overhead comes on top', { containers: [asks('1')], overhead: { cpu: '250m' } }, 1250],
    [
      'what the pod asks for as a whole replaces the sum',
      { containers: [asks('1')], resources: { requests: { cpu: '5' }, limits: { cpu: '5' } } },
      5000,
    ],
  ];
  for (const [what, spec, cpu] of cases)
    it(what, () => {
      assert.equal(podRequests(pod(spec))['cpu'], cpu);
      assert.equal(podLimits(pod(spec))['cpu'], cpu);
    });

  it('counts memory in bytes and leaves overhead out when asked', () => {
    const spec = {
      containers: [{ name: 'c', resources: { requests: { memory: '1Gi', 'example.com/gpu': '2' } } }],
      overhead: { memory: '1Mi' },
    };
    assert.deepEqual(podRequests(pod(spec), { excludeOverhead: true }), {
      memory: 2 ** 30,
      'example.com/gpu': 2,
    });
    assert.equal(podRequests(pod(spec))['memory'], 2 ** 30 + 2 ** 20);
    assert.deepEqual(podLimits(pod(spec)), {});
  });

  it('counts what is still allocated while a resize lowers it', () => {
    const status = { containerStatuses: [{ name: 'c', allocatedResources: { cpu: '3' } }] };
    const resized = pod({ containers: [asks('1')] }, status);
    assert.equal(podRequests(resized)['cpu'], 1000);
    assert.equal(podRequests(resized, { useStatus: true })['cpu'], 3000);
    const whole = { resources: { requests: { cpu: '2' } }, containers: [asks('1')] };
    const given = { resources: { requests: { cpu: '4' } }, allocatedResources: { cpu: '3' } };
    assert.equal(podRequests(pod(whole, given))['cpu'], 2000);
    assert.equal(podRequests(pod(whole, given), { useStatus: true })['cpu'], 4000);
  });
});

describe('QoS class', () => {
  const both = (cpu: string, memory: string) => ({ cpu, memory });
  const cases: [string, Record<string, unknown>[], string][] = [
    ['nothing set', [{}], 'BestEffort'],
    ['zero is nothing', [{ requests: both('0', '0') }], 'BestEffort'],
    ['requests alone', [{ requests: { cpu: '1' } }], 'Burstable'],
    ['limits of both', [{ limits: both('1', '1Gi'), requests: both('1', '1Gi') }], 'Guaranteed'],
    [
      'the same by other words',
      [{ limits: both('1', '1Gi'), requests: both('1000m', '1024Mi') }],
      'Guaranteed',
    ],
    ['lower requests', [{ limits: both('1', '1Gi'), requests: both('500m', '1Gi') }], 'Burstable'],
    ['limits of one', [{ limits: { cpu: '1' }, requests: { cpu: '1' } }], 'Burstable'],
    ['one container without', [{ limits: both('1', '1Gi'), requests: both('1', '1Gi') }, {}], 'Burstable'],
    ['other resources do not count', [{ requests: { 'ephemeral-storage': '1Gi' } }], 'BestEffort'],
  ];
  for (const [what, resources, expected] of cases)
    it(what, () => {
      const containers = resources.map((r, i) => ({ name: `c${i}`, resources: r }));
      assert.equal(podQosClass(pod({ containers })), expected);
    });

  it('is that of the whole pod where it has resources of its own', () => {
    const whole = { limits: both('1', '1Gi'), requests: both('1', '1Gi') };
    assert.equal(podQosClass(pod({ containers: [{ name: 'c' }], resources: whole })), 'Guaranteed');
  });

  it('is read from the status once it is there', () => {
    assert.equal(podQosClass(pod({ containers: [{ name: 'c' }] }, { qosClass: 'Burstable' })), 'Burstable');
  });
});
