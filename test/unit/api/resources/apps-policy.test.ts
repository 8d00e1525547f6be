import assert from 'node:assert/strict';
import type {
  DaemonSet,
  PodDisruptionBudget,
  PriorityClass,
  ReplicationController,
  StatefulSet,
} from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import type { KubeObject } from '../../../../src/api/machinery/types.js';
import type { Resource } from '../../../../src/api/resources/define.js';
import {
  daemonSets,
  podDisruptionBudgets,
  podTemplates,
  priorityClasses,
  replicationControllers,
  statefulSets,
} from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, row, updateErrors } from './support.js';

const template = (fields: Record<string, unknown> = {}, labels: Record<string, string> = { app: 'a' }) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image: 'a' }], ...fields },
});
const selector = { matchLabels: { app: 'a' } };

type Cases = [string, Record<string, unknown>, string[]][];

/** Each case: what is different, and how the errors of creating it begin. */
function refuses<T extends KubeObject>(
  resource: Resource<T>,
  make: (f: Record<string, unknown>) => T,
  all: Cases,
) {
  for (const [what, fields, expected] of all)
    it(what, () => {
      const errors = createErrors(resource, make(fields));
      assert.equal(errors.length, expected.length, errors.join('\n'));
      expected.forEach((start, i) => {
        assert.ok(errors[i]!.startsWith(start), `${errors[i]}\n  is not\n${start}`);
      });
    });
}

describe('daemon sets', () => {
  const set = (spec: Record<string, unknown> = {}, metadata = {}): DaemonSet =>
    object(daemonSets, { spec: { selector, template: template(), ...spec } }, metadata);
  const rolling = (maxUnavailable: unknown, maxSurge: unknown) => ({
    updateStrategy: { rollingUpdate: { maxUnavailable, maxSurge } },
  });
  const generation = (value: DaemonSet) =>
    value.metadata.annotations?.['deprecated.daemonset.template.generation'];

  it('have defaults', () => {
    const { template: pods, ...spec } = defaulted(daemonSets, set({ minReadySeconds: 0 })).spec;
    assert.deepEqual(spec, {
      selector,
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    });
    assert.equal(pods.spec!.restartPolicy, 'Always');
    const onDelete = defaulted(daemonSets, set({ updateStrategy: { type: 'OnDelete' } }));
    assert.deepEqual(onDelete.spec.updateStrategy, { type: 'OnDelete' });
  });

  it('count the generations of their template in an annotation', () => {
    const old = created(daemonSets, set());
    assert.equal(generation(old), '1');
    const draft = (spec: Record<string, unknown>) => {
      const value = defaulted(daemonSets, set(spec));
      daemonSets.prepareForUpdate!(value, old);
      return generation(value);
    };
    assert.equal(draft({}), '1');
    assert.equal(draft({ minReadySeconds: 5 }), '1');
    assert.equal(draft({ template: template({ nodeSelector: { ssd: 'true' } }) }), '2');
  });

  refuses(daemonSets, set, [
    ['valid', {}, []],
    ['surge', rolling(0, '50%'), []],
    [
      'no move possible',
      rolling(0, 0),
      ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0'],
    ],
    [
      'both',
      rolling(1, 1),
      [
        'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero',
      ],
    ],
    [
      'more than all',
      rolling('101%', 0),
      [
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
      ],
    ],
    [
      'strategy',
      { updateStrategy: { type: 'Big' } },
      [
        'spec.updateStrategy: Unsupported value: {"type":"Big"}: supported values: "RollingUpdate", "OnDelete"',
      ],
    ],
    [
      'empty selector',
      { selector: {} },
      ['spec.selector: Invalid value: {}: empty selector is invalid for daemonset'],
    ],
    [
      'template',
      { template: template({ restartPolicy: 'Never', activeDeadlineSeconds: 1 }) },
      [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported',
      ],
    ],
  ]);

  it('keep their selector', () => {
    const next = set({ selector: { matchLabels: { app: 'b' } }, template: template({}, { app: 'b' }) });
    assert.deepEqual(updateErrors(daemonSets, created(daemonSets, set()), next), [
      'spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable',
    ]);
  });

  it('print their node selector', () => {
    const value = set({ template: template({ nodeSelector: { ssd: 'true' } }) });
    value.status = {
      desiredNumberScheduled: 3,
      currentNumberScheduled: 2,
      numberReady: 1,
      numberMisscheduled: 0,
    };
    const cells = row(daemonSets, value);
    assert.deepEqual(
      [cells['Desired'], cells['Current'], cells['Ready'], cells['Up-to-date'], cells['Node Selector']],
      [3, 2, 1, 0, 'ssd=true'],
    );
  });
});

