import assert from 'node:assert/strict';
import type { Deployment } from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { deployments, replicaSets } from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, updateErrors } from './support.js';

const template = (fields: Record<string, unknown> = {}, labels: Record<string, string> = { app: 'a' }) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image: 'a' }], ...fields },
});
const selector = { matchLabels: { app: 'a' } };
const deployment = (spec: Record<string, unknown> = {}, metadata = {}): Deployment =>
  object(deployments, { spec: { selector, template: template(), ...spec } }, metadata);

describe('deployments', () => {
  it('have defaults', () => {
    const { template: pods, ...spec } = defaulted(deployments, deployment()).spec;
    assert.deepEqual(spec, {
      progressDeadlineSeconds: 600,
      replicas: 1,
      revisionHistoryLimit: 10,
      selector,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    });
    assert.equal(pods.spec!.restartPolicy, 'Always');
    const recreate = defaulted(deployments, deployment({ strategy: { type: 'Recreate' } })).spec;
    assert.deepEqual(recreate.strategy, { type: 'Recreate' });
  });

  it('leave out zeros that mean unset', () => {
    const value = deployment({ paused: false, minReadySeconds: 0 });
    value.status = { replicas: 2, readyReplicas: 0, collisionCount: 0 };
    const stored = defaulted(deployments, value);
    assert.ok(!('paused' in stored.spec) && !('minReadySeconds' in stored.spec));
    assert.deepEqual(stored.status, { replicas: 2, collisionCount: 0 });
  });

  const rolling = (maxUnavailable: unknown, maxSurge: unknown) => ({
    strategy: { rollingUpdate: { maxUnavailable, maxSurge } },
  });
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['valid', {}, []],
    [
      'no selector',
      { selector: undefined },
      [
        'spec.selector: Required value',
        'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does',
      ],
    ],
    [
      'empty selector',
      { selector: {} },
      ['spec.selector: Invalid value: {}: empty selector is invalid for deployment'],
    ],
    [
      'other labels',
      { template: template({}, { app: 'b' }) },
      [
        'spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match template `labels`',
      ],
    ],
    [
      'template',
      { template: template({ containers: [], restartPolicy: 'Never', activeDeadlineSeconds: 5 }) },
      [
        'spec.template.spec.containers: Required value',
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported',
      ],
    ],
    ['replicas', { replicas: -1 }, ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    [
      'no move possible',
      rolling(0, '0%'),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
    ],
    [
      'more than all',
      rolling('101%', 1),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
    ],
    [
      'no percentage',
      rolling(1, 'a lot'),
      ['spec.strategy.rollingUpdate.maxSurge: Invalid value: "a lot": a valid percent string must be'],
    ],
    [
      'strategy',
      { strategy: { type: 'Big' } },
      ['spec.strategy: Unsupported value: {"type":"Big"}: supported values: "Recreate", "RollingUpdate"'],
    ],
    [
      'recreate with numbers',
      { strategy: { type: 'Recreate', rollingUpdate: {} } },
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      'deadline',
      { minReadySeconds: 600 },
      ['spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds'],
    ],
  ];
  for (const [what, spec, expected] of cases)
    it(what, () => {
      const errors = createErrors(deployments, deployment(spec));
      assert.equal(errors.length, expected.length, errors.join('\n'));
      expected.forEach((start, i) => {
        assert.ok(errors[i]!.startsWith(start), `${errors[i]}\n  is not\n${start}`);
      });
    });

  it('keep their selector', () => {
    const next = deployment({ selector: { matchLabels: { app: 'b' } } });
    assert.deepEqual(updateErrors(deployments, created(deployments, deployment()), next), [
      'spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable',
    ]);
  });

  it('count a change of annotations as a new generation', () => {
    const old = created(deployments, deployment({}, { generation: 3 }));
    const draft = defaulted(deployments, deployment({}, { generation: 3, annotations: { a: 'b' } }));
    deployments.prepareForUpdate!(draft, old);
    assert.equal(draft.metadata.generation, 4);
  });

  it('take a status that adds up', () => {
    const old = created(deployments, deployment());
    const draft = defaulted(deployments, deployment());
    draft.spec.replicas = 7;
    draft.metadata.labels = { a: 'b' };
    draft.status = { replicas: 1, readyReplicas: 1, availableReplicas: 2 };
    deployments.prepareForStatusUpdate!(draft, old);
    assert.equal(draft.spec.replicas, 1);
    assert.equal(draft.metadata.labels, undefined);
    assert.deepEqual(deployments.validateStatusUpdate!(draft, old).map(text), [
      'status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas',
      'status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas',
    ]);
  });
});

describe('replica sets', () => {
  const set = (spec: Record<string, unknown> = {}) => object(replicaSets, { spec: { selector, ...spec } });
  it('have one replica, and none yet', () => {
    const stored = created(replicaSets, set({ template: template() }));
    assert.equal(stored.spec.replicas, 1);
    assert.deepEqual(stored.status, { replicas: 0 });
  });
  it('need a template', () => {
    assert.deepEqual(createErrors(replicaSets, set()), ['spec.template: Required value']);
  });
  it('keep their selector', () => {
    const old = created(replicaSets, set({ template: template() }));
    const next = set({ selector: { matchLabels: { app: 'b' } }, template: template() });
    assert.equal(updateErrors(replicaSets, old, next).length, 1);
  });
});
