/** What a StatefulSet does next, as tables. */
import assert from 'node:assert/strict';
import type { ControllerRevision, OwnerReference, Pod, StatefulSet } from '#types';
import { claimOwners, claimsOf } from '../../../src/controllers/statefulset/claims.js';
import { identityRepair, ordinalOf, podOf } from '../../../src/controllers/statefulset/identity.js';
import { nextStep, type View } from '../../../src/controllers/statefulset/plan.js';
import { statefulSetStatus } from '../../../src/controllers/statefulset/status.js';

const NOW = Date.UTC(2026, 0, 1);

const revision = (name: string): ControllerRevision =>
  ({
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name },
    revision: 1,
    data: {
      spec: {
        template: {
          $patch: 'replace',
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name }] },
        },
      },
    },
  }) as unknown as ControllerRevision;

function set(
  spec: Partial<StatefulSet['spec']>,
  status: StatefulSet['status'] = { replicas: 0 },
): StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'web', namespace: 'default', uid: 'web', generation: 2 },
    spec: {
      replicas: 3,
      serviceName: 'svc',
      selector: { matchLabels: { app: 'web' } },
      template: {},
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0, maxUnavailable: 1 } },
      ...spec,
    },
    status,
  } as StatefulSet;
}

/** `0n+ 1o-`: ordinal, new or old, then `+` ready, `-` not, `F` failed, `x` ending. */
function pods(text: string): Pod[] {
  return text
    .split(' ')
    .filter(Boolean)
    .map((word) => {
      const [, ordinal, age, rest = ''] = /^(\d+)([no])(.*)$/.exec(word)!;
      return {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: `web-${ordinal}`,
          uid: `uid-${ordinal}`,
          labels: { 'controller-revision-hash': age === 'n' ? 'new' : 'old' },
          ...(rest.includes('x') ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
        },
        spec: { containers: [] },
        status: {
          phase: rest.includes('F') ? 'Failed' : 'Running',
          conditions: [
            {
              type: 'Ready',
              status: rest.includes('+') ? 'True' : 'False',
              lastTransitionTime: '2025-12-31T23:59:50Z',
            },
          ],
        },
      } as unknown as Pod;
    });
}

const viewOf = (
  text: string,
  spec: Partial<StatefulSet['spec']> = {},
  status?: StatefulSet['status'],
): View => ({
  set: set(spec, { replicas: 0, currentRevision: 'old', ...status }),
  pods: pods(text),
  current: revision('old'),
  update: revision('new'),
  now: NOW,
});

const rolling = (partition: number, maxUnavailable: number | string = 1) => ({
  updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition, maxUnavailable } },
});
const parallel = { podManagementPolicy: 'Parallel' };

describe('the next step of a stateful set', () => {
  const cases: [string, string, Partial<StatefulSet['spec']>, string, string][] = [
    ['starts with the first', '', {}, '0n', ''],
    ['waits until it is ready', '0n-', {}, '', ''],
    ['goes on with the second', '0n+', {}, '1n', ''],
    ['waits for minReadySeconds', '0n+', { minReadySeconds: 60 }, '', ''],
    ['fills a gap', '0n+ 2n+', {}, '1n', ''],
    ['waits for one that is ending', '0n+x', {}, '', ''],
    ['replaces one that failed', '0n+ 1nF', {}, '', 'web-1'],
    ['starts where the ordinals do', '', { ordinals: { start: 5 } }, '5n', ''],
    ['takes those below the start away', '0n+ 5n+ 6n+ 7n+', { ordinals: { start: 5 } }, '', 'web-0'],
    ['scales down from the last', '0n+ 1n+ 2n+', { replicas: 1 }, '', 'web-2'],
    ['waits for the last to be gone', '0n+ 1n+ 2n+x', { replicas: 1 }, '', ''],
    ['waits for the others before it scales down', '0n- 1n+ 2n+', { replicas: 1 }, '', ''],
    ['scales a broken one down', '0n+ 1n+ 2n-', { replicas: 1 }, '', 'web-2'],
    ['but not before one that is broken below it', '0n+ 1n- 2n-', { replicas: 1 }, '', ''],
    ['updates from the last', '0o+ 1o+ 2o+', {}, '', 'web-2'],
    ['waits for an update', '0o+ 1o+ 2n-', {}, '', ''],
    ['goes on with an update', '0o+ 1o+ 2n+', {}, '', 'web-1'],
    ['stops at the partition', '0o+ 1o+ 2n+', rolling(2), '', ''],
    ['brings one below the partition back as it was', '0o+ 2n+', rolling(2), '1o', ''],
    ['brings one above it back new', '0o+ 1o+', rolling(2), '2n', ''],
    ['updates as many as may be unavailable', '0o+ 1o+ 2o+', rolling(0, 2), '', 'web-2 web-1'],
    ['takes a share of them, rounded up', '0o+ 1o+ 2o+', rolling(0, '50%'), '', 'web-2 web-1'],
    ['leaves old ones to be deleted', '0o+ 1o+ 2o+', { updateStrategy: { type: 'OnDelete' } }, '', ''],
    ['creates all at once', '', parallel, '0n 1n 2n', ''],
    ['does not wait for others', '0n- 2n+x', parallel, '1n', ''],
    ['takes all away at once', '0n- 1n+ 2n-', { ...parallel, replicas: 1 }, '', 'web-2 web-1'],
    ['replaces a broken old one in an update', '0o+ 1o+ 2o-', parallel, '', 'web-2'],
    ['updates one at a time in parallel too', '0o+ 1o+ 2n-', parallel, '', ''],
  ];
  for (const [what, text, spec, create, remove] of cases)
    it(what, () => {
      const plan = nextStep(viewOf(text, spec));
      const created = plan.create.map(({ ordinal, revision: r }) => `${ordinal}${r.metadata.name[0]}`);
      assert.equal(created.join(' '), create);
      assert.equal(plan.remove.map(({ metadata }) => metadata.name).join(' '), remove);
    });
});