describe('stateful sets', () => {
  const set = (spec: Record<string, unknown> = {}, metadata = {}): StatefulSet =>
    object(statefulSets, { spec: { selector, template: template(), serviceName: 'x', ...spec } }, metadata);

  it('have defaults', () => {
    const { template: _, ...spec } = defaulted(statefulSets, set({ serviceName: undefined })).spec;
    assert.deepEqual(spec, {
      selector,
      serviceName: '',
      replicas: 1,
      revisionHistoryLimit: 10,
      podManagementPolicy: 'OrderedReady',
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0, maxUnavailable: 1 } },
    });
  });

  it('store the templates of claims as claims', () => {
    const claim = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } };
    const [stored] = defaulted(statefulSets, set({ volumeClaimTemplates: [claim] })).spec
      .volumeClaimTemplates!;
    assert.deepEqual(stored, {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem' },
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      status: { phase: 'Pending' },
    });
  });

  const mount = [{ name: 'c', image: 'a', volumeMounts: [{ name: 'data', mountPath: '/data' }] }];
  refuses(statefulSets, set, [
    ['valid', {}, []],
    [
      'a mount of a claim',
      {
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
        template: template({ containers: mount }),
      },
      [],
    ],
    [
      'a template of claims that says nothing',
      { volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }] },
      [
        'spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required',
        'spec.volumeClaimTemplates[0].spec.resources[storage]: Required value',
      ],
    ],
    [
      'a mount of nothing',
      { template: template({ containers: mount }) },
      ['spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'],
    ],
    [
      'policy',
      { podManagementPolicy: 'Some' },
      ["spec.podManagementPolicy: Invalid value: \"Some\": must be 'OrderedReady' or 'Parallel'"],
    ],
    [
      'on delete with numbers',
      { updateStrategy: { type: 'OnDelete', rollingUpdate: {} } },
      [
        "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'",
      ],
    ],
    [
      'partition and maxUnavailable',
      { updateStrategy: { rollingUpdate: { partition: -1, maxUnavailable: 0 } } },
      [
        'spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0',
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0',
      ],
    ],
    [
      'a maxUnavailable that is no amount',
      { updateStrategy: { rollingUpdate: { maxUnavailable: 'all' } } },
      [
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "all": a valid percent string',
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "all": cannot be 0',
      ],
    ],
    [
      'names of the template, which no pod gets',
      { template: template({ hostname: 'A b', subdomain: 'A b' }) },
      [],
    ],
    [
      'ordinals',
      { ordinals: { start: -1 } },
      ['spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      'retention',
      { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Keep' } },
      ['spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep"'],
    ],
    [
      'service',
      { serviceName: 'A B' },
      ['spec.serviceName: Invalid value: "A B": a lowercase RFC 1123 label'],
    ],
  ]);

  it('have a name that can be a host name', () => {
    assert.deepEqual(statefulSets.validateName!('web'), []);
    assert.equal(statefulSets.validateName!('web.a').length, 1);
  });

  it('let only some fields change', () => {
    const old = created(statefulSets, set());
    const free = set({
      replicas: 5,
      template: template({ nodeSelector: { a: 'b' } }),
      ordinals: { start: 3 },
      minReadySeconds: 4,
      revisionHistoryLimit: 2,
      updateStrategy: { type: 'OnDelete' },
      persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete' },
    });
    assert.deepEqual(updateErrors(statefulSets, old, free), []);
    const [error] = updateErrors(statefulSets, old, set({ serviceName: 'y' }));
    assert.match(error!, /^spec: Forbidden: updates to statefulset spec for fields other than 'replicas', /);
  });

  it('can be changed though their template was stored as an invalid one', () => {
    const bad = template({ containers: mount });
    const change = (from: StatefulSet) =>
      updateErrors(statefulSets, defaulted(statefulSets, from), set({ replicas: 0, template: bad }));
    assert.deepEqual(change(set({ template: bad })), []);
    assert.equal(change(set()).length, 1);
  });

  it('take a status that adds up', () => {
    const draft = defaulted(statefulSets, set());
    draft.status = { replicas: 1, readyReplicas: 2, availableReplicas: 0 };
    assert.deepEqual(statefulSets.validateStatusUpdate!(draft, created(statefulSets, set())).map(text), [
      'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
    ]);
  });
});

