import assert from 'node:assert/strict';
import type { AutoscalingV2HorizontalPodAutoscaler as Autoscaler } from '#types';
import { type FieldError, describe as text } from '../../../../src/api/machinery/field.js';
import { fromV1, toV1 } from '../../../../src/api/resources/autoscaling/horizontal-pod-autoscaler-v1.js';
import { horizontalPodAutoscalers, horizontalPodAutoscalersV1 } from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, row } from './support.js';

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
const hpa = (spec: Record<string, unknown> = {}): Autoscaler =>
  object(horizontalPodAutoscalers, { spec: { scaleTargetRef, maxReplicas: 5, ...spec } });
const cpu = (target: object) => ({ type: 'Resource', resource: { name: 'cpu', target } });

describe('horizontalpodautoscalers', () => {
  it('look at the CPU where nothing is said', () => {
    assert.deepEqual(defaulted(horizontalPodAutoscalers, hpa()).spec, {
      scaleTargetRef,
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [cpu({ type: 'Utilization', averageUtilization: 80 })],
    });
  });

  it('complete a behavior', () => {
    const behavior = { scaleDown: { stabilizationWindowSeconds: 0 } };
    const { scaleUp, scaleDown } = defaulted(horizontalPodAutoscalers, hpa({ behavior })).spec.behavior!;
    assert.equal(scaleUp?.policies?.length, 2);
    assert.deepEqual(scaleDown, {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    });
  });

  const up = (rules: object) => ({ behavior: { scaleUp: rules } });
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['valid', {}, []],
    [
      'no target',
      { scaleTargetRef: {} },
      ['spec.scaleTargetRef.kind: Required value', 'spec.scaleTargetRef.name: Required value'],
    ],
    [
      'no maximum',
      { maxReplicas: 0 },
      [
        'spec.maxReplicas: Invalid value: 0: must be greater than 0',
        'spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`',
      ],
    ],
    [
      'a minimum of 0',
      { minReplicas: 0 },
      ['spec.minReplicas: Invalid value: 0: must be greater than or equal to 1'],
    ],
    [
      'a metric without its source',
      { metrics: [{ type: 'Resource' }] },
      ['spec.metrics[0].resource: Required value: must populate information for the given metric source'],
    ],
    [
      'a metric of an unknown type',
      { metrics: [{ type: 'Mood' }] },
      [
        'spec.metrics[0].type: Unsupported value: "Mood": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
      ],
    ],
    [
      'a metric without a goal',
      { metrics: [cpu({ type: 'Utilization' })] },
      [
        'spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization',
      ],
    ],
    [
      'a goal of 0',
      { metrics: [cpu({ type: 'Utilization', averageUtilization: 0 })] },
      ['spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0'],
    ],
    [
      'a long window',
      up({ stabilizationWindowSeconds: 4000 }),
      [
        'spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600',
      ],
    ],
    [
      'no policies',
      up({ policies: [] }),
      ['spec.behavior.scaleUp.policies: Required value: must specify at least one Policy'],
    ],
    [
      'an idle policy',
      up({ policies: [{ type: 'Pods', value: 0, periodSeconds: 1801 }] }),
      [
        'spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero',
        'spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800',
      ],
    ],
  ];
  for (const [what, spec, expected] of cases)
    it(`check: ${what}`, () => assert.deepEqual(createErrors(horizontalPodAutoscalers, hpa(spec)), expected));

  it('show each metric as it is and should be', () => {
    const memory = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } },
    };
    const hits = {
      type: 'Pods',
      pods: { metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '5' } },
    };
    const full = defaulted(
      horizontalPodAutoscalers,
      hpa({ metrics: [cpu({ type: 'Utilization', averageUtilization: 60 }), memory, hits] }),
    );
    assert.equal(
      row(horizontalPodAutoscalers, full)['Targets'],
      'cpu: <unknown>/60%, memory: <unknown>/100Mi + 1 more...',
    );
    const currentMetrics = [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 7, averageValue: '7m' } } },
    ];
    const status = { currentMetrics, desiredReplicas: 2, currentReplicas: 2 };
    const cells = row(horizontalPodAutoscalers, { ...defaulted(horizontalPodAutoscalers, hpa()), status });
    assert.deepEqual(
      [cells['Reference'], cells['Targets'], cells['MinPods'], cells['MaxPods'], cells['Replicas']],
      ['Deployment/web', 'cpu: 7%/80%', '1', 5, 2],
    );
  });

  it('count nothing below zero', () => {
    const status = { currentReplicas: -1, desiredReplicas: -2 };
    const negative = 'must be greater than or equal to 0';
    for (const resource of [horizontalPodAutoscalers, horizontalPodAutoscalersV1]) {
      const validate = resource.validateStatusUpdate as (value: object, old: object) => FieldError[];
      assert.deepEqual(validate({ status }, {}).map(text), [
        `status.currentReplicas: Invalid value: -1: ${negative}`,
        `status.desiredReplicas: Invalid value: -2: ${negative}`,
      ]);
    }
  });

  it('become v1 and come back whole', () => {
    const container = {
      type: 'ContainerResource',
      containerResource: {
        name: 'memory',
        container: 'c',
        target: { type: 'AverageValue', averageValue: '1Gi' },
      },
    };
    const external = {
      type: 'External',
      external: { metric: { name: 'queue' }, target: { type: 'Value', value: '30' } },
    };
    const metrics = [container, external, cpu({ type: 'Utilization', averageUtilization: 50 })];
    const value = created(horizontalPodAutoscalers, hpa({ metrics, behavior: {} }));
    const v1 = toV1(value);
    assert.equal(v1.spec.targetCPUUtilizationPercentage, 50);
    assert.equal('metrics' in v1.spec, false);
    assert.deepEqual(Object.keys(v1.metadata.annotations ?? {}).sort(), [
      'autoscaling.alpha.kubernetes.io/behavior',
      'autoscaling.alpha.kubernetes.io/metrics',
    ]);
    assert.deepEqual(fromV1(v1), value);
    assert.equal(
      row(horizontalPodAutoscalersV1, v1)['Targets'],
      'memory: <unknown>/1Gi, <unknown>/30 + 1 more...',
    );
  });
});