describe('a pod of a stateful set', () => {
  it('has its name, labels, host name and volumes', () => {
    const claims = [{ metadata: { name: 'data' }, spec: {} }] as StatefulSet['spec']['volumeClaimTemplates'];
    const made = podOf(set({ volumeClaimTemplates: claims }), 2, revision('new'));
    assert.deepEqual(made.metadata.labels, {
      app: 'web',
      'statefulset.kubernetes.io/pod-name': 'web-2',
      'apps.kubernetes.io/pod-index': '2',
      'controller-revision-hash': 'new',
    });
    assert.equal(made.metadata.generateName, undefined);
    assert.deepEqual(
      [made.metadata.name, made.spec.hostname, made.spec.subdomain],
      ['web-2', 'web-2', 'svc'],
    );
    assert.deepEqual(made.spec.volumes, [
      { name: 'data', persistentVolumeClaim: { claimName: 'data-web-2' } },
    ]);
    const repair = identityRepair(set({}), {
      ...made,
      metadata: { ...made.metadata, labels: { app: 'web' } },
    });
    assert.equal(repair?.labels['apps.kubernetes.io/pod-index'], '2');
    assert.equal(identityRepair(set({}), made), undefined);
  });

  const ordinals: [string, number | undefined][] = [
    ['web-0', 0],
    ['web-12', 12],
    ['web-01', undefined],
    ['web-x', undefined],
    ['web2-0', undefined],
    ['other-0', undefined],
  ];
  for (const [name, expected] of ordinals)
    it(`${name} has the ordinal ${expected}`, () => {
      assert.equal(ordinalOf(set({}), { metadata: { name } } as Pod), expected);
    });

  it('gets claims with the labels of the selector', () => {
    const claims = [{ metadata: { name: 'data', labels: { a: 'b' } }, spec: { storageClassName: 's' } }];
    const [claim] = claimsOf(set({ volumeClaimTemplates: claims as any }), 1);
    assert.equal(claim!.metadata.name, 'data-web-1');
    assert.deepEqual(claim!.metadata.labels, { a: 'b', app: 'web' });
    assert.deepEqual(claim!.spec, { storageClassName: 's' });
  });

  const policies: [string, string, string, string, string[]][] = [
    ['kept', '0n+', 'Retain', 'Retain', []],
    ['deleted with the set', '0n+', 'Delete', 'Retain', ['StatefulSet']],
    ['deleted when scaled down', '7n+', 'Retain', 'Delete', ['Pod']],
    ['kept when scaled down', '7n+', 'Delete', 'Retain', ['StatefulSet']],
    ['still there', '0n+', 'Retain', 'Delete', []],
  ];
  for (const [what, text, whenDeleted, whenScaled, kinds] of policies)
    it(`owns claims that are ${what}`, () => {
      const s = set({ persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled } });
      const other: OwnerReference = { apiVersion: 'v1', kind: 'Other', name: 'o', uid: 'o' };
      const owners = claimOwners(s, pods(text)[0]!, [other]);
      assert.deepEqual(
        owners.map(({ kind }) => kind),
        ['Other', ...kinds],
      );
      assert.deepEqual(claimOwners(s, pods(text)[0]!, owners), owners);
    });
});

describe('the status of a stateful set', () => {
  it('counts revisions', () => {
    assert.deepEqual(statefulSetStatus(viewOf('0o+ 1o- 2n+'), 0, undefined), {
      replicas: 3,
      readyReplicas: 2,
      availableReplicas: 2,
      currentReplicas: 2,
      updatedReplicas: 1,
      currentRevision: 'old',
      updateRevision: 'new',
      observedGeneration: 2,
      collisionCount: 0,
    });
  });
  it('ends an update when all are new and ready', () => {
    const status = statefulSetStatus(viewOf('0n+ 1n+ 2n+'), 0, undefined);
    assert.deepEqual([status.currentRevision, status.currentReplicas], ['new', 3]);
    assert.equal(statefulSetStatus(viewOf('0n+ 1n+ 2n-'), 0, undefined).currentRevision, 'old');
  });
});