describe('replication controllers', () => {
  const rc = (spec: Record<string, unknown> = {}): ReplicationController =>
    object(replicationControllers, { spec: { template: template(), ...spec } });

  it('take their selector and labels from the template', () => {
    const { spec, metadata } = defaulted(replicationControllers, rc());
    assert.deepEqual(spec.selector, { app: 'a' });
    assert.deepEqual(metadata.labels, { app: 'a' });
    assert.equal(spec.replicas, 1);
  });
  refuses(replicationControllers, rc, [
    ['valid', {}, []],
    [
      'no template',
      { template: undefined },
      ['spec.selector: Required value', 'spec.template: Required value'],
    ],
    [
      'other labels',
      { selector: { app: 'b' } },
      [
        'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
      ],
    ],
  ]);
});

describe('pod templates', () => {
  it('are defaulted and validated as those of workloads', () => {
    const value = object(podTemplates, { template: template() });
    assert.equal(defaulted(podTemplates, value).template!.spec!.dnsPolicy, 'ClusterFirst');
    assert.deepEqual(createErrors(podTemplates, object(podTemplates, {})), [
      'template.spec.containers: Required value',
    ]);
    assert.equal(row(podTemplates, value)['Pod Labels'], 'app=a');
    assert.equal(row(podTemplates, value)['Images'], 'a');
  });
});

describe('pod disruption budgets', () => {
  const budget = (spec: Record<string, unknown> = {}): PodDisruptionBudget =>
    object(podDisruptionBudgets, { spec: { selector, ...spec } });
  refuses(podDisruptionBudgets, budget, [
    ['a number', { minAvailable: 1 }, []],
    ['a share', { maxUnavailable: '30%' }, []],
    [
      'both',
      { minAvailable: 1, maxUnavailable: 1 },
      [
        'spec: Invalid value: {"selector":{"matchLabels":{"app":"a"}},"minAvailable":1,"maxUnavailable":1}: minAvai',
      ],
    ],
    [
      'more than all',
      { minAvailable: '200%' },
      ['spec.minAvailable: Invalid value: "200%": must not be greater than 100%'],
    ],
    [
      'policy',
      { unhealthyPodEvictionPolicy: 'Never' },
      [
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"',
      ],
    ],
  ]);
  it('print N/A for what is not set', () => {
    const cells = row(podDisruptionBudgets, created(podDisruptionBudgets, budget({ minAvailable: '50%' })));
    assert.deepEqual(
      [cells['Min Available'], cells['Max Unavailable'], cells['Allowed Disruptions']],
      ['50%', 'N/A', 0],
    );
  });
});

describe('priority classes', () => {
  const priority = (fields: Record<string, unknown> = {}, metadata = {}): PriorityClass =>
    object(priorityClasses, { value: 5, ...fields }, metadata);
  it('preempt unless they say otherwise', () => {
    assert.equal(defaulted(priorityClasses, priority()).preemptionPolicy, 'PreemptLowerPriority');
    assert.equal(
      defaulted(priorityClasses, priority({ preemptionPolicy: 'Never' })).preemptionPolicy,
      'Never',
    );
  });
  refuses(priorityClasses, priority, [
    ['valid', {}, []],
    [
      'too high',
      { value: 1_000_000_001 },
      ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
    ],
    [
      'policy',
      { preemptionPolicy: 'Some' },
      ['preemptionPolicy: Unsupported value: "Some": supported values: "PreemptLowerPriority", "Never"'],
    ],
  ]);
  const named = (name: string, value: number) => createErrors(priorityClasses, priority({ value }, { name }));
  it('of the system are known', () => {
    assert.deepEqual(named('system-node-critical', 2_000_001_000), []);
    assert.match(
      named('system-node-critical', 1)[0]!,
      /error: value of system-node-critical PriorityClass must be/,
    );
    assert.match(named('system-mine', 1)[0]!, /error: system-mine is not a known system priority class$/);
  });
  it('keep their value', () => {
    const old = created(priorityClasses, priority());
    assert.deepEqual(updateErrors(priorityClasses, old, priority({ value: 6, preemptionPolicy: 'Never' })), [
      'value: Forbidden: may not be changed in an update.',
      'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]);
  });
});
