/** What becomes of objects of the smaller kinds: errors of changes, defaults, columns. */
import assert from 'node:assert/strict';
import * as all from '../../../../src/api/resources/index.js';
import { claim, event, make, of, policy, RBAC, volume } from './kinds-support.js';
import { created, defaulted, row, updateErrors } from './support.js';

describe('kinds: errors of changes', () => {
  for (const [resource, before, after, expected] of [
    [all.eventsV1, event(), event({ series: { count: 2, lastObservedTime: '2026-05-01T12:00:01Z' } }), []],
    [
      all.eventsV1,
      event(),
      event({ note: 'other', reportingController: 'example.com/d', series: { count: 0 } }),
      [
        'series.count: Invalid value: "": should be at least 2',
        'series.lastObservedTime: Required value',
        'message: Invalid value: "other": field is immutable',
        'reportingController: Invalid value: "example.com/d": field is immutable',
      ],
    ],
    [
      all.storageClasses,
      { provisioner: 'a.b/c' },
      { provisioner: 'a.b/d', volumeBindingMode: 'WaitForFirstConsumer' },
      [
        'provisioner: Forbidden: updates to provisioner are forbidden.',
        'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
      ],
    ],
    [
      all.persistentVolumes,
      volume(),
      volume({ hostPath: { path: '/other' } }),
      ['spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation'],
    ],
    [
      all.persistentVolumeClaims,
      claim(),
      claim({ resources: { requests: { storage: '2Gi' } } }),
      [
        'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ],
    ],
    [all.persistentVolumeClaims, claim(), claim({ volumeName: 'pv' }), []],
    [
      all.volumeAttributesClasses,
      { driverName: 'a', parameters: { x: '1' } },
      { driverName: 'b', parameters: { x: '2' } },
      [
        'driverName: Forbidden: updates to driverName are forbidden.',
        'parameters: Forbidden: updates to parameters are forbidden.',
      ],
    ],
    [
      all.csiNodes,
      { spec: { drivers: [{ name: 'a.b', nodeID: 'n', allocatable: { count: 1 } }] } },
      { spec: { drivers: [{ name: 'a.b', nodeID: 'n', allocatable: { count: 2 } }] } },
      [],
    ],
    [
      all.csiNodes,
      { spec: { drivers: [{ name: 'a.b', nodeID: 'n' }] } },
      { spec: { drivers: [{ name: 'a.b', nodeID: 'm' }] } },
      ['spec.drivers: Invalid value: {"name":"a.b","nodeID":"m"}: field is immutable'],
    ],
    [
      all.runtimeClasses,
      { handler: 'a' },
      { handler: 'b' },
      ['handler: Invalid value: "b": field is immutable'],
    ],
  ] as [unknown, object, object, string[]][])
    it(`${of(resource).kind}: ${expected[0] ?? 'none'}`, () => {
      const old = created(of(resource), make(resource, before));
      assert.deepEqual(updateErrors(of(resource), old, make(resource, after)), expected);
    });
});

describe('kinds: defaults and columns', () => {
  it('bindings name the group of users', () => {
    const binding = defaulted(
      of(all.roleBindings),
      make(all.roleBindings, {
        roleRef: { kind: 'Role', name: 'r' },
        subjects: [
          { kind: 'User', name: 'u' },
          { kind: 'ServiceAccount', name: 's', namespace: 'n' },
        ],
      }),
    );
    assert.equal(binding['roleRef'].apiGroup, RBAC);
    assert.deepEqual(
      binding['subjects'].map((s: any) => s.apiGroup),
      [RBAC, undefined],
    );
    assert.deepEqual(row(of(all.roleBindings), binding), {
      Name: 'x',
      Role: 'Role/r',
      Age: '90s',
      Users: 'u',
      Groups: '',
      ServiceAccounts: 'n/s',
    });
  });
  it('network policies are about ingress, and about egress where they have rules for it', () => {
    const types = (spec: object) =>
      defaulted(of(all.networkPolicies), make(all.networkPolicies, policy(spec)))['spec'].policyTypes;
    assert.deepEqual(types({}), ['Ingress']);
    assert.deepEqual(types({ egress: [{}] }), ['Ingress', 'Egress']);
  });
  it('limits stand for requests', () => {
    const range = defaulted(
      of(all.limitRanges),
      make(all.limitRanges, {
        spec: { limits: [{ type: 'Container', default: { cpu: '1' }, max: { cpu: '2', memory: '1Gi' } }] },
      }),
    );
    assert.deepEqual(range['spec'].limits[0].default, { cpu: '1', memory: '1Gi' });
    assert.deepEqual(range['spec'].limits[0].defaultRequest, { cpu: '1', memory: '1Gi' });
  });
  it('claims and quotas print what they have', () => {
    const bound = { ...claim({ volumeName: 'pv', storageClassName: 'fast', volumeMode: 'Filesystem' }) };
    const status = { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] };
    assert.deepEqual(
      row(of(all.persistentVolumeClaims), make(all.persistentVolumeClaims, { ...bound, status })),
      {
        Name: 'x',
        Status: 'Bound',
        Volume: 'pv',
        Capacity: '1Gi',
        'Access Modes': 'RWO',
        StorageClass: 'fast',
        VolumeAttributesClass: '<unset>',
        Age: '90s',
        VolumeMode: 'Filesystem',
      },
    );
    const hard = { pods: '2', 'limits.cpu': '1', 'requests.cpu': '1' };
    const quota = make(all.resourceQuotas, { spec: { hard }, status: { hard, used: { pods: '1' } } });
    assert.deepEqual(row(of(all.resourceQuotas), quota), {
      Name: 'x',
      Request: 'pods: 1/2, requests.cpu: 0/1',
      Limit: 'limits.cpu: 0/1',
      Age: '90s',
    });
  });
});
