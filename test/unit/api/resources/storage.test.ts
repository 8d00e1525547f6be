/** What the API says to volumes and claims: errors, changes that are not allowed, warnings, defaults. */
import assert from 'node:assert/strict';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '#types';
import {
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
} from '../../../../src/api/resources/index.js';
import { created, createErrors, defaulted, object, updateErrors } from './support.js';

const volume = (spec: object, metadata = {}): PersistentVolume =>
  object(
    persistentVolumes,
    { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, ...spec } },
    metadata,
  );
const csi = (fields: object = {}) => volume({ csi: { driver: 'a.b', volumeHandle: 'h', ...fields } });
const claim = (spec: object = {}, fields: object = {}, metadata = {}): PersistentVolumeClaim =>
  object(
    persistentVolumeClaims,
    {
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
      ...fields,
    },
    metadata,
  );
const pod = (source: object): Pod =>
  object(pods, { spec: { containers: [{ name: 'c', image: 'i' }], volumes: [{ name: 'v', ...source }] } });
const resized = (storage: string) => ({ resources: { requests: { storage } } });

/** Each error starts with its expected text. */
function check(errors: string[], expected: string[]): void {
  assert.equal(errors.length, expected.length, errors.join('\n'));
  expected.forEach((start, i) => {
    assert.ok(errors[i]!.startsWith(start), `${errors[i]}\n  is not\n${start}`);
  });
}

describe('volumes: sources', () => {
  const cases: [string, object, string[]][] = [
    [
      'a path with a step back',
      { hostPath: { path: '/a/../b' } },
      ['hostPath.path: Invalid value: "/a/../b": must not contain \'..\''],
    ],
    [
      'a type of host path',
      { hostPath: { path: '/a', type: 'Pipe' } },
      ['hostPath.type: Unsupported value: "Pipe"'],
    ],
    [
      'a disk',
      { gcePersistentDisk: { partition: 256 } },
      [
        'persistentDisk.pdName: Required value',
        'persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive',
      ],
    ],
    [
      'NFS',
      { nfs: {} },
      [
        'nfs.server: Required value',
        'nfs.path: Required value',
        'nfs.path: Invalid value: "": must be an absolute path',
      ],
    ],
    [
      'iSCSI',
      {
        iscsi: {
          targetPortal: 'p'.repeat(70),
          iqn: 'x',
          lun: 300,
          chapAuthSession: true,
          initiatorName: 'iqn',
        },
      },
      [
        'iscsi.iqn: Invalid value: "x": must be valid format starting with iqn, eui, or naa',
        'iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive',
        'iscsi.secretRef: Required value',
        'iscsi.initiatorname: Invalid value: "iqn": must be valid format',
      ],
    ],
    [
      'Fibre Channel',
      { fc: { targetWWNs: ['a'], wwids: ['b'] } },
      [
        'fc.targetWWNs: Invalid value: ["a"]: targetWWNs and wwids can not be specified simultaneously',
        'fc.lun: Required value: lun is required if targetWWNs is specified',
      ],
    ],
    [
      'Quobyte',
      { quobyte: { registry: 'a:1,b', volume: 'v' } },
      ['quobyte.registry: Invalid value: "a:1,b": must be a host:port pair'],
    ],
    [
      'Azure',
      { azureDisk: { diskName: 'd', diskURI: 'x', kind: 'Managed', cachingMode: 'All' } },
      [
        'azureDisk.cachingMode: Unsupported value: "All": supported values: "None", "ReadOnly", "ReadWrite"',
        'azureDisk.diskURI: Unsupported value: "x": supported values: "/subscriptions/',
      ],
    ],
    [
      'flex',
      { flexVolume: { driver: 'd', options: { 'k8s.io/x': '1', y: '2' } } },
      [
        'flexVolume.options[k8s.io/x]: Invalid value: "k8s.io/x": kubernetes.io and k8s.io namespaces are reserved',
      ],
    ],
    ['RBD', { rbd: {} }, ['rbd.monitors: Required value', 'rbd.image: Required value']],
    [
      'two',
      { hostPath: { path: '/a' }, nfs: {} },
      ['nfs: Forbidden: may not specify more than 1 volume type'],
    ],
  ];
  for (const [title, source, expected] of cases) {
    it(`${title}, in a PersistentVolume`, () => {
      const portal = title === 'iSCSI' ? ['spec.iscsi.targetportal: Invalid value: '] : [];
      check(createErrors(persistentVolumes, volume(source)), [
        ...expected.map((e) => `spec.${e}`),
        ...portal,
      ]);
    });
    it(`${title}, in a pod`, () => {
      const name = title === 'iSCSI' ? ['spec.volumes[0].name: Invalid value: "v": Total length'] : [];
      check(createErrors(pods, pod(source)), [...expected.map((e) => `spec.volumes[0].${e}`), ...name]);
    });
  }
});

