/** Which errors the creation of objects of the smaller kinds ends with. */
import assert from 'node:assert/strict';
import * as all from '../../../../src/api/resources/index.js';
import { CSR, claim, event, ingress, make, of, policy, regarding, volume, webhook } from './kinds-support.js';
import { createErrors } from './support.js';

describe('kinds: errors of creation', () => {
  for (const [resource, fields, expected] of [
    [all.eventsV1, event(), []],
    [
      all.eventsV1,
      event({ reportingController: '', note: 'x'.repeat(1025), series: { count: 1 } }),
      [
        'reportingController: Required value',
        'reportingController: Invalid value: "": name part must be non-empty',
        "reportingController: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        'message: Invalid value: "": can have at most 1024 characters',
        'series.count: Invalid value: "": should be at least 2',
        'series.lastObservedTime: Required value',
      ],
    ],
    [
      all.eventsV1,
      { regarding, type: 'Bad', deprecatedCount: 1, deprecatedSource: { host: 'n' } },
      [
        'eventTime: Required value',
        'type: Invalid value: "": has invalid value: Bad',
        'count: Invalid value: "": needs to be unset',
        'source: Invalid value: "": needs to be unset',
      ],
    ],
    [all.roles, { rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] }, []],
    [
      all.roles,
      { rules: [{ verbs: [] }] },
      [
        'rules[0].verbs: Required value: verbs must contain at least one value',
        'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
        'rules[0].resources: Required value: resource rules must supply at least one resource',
      ],
    ],
    [
      all.roles,
      { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] },
      ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'],
    ],
    [all.clusterRoles, { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] }, []],
    [
      all.clusterRoles,
      { aggregationRule: {} },
      [
        'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
      ],
    ],
    [
      all.roleBindings,
      { roleRef: { kind: 'Pod', name: '' }, subjects: [{ kind: 'Robot', name: 'x' }] },
      [
        'roleRef.kind: Unsupported value: "Pod": supported values: "Role", "ClusterRole"',
        'roleRef.name: Required value',
        'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      ],
    ],
    [
      all.clusterRoleBindings,
      { roleRef: { kind: 'ClusterRole', name: 'x' }, subjects: [{ kind: 'ServiceAccount', name: 'x' }] },
      ['subjects[0].namespace: Required value'],
    ],
    [all.ingresses, ingress({ path: '/', pathType: 'Prefix' }), []],
    [
      all.ingresses,
      ingress({ path: 'x' }),
      ['spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified'],
    ],
    [
      all.ingresses,
      ingress({ path: 'a//b', pathType: 'Exact' }),
      [
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must be an absolute path',
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must not contain \'//\'',
      ],
    ],
    [
      all.ingresses,
      { spec: {} },
      ['spec: Invalid value: null: either `defaultBackend` or `rules` must be specified'],
    ],
    [
      all.ingressClasses,
      { spec: { controller: 'x' } },
      ['spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [all.networkPolicies, policy({ ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }] }), []],
    [
      all.networkPolicies,
      policy({
        ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/9'] }, podSelector: {} }] }],
        egress: [{ to: [{}], ports: [{ port: 90, endPort: 80 }] }],
      }),
      [
        'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/9": must be a strict subset of `cidr`',
        'spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer',
        'spec.egress[0].ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`',
        'spec.egress[0].to[0]: Required value: must specify a peer',
      ],
    ],
    [all.storageClasses, { provisioner: 'example.com/x' }, []],
    [
      all.storageClasses,
      { reclaimPolicy: 'Recycle' },
      [
        'provisioner: Required value',
        'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
      ],
    ],
    [
      all.volumeAttributesClasses,
      { driverName: 'example.com' },
      ['parameters: Required value: must contain at least one key/value pair'],
    ],
    [
      all.csiDrivers,
      { spec: { fsGroupPolicy: 'x' } },
      [
        'spec.fsGroupPolicy: Unsupported value: "x": supported values: "File", "None", "ReadWriteOnceWithFSType"',
      ],
    ],
    [
      all.csiNodes,
      { spec: { drivers: [{ name: 'a.b', nodeID: '' }] } },
      ['spec.drivers[0].nodeID: Required value'],
    ],
    [
      all.volumeAttachments,
      { spec: { attacher: 'a.b', nodeName: 'n', source: {} } },
      ['spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName'],
    ],
    [all.persistentVolumeClaims, claim(), []],
    [
      all.persistentVolumeClaims,
      { spec: {} },
      [
        'spec.accessModes: Required value: at least 1 access mode is required',
        'spec.resources[storage]: Required value',
      ],
    ],
    [
      all.persistentVolumeClaims,
      claim({ accessModes: ['ReadWriteOncePod', 'ReadWriteOnce'] }),
      ['spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
    ],
    [all.persistentVolumes, volume(), []],
    [
      all.persistentVolumes,
      { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '0' } } },
      [
        'spec.capacity[storage]: Invalid value: "0": must be greater than zero',
        'spec: Required value: must specify a volume type',
      ],
    ],
    [
      all.persistentVolumes,
      volume({ hostPath: undefined, local: { path: '/x' } }),
      ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
    ],
    [
      all.limitRanges,
      { spec: { limits: [{ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } }] } },
      [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
      ],
    ],
    [
      all.limitRanges,
      { spec: { limits: [{ type: 'Pod', default: { cpu: '1' } }] } },
      ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
    ],
    [
      all.resourceQuotas,
      { spec: { hard: { pods: '2', 'requests.cpu': '500m', 'count/jobs.batch': '1' } } },
      [],
    ],
    [
      all.resourceQuotas,
      { spec: { hard: { pods: '1500m', wrong: '1' }, scopes: ['BestEffort', 'NotBestEffort'] } },
      [
        'spec.hard[pods]: Invalid value: "1500m": must be an integer',
        'spec.hard[wrong]: Invalid value: "wrong": must be a standard resource type or fully qualified',
        'spec.hard[wrong]: Invalid value: "wrong": must be a standard resource for quota',
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
      ],
    ],
    [
      all.resourceQuotas,
      {
        spec: {
          hard: { 'requests.memory': '1Gi', 'requests.storage': '1Gi' },
          scopes: ['BestEffort'],
          scopeSelector: {
            matchExpressions: [
              { scopeName: 'VolumeAttributesClass', operator: 'In' },
              { scopeName: 'Terminating', operator: 'In', values: ['x'] },
            ],
          },
        },
      },
      [
        'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
        'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
        /^spec\.scopeSelector\.matchExpressions: Invalid value: .*: unsupported scope applied to resource$/,
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        /^spec\.scopeSelector\.matchExpressions: Invalid value: .*: unsupported scope applied to resource$/,
        /^spec\.scopeSelector\.matchExpressions\.operator: Invalid value: "In": must be 'Exists' when scope is any of/,
      ],
    ],
    [
      all.limitRanges,
      {
        spec: {
          limits: [
            { type: 'Container', max: { pods: '1' }, maxLimitRequestRatio: { cpu: '500m' } },
            { type: 'PersistentVolumeClaim', max: { storage: '1Gi' }, min: { disk: '1' } },
          ],
        },
      },
      [
        'spec.limits[0].max[pods]: Invalid value: "pods": must be a standard resource for containers',
        'spec.limits[0].default[pods]: Invalid value: "pods": must be a standard resource for containers',
        'spec.limits[0].defaultRequest[pods]: Invalid value: "pods": must be a standard resource for containers',
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
        'spec.limits[1].min[disk]: Invalid value: "disk": must be a standard resource type or fully qualified',
      ],
    ],
    [
      all.limitRanges,
      {
        spec: {
          limits: [
            {
              type: 'Container',
              default: { 'example.com/gpu': '2' },
              defaultRequest: { 'example.com/gpu': '1' },
            },
          ],
        },
      },
      [
        'spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in example.com/gpu',
      ],
    ],
    [
      all.namespaces,
      { spec: { finalizers: ['mine'] } },
      [
        'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
      ],
    ],
    [all.runtimeClasses, { handler: 'runc' }, []],
    [
      all.runtimeClasses,
      { handler: 'runc', overhead: { podFixed: { cpu: '-1' } } },
      ['overhead.podFixed.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ],
    [
      all.flowSchemas,
      { spec: { matchingPrecedence: 1, distinguisherMethod: { type: 'ByHost' }, rules: [{}] } },
      [
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
        'spec.distinguisherMethod.type: Unsupported value: {"type":"ByHost"}: supported values: "ByNamespace", "ByUser"',
        'spec.priorityLevelConfiguration.name: Required value: must reference a priority level',
        'spec.rules[0].subjects: Required value: subjects must contain at least one value',
        'spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty',
      ],
    ],
    [
      all.flowSchemas,
      {
        spec: {
          priorityLevelConfiguration: { name: 'l' },
          rules: [
            {
              subjects: [
                { kind: 'Robot' },
                { kind: 'User', group: { name: 'g' } },
                { kind: 'ServiceAccount', serviceAccount: { name: '*' } },
              ],
              resourceRules: [
                { verbs: ['get', '*'], apiGroups: ['', '*'], resources: [], namespaces: ['A'] },
              ],
              nonResourceRules: [{ verbs: ['head'], nonResourceURLs: ['/a*', '/b/*', 'c'] }],
            },
          ],
        },
      },
      [
        'spec.rules[0].subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
        "spec.rules[0].subjects[1].user: Required value: user is required when subject kind is 'User'",
        "spec.rules[0].subjects[1].group: Forbidden: group is forbidden when subject kind is not 'Group'",
        'spec.rules[0].subjects[2].serviceAccount.namespace: Required value: must specify namespace for service account',
        'spec.rules[0].resourceRules[0].verbs: Invalid value: ["get","*"]: if \'*\' is present, must not specify other verbs',
        'spec.rules[0].resourceRules[0].apiGroups: Invalid value: ["","*"]: if \'*\' is present, must not specify other api groups',
        'spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one resource',
        /^spec\.rules\[0\]\.resourceRules\[0\]\.namespaces\[0\]: Invalid value: "A": each member of this list must be '\*' or a DNS-1123 label; a lowercase/,
        /^spec\.rules\[0\]\.nonResourceRules\[0\]\.verbs: Unsupported value: \["head"\]: supported values: "create", /,
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "/a*": wildcard can only do suffix matching',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: "c": must start with slash',
      ],
    ],
    [
      all.priorityLevelConfigurations,
      { spec: { type: 'Exempt', exempt: { lendablePercent: 101, nominalConcurrencyShares: -1 } } },
      [
        "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
        'spec.exempt.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer',
        'spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive',
      ],
    ],
    [
      all.priorityLevelConfigurations,
      {
        spec: {
          type: 'Limited',
          limited: {
            borrowingLimitPercent: -1,
            limitResponse: { type: 'Queue', queuing: { queues: 10_000, handSize: 8, queueLengthLimit: 0 } },
          },
        },
      },
      [
        'spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer',
        'spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: 0: must be positive',
        'spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 10000 and handSize 8 should not be greater than 60',
      ],
    ],
    [
      all.storageClasses,
      {
        provisioner: 'a.b/c',
        allowedTopologies: [
          { matchLabelExpressions: [{ key: 'zone', values: ['a', 'b'] }] },
          { matchLabelExpressions: [{ key: 'zone', values: ['b', 'a'] }] },
        ],
      },
      ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
    ],
    [
      all.csiDrivers,
      { spec: { volumeLifecycleModes: ['x'], nodeAllocatableUpdatePeriodSeconds: 5 } },
      [
        'spec.volumeLifecycleModes: Unsupported value: "x": supported values: "Persistent", "Ephemeral"',
        'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds',
      ],
    ],
    [
      all.csiNodes,
      { spec: { drivers: [{ name: 'a.b', nodeID: 'n', topologyKeys: ['z', 'z'] }] } },
      ['spec.drivers[0]: Duplicate value: "z"'],
    ],
    [
      all.volumeAttachments,
      { spec: { nodeName: 'n', source: { persistentVolumeName: 'P', inlineVolumeSpec: {} } } },
      [
        'spec.attacher: Required value',
        'spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
        'spec.attacher: Required value',
        /^spec\.attacher: Invalid value: "": a lowercase RFC 1123 subdomain/,
        /^spec\.source\.persistentVolumeName: Invalid value: "P"/,
      ],
    ],
    [
      all.ingresses,
      {
        spec: {
          defaultBackend: { resource: { apiGroup: 'A', kind: '', name: 'a/b' } },
          tls: [{ hosts: ['ok.com', 'A'] }],
        },
      },
      [
        /^spec\.defaultBackend\.resource\.apiGroup: Invalid value: "A"/,
        'spec.defaultBackend.resource.kind: Required value: kind is required',
        'spec.defaultBackend.resource.name: Invalid value: "a/b": may not contain \'/\'',
        /^spec\.tls\[0\]\.hosts\[1\]: Invalid value: "A"/,
      ],
    ],
    [
      all.ingressClasses,
      { spec: { controller: 'a.b/c', parameters: { kind: 'K', name: 'n', namespace: 'x' } } },
      ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
    ],
    [
      all.certificateSigningRequests,
      { spec: { request: CSR, signerName: 'example.com/x', usages: ['client auth'] } },
      [],
    ],
    [
      all.certificateSigningRequests,
      { spec: { request: '', signerName: 'x', expirationSeconds: 5, usages: ['x'] } },
      [
        'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
        /^spec\.usages\[0\]: Unsupported value: "x"/,
        'spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form "example.com/signer-name"',
        'spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)',
      ],
    ],
    [all.validatingWebhookConfigurations, webhook(), []],
    [
      all.mutatingWebhookConfigurations,
      webhook({ name: 'short', sideEffects: undefined, clientConfig: {}, timeoutSeconds: 31 }),
      [
        'webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots',
        'webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun',
        'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds',
        'webhooks[0].clientConfig: Required value: exactly one of url or service is required',
      ],
    ],
    [
      all.mutatingWebhookConfigurations,
      webhook({
        name: 'a_b',
        failurePolicy: '',
        reinvocationPolicy: 'Always',
        clientConfig: { service: { name: 'a', path: '//b_c', port: 0 } },
        admissionReviewVersions: ['v2'],
      }),
      [
        /^webhooks\[0\]\.name: Invalid value: "a_b": a lowercase RFC 1123 subdomain/,
        /^webhooks\[0\]\.failurePolicy: Unsupported value: ""/,
        /^webhooks\[0\]\.reinvocationPolicy: Unsupported value: "Always"/,
        'webhooks[0].clientConfig.service.name: Required value',
        /^webhooks\[0\]\.clientConfig\.service\.port: Invalid value: 0: port is not valid: /,
        'webhooks[0].clientConfig.service.path: Invalid value: "//b_c": segment[0] may not be empty',
        /^webhooks\[0\]\.clientConfig\.service\.path: Invalid value: "\/\/b_c": segment\[1\]: a lowercase/,
        'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
      ],
    ],
    [
      all.mutatingWebhookConfigurations,
      webhook({ clientConfig: { url: 'example.com/x' } }),
      [
        'webhooks[0].clientConfig.url: Invalid value: "": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
        'webhooks[0].clientConfig.url: Invalid value: "": host must be specified; desired format: https://host[/path]',
      ],
    ],
  ] as [unknown, object, (string | RegExp)[]][]) {
    it(`${of(resource).kind} ${JSON.stringify(fields).slice(0, 90)}: ${expected.length}`, () => {
      const errors = createErrors(of(resource), make(resource, fields));
      assert.equal(errors.length, expected.length, errors.join('\n'));
      errors.forEach((text, i) => {
        const wanted = expected[i]!;
        if (typeof wanted === 'string') assert.equal(text, wanted);
        else assert.match(text, wanted);
      });
    });
  }
});
