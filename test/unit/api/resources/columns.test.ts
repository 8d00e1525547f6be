import assert from 'node:assert/strict';
import { humanDuration } from '../../../../src/api/resources/columns.js';
import * as kinds from '../../../../src/api/resources/index.js';
import { ago, NOW, object, row } from './support.js';

const { pods } = kinds;

describe('humanDuration', () => {
  const s = 1;
  const m = 60;
  const h = 60 * m;
  const d = 24 * h;
  const cases: [number, string][] = [
    [-2 * s, '<invalid>'],
    [-1 * s, '0s'],
    [0, '0s'],
    [119 * s, '119s'],
    [2 * m, '2m'],
    [2 * m + 5, '2m5s'],
    [10 * m + 5, '10m'],
    [179 * m, '179m'],
    [3 * h, '3h'],
    [3 * h + 5 * m, '3h5m'],
    [8 * h + 5 * m, '8h'],
    [47 * h, '47h'],
    [48 * h, '2d'],
    [50 * h, '2d2h'],
    [8 * d + h, '8d'],
    [729 * d, '729d'],
    [730 * d, '2y'],
    [731 * d, '2y1d'],
    [8 * 365 * d + d, '8y'],
  ];
  for (const [seconds, expected] of cases)
    it(`${seconds}s is ${expected}`, () => {
      assert.equal(humanDuration(seconds * 1000), expected);
    });
});

describe('columns', () => {
  it('are those of kubectl get', () => {
    const names = Object.fromEntries(
      kinds.resources.map((r) => [
        r.plural,
        r.columns.map((c) => (c.priority ? `(${c.name})` : c.name)).join(' '),
      ]),
    );
    assert.deepEqual(names, {
      configmaps: 'Name Data Age',
      endpoints: 'Name Endpoints Age',
      events: 'Last Seen Type Reason Object (Subobject) (Source) Message (First Seen) (Count) (Name)',
      namespaces: 'Name Status Age',
      nodes:
        'Name Status Roles Age Version (Internal-IP) (External-IP) (OS-Image) (Kernel-Version) (Container-Runtime)',
      poddisruptionbudgets: 'Name Min Available Max Unavailable Allowed Disruptions Age',
      podtemplates: 'Name Containers Images Pod Labels',
      priorityclasses: 'Name Value Global-Default Age PreemptionPolicy',
      pods: 'Name Ready Status Restarts Age (IP) (Node) (Nominated Node) (Readiness Gates)',
      secrets: 'Name Type Data Age',
      serviceaccounts: 'Name Secrets Age',
      services: 'Name Type Cluster-IP External-IP Port(s) Age (Selector)',
      controllerrevisions: 'Name Controller Revision Age',
      daemonsets:
        'Name Desired Current Ready Up-to-date Available Node Selector Age (Containers) (Images) (Selector)',
      deployments: 'Name Ready Up-to-date Available Age (Containers) (Images) (Selector)',
      replicasets: 'Name Desired Current Ready Age (Containers) (Images) (Selector)',
      replicationcontrollers: 'Name Desired Current Ready Age (Containers) (Images) (Selector)',
      statefulsets: 'Name Ready Age (Containers) (Images)',
      cronjobs: 'Name Schedule Timezone Suspend Active Last Schedule Age (Containers) (Images) (Selector)',
      jobs: 'Name Status Completions Duration Age (Containers) (Images) (Selector)',
      horizontalpodautoscalers: 'Name Reference Targets MinPods MaxPods Replicas Age',
      leases: 'Name Holder Age',
      endpointslices: 'Name AddressType Ports Endpoints Age',
      persistentvolumes:
        'Name Capacity Access Modes Reclaim Policy Status Claim StorageClass VolumeAttributesClass Reason Age (VolumeMode)',
      persistentvolumeclaims:
        'Name Status Volume Capacity Access Modes StorageClass VolumeAttributesClass Age (VolumeMode)',
      limitranges: 'Name Created At',
      resourcequotas: 'Name Request Limit Age',
      ingressclasses: 'Name Controller Parameters Age',
      ingresses: 'Name Class Hosts Address Ports Age',
      roles: 'Name Created At',
      clusterroles: 'Name Created At',
      rolebindings: 'Name Role Age (Users) (Groups) (ServiceAccounts)',
      clusterrolebindings: 'Name Role Age (Users) (Groups) (ServiceAccounts)',
      networkpolicies: 'Name Pod-Selector Age',
      ipaddresses: 'Name ParentRef',
      servicecidrs: 'Name CIDRs Age',
      storageclasses: 'Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age',
      volumeattributesclasses: 'Name DriverName Age',
      csidrivers:
        'Name AttachRequired PodInfoOnMount StorageCapacity TokenRequests RequiresRepublish Modes Age',
      csinodes: 'Name Drivers Age',
      csistoragecapacities: 'Name StorageClassName Capacity',
      customresourcedefinitions: 'Name Created At',
      volumeattachments: 'Name Attacher PV Node Attached Age',
      runtimeclasses: 'Name Handler Age',
      certificatesigningrequests: 'Name Age SignerName Requestor RequestedDuration Condition',
      mutatingadmissionpolicies: 'Name Mutations ParamKind Age',
      mutatingadmissionpolicybindings: 'Name PolicyName ParamRef Age',
      mutatingwebhookconfigurations: 'Name Webhooks Age',
      validatingadmissionpolicies: 'Name Validations ParamKind Age',
      validatingadmissionpolicybindings: 'Name PolicyName ParamRef Age',
      validatingwebhookconfigurations: 'Name Webhooks Age',
      apiservices: 'Name Service Available Age',
      flowschemas: 'Name PriorityLevel MatchingPrecedence DistinguisherMethod Age MissingPL',
      deviceclasses: 'Name Age',
      resourceclaims: 'Name State Age',
      resourceclaimtemplates: 'Name Age',
      resourceslices: 'Name Node Driver Pool Age',
      prioritylevelconfigurations: 'Name Type NominalConcurrencyShares Queues HandSize QueueLengthLimit Age',
    });
  });
});