describe('volumes: errors', () => {
  const cases: [string, PersistentVolume, string[]][] = [
    ['a valid one', csi(), []],
    [
      'nothing',
      object(persistentVolumes, { spec: {} }),
      [
        'spec.accessModes: Required value',
        'spec.capacity: Required value',
        'spec.capacity: Unsupported value: {}: supported values: "storage"',
        'spec: Required value: must specify a volume type',
      ],
    ],
    [
      'a negative size',
      volume({ capacity: { storage: '-1' }, hostPath: { path: '/a' } }),
      [
        'spec.capacity[storage]: Invalid value: "-1": must be a valid resource quantity',
        'spec.capacity[storage]: Invalid value: "-1": must be greater than zero',
      ],
    ],
    [
      'CSI',
      csi({ driver: 'A_b', volumeHandle: '', nodeStageSecretRef: {}, nodePublishSecretRef: { name: 'X' } }),
      [
        'spec.csi.driver: Invalid value: "A_b": a lowercase RFC 1123 subdomain',
        'spec.csi.volumeHandle: Required value',
        'spec.csi.nodePublishSecretRef.name: Invalid value: "X"',
        'spec.csi.nodePublishSecretRef.namespace: Required value',
      ],
    ],
    [
      'a long driver',
      csi({ driver: 'a'.repeat(64) }),
      ['spec.csi.driver: Too long: may not be more than 63 bytes'],
    ],
    [
      'a secret without a namespace',
      volume({ cinder: { volumeID: 'v', secretRef: { name: 's' } } }),
      ['spec.cinder.secretRef.namespace: Required value'],
    ],
    [
      'a local one anywhere',
      volume({ local: { path: '/a' }, nodeAffinity: {} }),
      [
        'spec.nodeAffinity.required: Required value: must specify required node constraints',
        'spec.nodeAffinity: Required value: Local volume requires node affinity',
      ],
    ],
    [
      'recycling the root',
      volume({ hostPath: { path: '/./' }, persistentVolumeReclaimPolicy: 'Recycle' }),
      ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
    ],
    [
      'a class of attributes',
      volume({ hostPath: { path: '/a' }, volumeAttributesClassName: '' }),
      [
        'spec.volumeAttributesClassName: Required value: an empty string is disallowed',
        'spec.csi: Required value: has to be specified when using volumeAttributesClassName',
      ],
    ],
  ];
  for (const [title, value, expected] of cases)
    it(title, () => check(createErrors(persistentVolumes, value), expected));

  it('inline in an attachment', () => {
    const inlineVolumeSpec = {
      capacity: { storage: '1Gi' },
      claimRef: { name: 'c' },
      storageClassName: 's',
      volumeMode: 'Block',
      persistentVolumeReclaimPolicy: 'Delete',
      nfs: { server: 's', path: '/p' },
    };
    const attachment = object(volumeAttachments, {
      spec: { attacher: 'a.b', nodeName: 'n', source: { inlineVolumeSpec } },
    });
    const at = (field: string) => `spec.source.inlineVolumeSpec.${field}`;
    check(createErrors(volumeAttachments, attachment), [
      at('accessModes: Required value'),
      at('claimRef: Forbidden: may not be specified in the context of inline volumes'),
      at('capacity: Forbidden: may not be specified in the context of inline volumes'),
      at('csi: Required value: has to be specified in the context of inline volumes'),
      at('persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes'),
      at('storageClassName: Forbidden: may not be specified in the context of inline volumes'),
      at('volumeMode: Forbidden: may not specify volumeMode other than Filesystem'),
    ]);
  });

  it('an ephemeral one has a whole claim for a template', () => {
    const template = {
      metadata: { name: 'x', labels: { a: '?' } },
      spec: { accessModes: ['Any'], volumeMode: 'Tape' },
    };
    const at = (text: string) => `spec.volumes[0].ephemeral.volumeClaimTemplate.${text}`;
    check(createErrors(pods, pod({ ephemeral: { volumeClaimTemplate: template } })), [
      at('metadata.labels: Invalid value: "?"'),
      at('metadata.name: Forbidden: cannot be set'),
      at('spec.accessModes: Unsupported value: "Any"'),
      at('spec.resources[storage]: Required value'),
      at('spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'),
    ]);
  });
});

