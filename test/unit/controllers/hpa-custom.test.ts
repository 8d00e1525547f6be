/** Metrics of type Pods, Object and External, from played metrics servers. */
import assert from 'node:assert/strict';
import type { AutoscalingV2HorizontalPodAutoscaler as Autoscaler, Pod } from '#types';
import { StatusError } from '../../../src/api/machinery/status.js';
import { Client } from '../../../src/client/index.js';
import type { Request } from '../../../src/client/transport.js';
import type { CustomKinds } from '../../../src/controllers/custom-kinds.js';
import { evaluateMetrics } from '../../../src/controllers/hpa/metrics.js';

const metric = (name: string) => ({ name, selector: { matchLabels: { verb: 'GET' } } });
const service = { apiVersion: 'v1', kind: 'Service', name: 'web' };
const hits = (target: object) => ({ type: 'Pods', pods: { metric: metric('hits'), target } });
const queue = (target: object) => ({ type: 'External', external: { metric: metric('queue'), target } });
const rate = (target: object) => ({
  type: 'Object',
  object: { metric: metric('rate'), describedObject: service, target },
});
const average = (averageValue: string) => ({ type: 'AverageValue', averageValue });
const value = (of: string) => ({ type: 'Value', value: of });

const GROUP = '/apis/custom.metrics.k8s.io';
const EXTERNAL = '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue';
const of = (name: string, amount: string) => ({ describedObject: { name }, value: amount });
const ANSWERS = {
  [GROUP]: { versions: [{ version: 'v1beta1' }, { version: 'v1beta2' }], preferredVersion: {} },
  [`${GROUP}/v1beta2/namespaces/default/pods/*/hits`]: { items: [of('a', '30'), of('b', '10')] },
  [`${GROUP}/v1beta2/namespaces/default/services/web/rate`]: { items: [of('web', '90')] },
  [EXTERNAL]: { items: [{ value: '40' }, { value: '20500m' }] },
};

/** Two pods that are ready, of which the target tells. */
async function evaluate(spec: object, answers: Record<string, object> = ANSWERS) {
  const asked: Request[] = [];
  const request = async (one: Request): Promise<any> => {
    asked.push(one);
    if (answers[one.path]) return answers[one.path];
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource');
  };
  const pods = ['a', 'b'].map((name) => ({
    metadata: { name },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  }));
  const evaluation = await evaluateMetrics({ spec: { metrics: [spec] } } as unknown as Autoscaler, {
    client: new Client({ request } as never),
    namespace: 'default',
    pods: pods as unknown as Pod[],
    selector: 'app=web',
    currentReplicas: 2,
    statusReplicas: 2,
    tolerances: { up: 0.1, down: 0.1 },
    custom: {} as CustomKinds,
    now: 0,
  });
  return { ...evaluation, query: asked.at(-1)?.query };
}

describe('Custom and external metrics', () => {
  const cases: [string, object, number, string, object][] = [
    ['of pods', hits(average('10')), 4, 'pods metric hits', { averageValue: '20' }],
    ['of an object', rate(value('30')), 6, 'Service metric rate', { value: '90' }],
    ['of an object for each pod', rate(average('30')), 3, '', { averageValue: '45' }],
    ['external', queue(value('60')), 2, '', { value: '60500m' }],
    ['external, beyond the tolerance', queue(value('20')), 7, '', { value: '60500m' }],
    ['external for each pod', queue(average('10')), 7, '', { averageValue: '30250m' }],
  ];
  for (const [what, spec, replicas, name, current] of cases)
    it(what, async () => {
      const found = await evaluate(spec);
      assert.equal(found.error, undefined);
      assert.equal(found.replicas, replicas);
      if (name) assert.equal(found.metric, name);
      const { type, ...status } = found.statuses[0] as any;
      assert.deepEqual(status[type.toLowerCase()].current, current);
    });

  it('are asked for by the labels of the pods and of the series', async () => {
    assert.deepEqual((await evaluate(hits(average('1')))).query, {
      labelSelector: 'app=web',
      metricLabelSelector: 'verb=GET',
    });
    assert.deepEqual((await evaluate(rate(value('1')))).query, { metricLabelSelector: 'verb=GET' });
    assert.deepEqual((await evaluate(queue(value('1')))).query, { labelSelector: 'verb=GET' });
  });

  it('are told of where nobody serves them', async () => {
    const said = async (spec: object) => {
      const { failure, error, replicas } = await evaluate(spec, {});
      assert.equal(replicas, undefined);
      return [failure?.reason, failure?.error.message, error?.message];
    };
    const none =
      'unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered';
    const first = 'invalid metrics (1 invalid out of 1), first error is:';
    assert.deepEqual(await said(hits(average('1'))), [
      'FailedGetPodsMetric',
      `unable to get metric hits: ${none}`,
      `${first} failed to get pods metric value: unable to get metric hits: ${none}`,
    ]);
    assert.deepEqual(await said(rate(value('1'))), [
      'FailedGetObjectMetric',
      `unable to get metric rate: Service on default web/${none}`,
      `${first} failed to get object metric value: unable to get metric rate: Service on default web/${none}`,
    ]);
    const external =
      'unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{verb: GET,},MatchExpressions:[]LabelSelectorRequirement{},}: ' +
      'unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)';
    assert.deepEqual(await said(queue(average('1'))), [
      'FailedGetExternalMetric',
      external,
      `${first} failed to get queue external metric value: failed to get queue external metric: ${external}`,
    ]);
  });
});