describe('columns of other kinds', () => {
  const template = {
    spec: {
      containers: [
        { name: 'a', image: 'nginx' },
        { name: 'b', image: 'redis:7' },
      ],
    },
  };
  const selector = {
    matchLabels: { app: 'web' },
    matchExpressions: [{ key: 'tier', operator: 'In', values: ['b', 'a'] }],
  };

  it('deployments and replica sets', () => {
    const deployment = object(kinds.deployments, {
      spec: { replicas: 3, selector, template },
      status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
    });
    assert.deepEqual(row(kinds.deployments, deployment), {
      Name: 'x',
      Ready: '1/3',
      'Up-to-date': 2,
      Available: 1,
      Age: '90s',
      Containers: 'a,b',
      Images: 'nginx,redis:7',
      Selector: 'app=web,tier in (a,b)',
    });
    const set = object(kinds.replicaSets, { spec: { replicas: 3, selector, template } });
    const cells = row(kinds.replicaSets, set);
    assert.deepEqual([cells['Desired'], cells['Current'], cells['Ready']], [3, 0, 0]);
  });

  it('nodes', () => {
    const node = object(
      kinds.nodes,
      {
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: 'Ready', status: 'True' }],
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
          nodeInfo: { kubeletVersion: 'v1.36.0', osImage: 'Debian', kernelVersion: '6.1' },
        },
      },
      { labels: { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' } },
    );
    assert.deepEqual(row(kinds.nodes, node), {
      Name: 'x',
      Status: 'Ready,SchedulingDisabled',
      Roles: 'control-plane,worker',
      Age: '90s',
      Version: 'v1.36.0',
      'Internal-IP': '10.0.0.1',
      'External-IP': '<none>',
      'OS-Image': 'Debian',
      'Kernel-Version': '6.1',
      'Container-Runtime': '<unknown>',
    });
    assert.equal(row(kinds.nodes, object(kinds.nodes, { spec: {} }))['Status'], 'Unknown');
  });

  const services: [string, Record<string, unknown>, Record<string, unknown>, unknown[]][] = [
    [
      'ClusterIP',
      {
        type: 'ClusterIP',
        clusterIPs: ['10.0.0.1'],
        ports: [{ port: 80, protocol: 'TCP' }],
        selector: { b: '2', a: '1' },
      },
      {},
      ['10.0.0.1', '<none>', '80/TCP', 'a=1,b=2'],
    ],
    [
      'NodePort',
      { type: 'NodePort', clusterIPs: ['10.0.0.1'], ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] },
      {},
      ['10.0.0.1', '<none>', '80:30080/TCP', '<none>'],
    ],
    ['LoadBalancer', { type: 'LoadBalancer', ports: [] }, {}, ['<none>', '<pending>', '<none>', '<none>']],
    [
      'LoadBalancer with addresses',
      { type: 'LoadBalancer', externalIPs: ['1.2.3.4'] },
      { loadBalancer: { ingress: [{ ip: '5.6.7.8' }, { hostname: 'lb.example.com' }] } },
      ['<none>', '5.6.7.8,lb.example.com,1.2.3.4', '<none>', '<none>'],
    ],
    [
      'ExternalName',
      { type: 'ExternalName', externalName: 'a.b' },
      {},
      ['<none>', 'a.b', '<none>', '<none>'],
    ],
  ];
  for (const [what, spec, status, expected] of services)
    it(`services: ${what}`, () => {
      const cells = row(kinds.services, object(kinds.services, { spec, status }));
      assert.deepEqual(
        ['Cluster-IP', 'External-IP', 'Port(s)', 'Selector'].map((name) => cells[name]),
        expected,
      );
    });

  it('endpoints and slices', () => {
    const subsets = [
      {
        addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
        ports: [{ port: 80 }, { port: 443 }],
      },
    ];
    const cell = (value: Record<string, unknown>) =>
      row(kinds.endpoints, object(kinds.endpoints, value))['Endpoints'];
    assert.equal(cell({ subsets }), '10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more...');
    assert.equal(cell({}), '<none>');
    const slice = row(
      kinds.endpointSlices,
      object(kinds.endpointSlices, {
        addressType: 'IPv4',
        ports: [{ port: 80 }],
        endpoints: [{ addresses: ['10.0.0.1'] }, { addresses: ['10.0.0.2'] }],
      }),
    );
    assert.deepEqual([slice['Ports'], slice['Endpoints']], ['80', '10.0.0.1,10.0.0.2']);
    const empty = row(kinds.endpointSlices, object(kinds.endpointSlices, { addressType: 'IPv4' }));
    assert.deepEqual([empty['Ports'], empty['Endpoints']], ['<unset>', '<unset>']);
  });

  it('events', () => {
    const event = object(kinds.events, {
      involvedObject: { kind: 'Pod', name: 'web', fieldPath: 'spec.containers{c}' },
      type: 'Normal',
      reason: 'Pulled',
      message: ' done\n',
      count: 3,
      firstTimestamp: ago(600),
      lastTimestamp: ago(30),
      source: { component: 'kubelet', host: 'n' },
    });
    assert.deepEqual(row(kinds.events, event), {
      'Last Seen': '30s',
      Type: 'Normal',
      Reason: 'Pulled',
      Object: 'pod/web',
      Subobject: 'spec.containers{c}',
      Source: 'kubelet, n',
      Message: 'done',
      'First Seen': '10m',
      Count: 3,
      Name: 'x',
    });
    const series = object(kinds.events, {
      involvedObject: { kind: 'Node' },
      eventTime: ago(100),
      series: { count: 7, lastObservedTime: ago(5) },
    });
    const cells = row(kinds.events, series);
    assert.deepEqual([cells['Last Seen'], cells['First Seen'], cells['Count']], ['5s', '100s', 7]);
  });

  it('what counts its data', () => {
    const map = object(kinds.configMaps, { data: { a: '' }, binaryData: { b: '' } });
    assert.equal(row(kinds.configMaps, map)['Data'], 2);
    const secret = row(kinds.secrets, object(kinds.secrets, { type: 'Opaque', data: { a: '' } }));
    assert.deepEqual([secret['Type'], secret['Data']], ['Opaque', 1]);
    assert.equal(row(kinds.serviceAccounts, object(kinds.serviceAccounts, {}))['Secrets'], 0);
  });

  it('revisions, leases, namespaces', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: '1', controller: true };
    const revision = row(
      kinds.controllerRevisions,
      object(kinds.controllerRevisions, { revision: 2 }, { ownerReferences: [owner] }),
    );
    assert.deepEqual([revision['Controller'], revision['Revision']], ['daemonset.apps/d', 2]);
    const lease = object(kinds.leases, { spec: { holderIdentity: 'n' } });
    assert.equal(row(kinds.leases, lease)['Holder'], 'n');
    const namespace = object(kinds.namespaces, { status: { phase: 'Active' } });
    assert.equal(row(kinds.namespaces, namespace)['Status'], 'Active');
  });

  it('rows of pods that have ended', () => {
    const conditions = (phase: string) => pods.rowConditions!(object(pods, { spec: {}, status: { phase } }));
    const ended = { type: 'Completed', status: 'True' };
    assert.deepEqual(conditions('Running'), []);
    assert.deepEqual(conditions('Failed'), [{ ...ended, reason: 'Failed', message: 'The pod failed.' }]);
    assert.deepEqual(conditions('Succeeded'), [
      { ...ended, reason: 'Succeeded', message: 'The pod has completed successfully.' },
    ]);
  });

  for (const [what, hosts, expected] of [
    ['none', [], '*'],
    ['any host', [''], '*'],
    ['three', ['a', 'b', 'c'], 'a,b,c'],
    ['the same twice', ['a', 'a'], 'a,a'],
    ['more', ['a', 'b', 'c', 'd', ''], 'a,b,c + 2 more...'],
    ['rules without a host between', ['', 'a', 'b', 'c'], 'a,b,c'],
    ['rules without a host at the end', ['a', 'b', 'c', ''], 'a,b,c + 1 more...'],
  ] as const)
    it(`hosts of ingresses: ${what}`, () => {
      const spec = { rules: hosts.map((host) => ({ host })) };
      assert.equal(row(kinds.ingresses, object(kinds.ingresses, { spec }))['Hosts'], expected);
    });

  for (const [paramRef, expected] of [
    [undefined, '<unset>'],
    [{ name: 'p' }, '*/p'],
    [{ name: 'p', namespace: 'n' }, 'n/p'],
    [
      {
        selector: {
          matchLabels: { b: '2', a: '1' },
          matchExpressions: [{ key: 'c', operator: 'In', values: ['x', 'y'] }],
        },
      },
      '&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:c,Operator:In,Values:[x y],},},}',
    ],
  ] as const)
    it(`parameters of policies: ${expected}`, () => {
      const binding = object(kinds.validatingAdmissionPolicyBindings, { spec: { paramRef } });
      assert.equal(row(kinds.validatingAdmissionPolicyBindings, binding)['ParamRef'], expected);
    });

  it('addresses of ingresses', () => {
    const ingress = [{ hostname: 'b' }, { ip: '1.2.3.4' }, { hostname: 'b' }];
    const cells = row(
      kinds.ingresses,
      object(kinds.ingresses, { spec: {}, status: { loadBalancer: { ingress } } }),
    );
    assert.equal(cells['Address'], '1.2.3.4,b');
  });

  it('storage', () => {
    const cell = (resource: unknown, fields: Record<string, unknown>) =>
      row(resource as typeof pods, object(resource as typeof pods, fields))['Capacity'];
    assert.equal(cell(kinds.persistentVolumes, { spec: {} }), '0');
    assert.equal(cell(kinds.persistentVolumeClaims, { spec: { volumeName: 'v' } }), '0');
    assert.equal(cell(kinds.persistentVolumeClaims, { spec: {} }), '');
    assert.equal(cell(kinds.csiStorageCapacities, { storageClassName: 's' }), '<unset>');
  });

  it('a time that is not known', () => {
    const secret = object(kinds.secrets, {}, { creationTimestamp: undefined });
    assert.equal(kinds.secrets.columns.at(-1)!.cell(secret, NOW), '<unknown>');
  });
});