describe('volumes: changes', () => {
  const local = (...hosts: string[]) =>
    volume({
      hostPath: { path: '/a' },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'h', operator: 'In', values: hosts }] }],
        },
      },
    });
  const secret = { controllerExpandSecretRef: { name: 's', namespace: 'n' } };
  const attributes = (name?: string) =>
    volume({ csi: { driver: 'a.b', volumeHandle: 'h' }, volumeAttributesClassName: name });
  const cases: [string, PersistentVolume, PersistentVolume, string[]][] = [
    ['a secret for growing may be added', csi(), csi(secret), []],
    ['and not be taken away', csi(secret), csi(), ['spec.persistentvolumesource: Forbidden']],
    ['node affinity may be added', volume({ hostPath: { path: '/a' } }), local('a'), []],
    ['and not be changed', local('a'), local('b'), ['nodeAffinity: Invalid value: ']],
    ['a class of attributes may change', attributes('a'), attributes('b'), []],
    [
      'and not be taken away',
      attributes('a'),
      attributes(),
      ['spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden'],
    ],
  ];
  for (const [title, before, after, expected] of cases)
    it(title, () =>
      check(updateErrors(persistentVolumes, created(persistentVolumes, before), after), expected),
    );

  it('the time of a change of phase is kept until the next one', () => {
    const old = created(persistentVolumes, csi());
    const to = (phase: string, time?: string) => {
      const value = defaulted(persistentVolumes, csi());
      value.status = { phase, ...(time ? { lastPhaseTransitionTime: time } : {}) };
      persistentVolumes.prepareForStatusUpdate!(value, {
        ...old,
        status: { phase: 'Pending', lastPhaseTransitionTime: '2020-01-01T00:00:00Z' },
      });
      return value.status.lastPhaseTransitionTime;
    };
    assert.equal(to('Pending'), '2020-01-01T00:00:00Z');
    assert.equal(to('Bound', '2021-01-01T00:00:00Z'), '2021-01-01T00:00:00Z');
    assert.notEqual(to('Bound', '2020-01-01T00:00:00Z'), '2020-01-01T00:00:00Z');
  });

  it('sources have the defaults that they have in pods', () => {
    const { spec } = defaulted(persistentVolumes, volume({ rbd: { monitors: ['m'], image: 'i' } }));
    assert.deepEqual(spec.rbd, {
      monitors: ['m'],
      image: 'i',
      pool: 'rbd',
      user: 'admin',
      keyring: '/etc/ceph/keyring',
    });
  });
});

describe('claims', () => {
  const ref = (kind: string, more: object = {}) => ({ apiGroup: 'a.b', kind, name: 'x', ...more });
  const errors: [string, PersistentVolumeClaim, string[]][] = [
    [
      'a source in no group',
      claim({ dataSourceRef: { kind: 'Thing', name: '' } }),
      [
        'spec.dataSource.name: Required value',
        'spec.dataSource: Invalid value: "Thing": must be \'PersistentVolumeClaim\' when referencing the default apiGroup',
        'spec.dataSourceRef.name: Required value',
        'spec.dataSourceRef: Invalid value: "Thing": must be \'PersistentVolumeClaim\' when referencing the default apiGroup',
      ],
    ],
    [
      'two sources',
      claim({ dataSource: ref('A'), dataSourceRef: ref('B') }),
      ['spec: Invalid value: "spec.dataSource": must match dataSourceRef'],
    ],
    [
      'a class of attributes',
      claim({ volumeAttributesClassName: 'A' }),
      ['spec.volumeAttributesClassName: Invalid value: "A"'],
    ],
  ];
  for (const [title, value, expected] of errors)
    it(title, () => check(createErrors(persistentVolumeClaims, value), expected));

  it('one source stands in both fields, and what the older one never took is dropped', () => {
    const sources = (spec: object) => {
      const { dataSource, dataSourceRef } = created(persistentVolumeClaims, claim(spec)).spec;
      return [dataSource, dataSourceRef];
    };
    assert.deepEqual(sources({ dataSourceRef: ref('A') }), [ref('A'), ref('A')]);
    assert.deepEqual(sources({ dataSource: ref('A') }), [undefined, undefined]);
    const snapshot = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' };
    assert.deepEqual(sources({ dataSource: snapshot }), [snapshot, snapshot]);
    assert.deepEqual(sources({ dataSourceRef: ref('A', { namespace: 'n' }) }), [undefined, undefined]);
  });

  const bound = { status: { phase: 'Bound', capacity: { storage: '1Gi' } } };
  const beta = (name: string) => ({ annotations: { 'volume.beta.kubernetes.io/storage-class': name } });
  const immutable = 'spec: Forbidden: spec is immutable after creation except resources.requests';
  const changes: [string, PersistentVolumeClaim, PersistentVolumeClaim, string[]][] = [
    ['a bound claim may grow', claim({}, bound), claim(resized('2Gi'), bound), []],
    ['and take back what did not work', claim(resized('3Gi'), bound), claim(resized('2Gi'), bound), []],
    [
      'but not shrink',
      claim(resized('3Gi'), bound),
      claim(resized('1Gi'), bound),
      ['spec.resources.requests.storage: Forbidden: field can not be less than status.capacity'],
    ],
    ['a class may be given', claim(), claim({ storageClassName: 's' }), []],
    ['and not be changed', claim({ storageClassName: 's' }), claim({ storageClassName: 't' }), [immutable]],
    [
      'the annotation stays',
      claim({}, {}, beta('s')),
      claim({}, {}, beta('t')),
      [
        'metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: "t": field is immutable',
      ],
    ],
    [
      'the class of attributes of a bound claim may change',
      claim({ volumeAttributesClassName: 'a' }, bound),
      claim({ volumeAttributesClassName: 'b' }, bound),
      [],
    ],
    [
      'of another it may not',
      claim({ volumeAttributesClassName: 'a' }),
      claim({ volumeAttributesClassName: 'b' }),
      [immutable],
    ],
    [
      'nor go away',
      claim({ volumeAttributesClassName: 'a' }, bound),
      claim({}, bound),
      [immutable, 'spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden'],
    ],
  ];
  for (const [title, before, after, expected] of changes)
    it(title, () =>
      check(updateErrors(persistentVolumeClaims, defaulted(persistentVolumeClaims, before), after), expected),
    );

  it('a status names known resources and states', () => {
    const status = {
      capacity: { storage: '-1' },
      allocatedResources: { cpu: '1' },
      allocatedResourceStatuses: { storage: 'Soon' },
    };
    const errors = persistentVolumeClaims.validateStatusUpdate!(claim({}, { status }), claim());
    check(
      errors.map(({ field, message }) => `${field}: ${message}`),
      [
        'status.capacity[storage]: Invalid value: -1: must be a valid resource quantity',
        'status.allocatedResourceStatus: Unsupported value: "storage": supported values: "ControllerResizeInProgress"',
        'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"',
      ],
    );
  });

  it('warnings', () => {
    const value = claim(resized('1500m'), {}, beta('s'));
    check(persistentVolumeClaims.warnings!(value, undefined), [
      'metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead',
      'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
    ]);
    check(
      persistentVolumes.warnings!(
        volume(
          { rbd: {}, persistentVolumeReclaimPolicy: 'Recycle' },
          { annotations: { 'volume.beta.kubernetes.io/mount-options': 'ro' } },
        ),
        undefined,
      ),
      [
        'metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" attribute instead',
        'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated.',
        'spec.rbd: deprecated in v1.28, non-functional in v1.31+',
      ],
    );
  });
});
