import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { pods } from '../../../../src/api/resources/index.js';
import { createErrors, object } from './support.js';

const c = (fields: Record<string, unknown> = {}) => ({ name: 'c', image: 'nginx', ...fields });
const pod = (spec: Record<string, unknown>, metadata = {}): Pod =>
  object(pods, { spec: { containers: [c()], ...spec } }, metadata);
const withContainer = (fields: Record<string, unknown>, spec: Record<string, unknown> = {}) =>
  pod({ containers: [c(fields)], ...spec });
const mount = (fields: Record<string, unknown> = {}) => ({ name: 'v', mountPath: '/v', ...fields });
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/** Each expected text is the start of an error; there must be as many. */
function check(title: string, value: Pod, expected: string[]): void {
  it(title, () => {
    const errors = createErrors(pods, value);
    assert.equal(errors.length, expected.length, errors.join('\n'));
    expected.forEach((start, i) => {
      assert.ok(errors[i]!.startsWith(start), `${errors[i]}\n  is not\n${start}`);
    });
  });
}

describe('pod validation', () => {
  describe('containers', () => {
    check('a minimal pod is valid', pod({}), []);
    check('no containers', object(pods, { spec: {} }), ['spec.containers: Required value']);
    check('no spec', object(pods, {}), ['spec.containers: Required value']);
    check('name and image', pod({ containers: [{}] }), [
      'spec.containers[0].name: Required value',
      'spec.containers[0].image: Required value',
    ]);
    check('name', withContainer({ name: 'A' }), [`spec.containers[0].name: Invalid value: "A": ${label}`]);
    check('twice the same name', pod({ containers: [c(), c()], initContainers: [c()] }), [
      'spec.containers[1].name: Duplicate value: "c"',
      'spec.initContainers[0].name: Duplicate value: "c"',
    ]);
    check('image with a space', withContainer({ image: ' a' }), [
      'spec.containers[0].image: Invalid value: " a": must not have leading or trailing whitespace',
    ]);
    check('pull policy', withContainer({ imagePullPolicy: 'Maybe' }), [
      'spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"',
    ]);
    check('init container with a probe', pod({ initContainers: [c({ name: 'i', readinessProbe: {} })] }), [
      'spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
    ]);
    check(
      'sidecar with a probe',
      pod({
        initContainers: [
          c({ name: 'i', restartPolicy: 'Always', readinessProbe: { exec: { command: ['true'] } } }),
        ],
      }),
      [],
    );
    check(
      'restart rules',
      withContainer({
        restartPolicyRules: [{ action: 'Again', exitCodes: { values: [] } }],
      }),
      [
        'spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used',
        'spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Again": supported values: "Restart", "RestartAllContainers"',
        'spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "": supported values: "In", "NotIn"',
        'spec.containers[0].restartPolicyRules[0].exitCodes.values: Invalid value: []: must specify at least one value',
      ],
    );
    check('ephemeral containers on create', pod({ ephemeralContainers: [c({ name: 'e' })] }), [
      'spec.ephemeralContainers: Forbidden: cannot be set on create',
    ]);
    check(
      'ephemeral container with ports',
      pod({
        ephemeralContainers: [c({ name: 'e', ports: [{ containerPort: 1 }], targetContainerName: 'q' })],
      }),
      [
        'spec.ephemeralContainers[0].targetContainerName: Not found: "q"',
        'spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container',
        'spec.ephemeralContainers: Forbidden: cannot be set on create',
      ],
    );
  });

  describe('ports', () => {
    check(
      'numbers, names, protocols',
      withContainer({
        ports: [
          { containerPort: 70000 },
          { containerPort: 80, name: 'http', protocol: 'ICMP' },
          { containerPort: 81, name: 'http' },
          {},
        ],
      }),
      [
        'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
        'spec.containers[0].ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        'spec.containers[0].ports[2].name: Duplicate value: "http"',
        'spec.containers[0].ports[3].containerPort: Required value',
      ],
    );
    check(
      'the same host port twice',
      pod({
        containers: [
          c({ ports: [{ containerPort: 80, hostPort: 8080 }] }),
          c({ name: 'd', ports: [{ containerPort: 81, hostPort: 8080 }] }),
        ],
      }),
      ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//8080"'],
    );
    check(
      'another host port on the host network',
      withContainer({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }),
      [
        'spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true',
      ],
    );
  });

  describe('environment', () => {
    const env = (...list: Record<string, unknown>[]) => withContainer({ env: list });
    check('names', env({ name: '' }, { name: 'A=B' }), [
      'spec.containers[0].env[0].name: Required value',
      'spec.containers[0].env[1].name: Invalid value: "A=B": a valid environment variable name',
    ]);
    check(
      'value and valueFrom',
      env({ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }),
      [
        'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      ],
    );
    check('no source', env({ name: 'A', valueFrom: {} }), [
      'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`,',
    ]);
    check(
      'unsupported field',
      env({ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.labels' } } }),
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name",',
      ],
    );
    check('unknown field', env({ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } }), [
      'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo',
    ]);
    check(
      'one label',
      env({ name: 'A', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }),
      [],
    );
    check('config map key', env({ name: 'A', valueFrom: { configMapKeyRef: { name: 'A', key: '' } } }), [
      'spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Invalid value: "A"',
      'spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value',
    ]);
    check(
      'divisor',
      env({ name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '2' } } }),
      [
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
      ],
    );
    check('envFrom without a source', withContainer({ envFrom: [{}] }), [
      'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ]);
  });

  describe('resources', () => {
    check(
      'requests above limits',
      withContainer({ resources: { requests: { cpu: '2' }, limits: { cpu: '1000m' } } }),
      [
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      ],
    );
    check('unknown resource', withContainer({ resources: { requests: { cpus: '1' } } }), [
      'spec.containers[0].resources.requests[cpus]: Invalid value: "cpus": must be a standard resource type or fully qualified',
      'spec.containers[0].resources.requests[cpus]: Invalid value: "cpus": must be a standard resource for containers',
    ]);
    check('negative', withContainer({ resources: { limits: { memory: '-1' } } }), [
      'spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
      'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ]);
    check('half a device', withContainer({ resources: { limits: { 'example.com/gpu': '500m' } } }), [
      'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer',
      'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "500m": must be an integer',
    ]);
    check('huge pages alone', withContainer({ resources: { limits: { 'hugepages-2Mi': '4Mi' } } }), [
      'spec.containers[0].resources: Forbidden: HugePages require cpu or memory',
    ]);
    check(
      'containers above their pod',
      withContainer(
        { resources: { requests: { cpu: '2' } } },
        { resources: { requests: { cpu: '1' }, limits: { cpu: '1' } } },
      ),
      [
        'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2',
      ],
    );
  });

  describe('volumes', () => {
    const volumes = (...list: Record<string, unknown>[]) => pod({ volumes: list });
    check('mount of an unknown volume', withContainer({ volumeMounts: [mount()] }), [
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ]);
    check(
      'two mounts at one path',
      withContainer({ volumeMounts: [mount(), mount()] }, { volumes: [{ name: 'v' }] }),
      ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique'],
    );
    check(
      'sub path that leaves the volume',
      withContainer({ volumeMounts: [mount({ subPath: '../x' })] }, { volumes: [{ name: 'v' }] }),
      ['spec.containers[0].volumeMounts.subPath: Invalid value: "../x": must not contain \'..\''],
    );
    check(
      'bidirectional mount without privileges',
      withContainer(
        { volumeMounts: [mount({ mountPropagation: 'Bidirectional' })] },
        { volumes: [{ name: 'v' }] },
      ),
      [
        'spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers',
      ],
    );
    check('two of one name', volumes({ name: 'v' }, { name: 'v' }), [
      'spec.volumes[1].name: Duplicate value: "v"',
    ]);
    check('two sources', volumes({ name: 'v', emptyDir: {}, hostPath: { path: '/' } }), [
      'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
    ]);
    check(
      'required fields',
      volumes(
        { name: 'a', secret: {} },
        { name: 'b', configMap: {} },
        { name: 'c', persistentVolumeClaim: {} },
        { name: 'd', nfs: {} },
        { name: 'e', csi: {} },
        { name: 'f', hostPath: {} },
        { name: 'g', downwardAPI: { items: [{}] } },
        { name: 'h', ephemeral: {} },
        { name: 'i', image: {} },
      ),
      [
        'spec.volumes[0].secret.secretName: Required value',
        'spec.volumes[1].configMap.name: Required value',
        'spec.volumes[2].persistentVolumeClaim.claimName: Required value',
        'spec.volumes[3].nfs.server: Required value',
        'spec.volumes[3].nfs.path: Required value',
        'spec.volumes[3].nfs.path: Invalid value: "": must be an absolute path',
        'spec.volumes[4].csi.driver: Required value',
        'spec.volumes[4].csi.driver: Invalid value: ""',
        'spec.volumes[5].hostPath.path: Required value',
        'spec.volumes[6].downwardAPI.path: Required value',
        'spec.volumes[6].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required',
        'spec.volumes[7].ephemeral.volumeClaimTemplate: Required value',
        'spec.volumes[8].image.reference: Required value',
      ],
    );
    check(
      'modes and paths of items',
      volumes({
        name: 'v',
        secret: { secretName: 's', defaultMode: 1000, items: [{ key: 'k', path: '../p' }] },
      }),
      [
        'spec.volumes[0].secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive',
        'spec.volumes[0].secret.items[0].path: Invalid value: "../p": must not contain \'..\'',
      ],
    );
    check('host path type', volumes({ name: 'v', hostPath: { path: '/', type: 'Dir' } }), [
      'spec.volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice",',
    ]);
    check(
      'token without an account',
      volumes({
        name: 'v',
        projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 60 } }] },
      }),
      [
        'spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
        'spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set',
      ],
    );
  });

  describe('probes and handlers', () => {
    check('no handler', withContainer({ livenessProbe: {} }), [
      'spec.containers[0].livenessProbe: Required value: must specify a handler type',
    ]);
    check(
      'two handlers',
      withContainer({ livenessProbe: { exec: { command: ['true'] }, tcpSocket: { port: 1 } } }),
      ['spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type'],
    );
    check(
      'ports and thresholds',
      withContainer({ livenessProbe: { httpGet: { port: 0 }, successThreshold: 2, periodSeconds: -1 } }),
      [
        'spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive',
        'spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
        'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
      ],
    );
    check('a port by name', withContainer({ readinessProbe: { httpGet: { port: 'http' } } }), []);
    check(
      'sleep beyond the grace period',
      withContainer({ lifecycle: { preStop: { sleep: { seconds: 31 } } } }),
      [
        'spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)',
      ],
    );
  });

  describe('security', () => {
    check(
      'privileged without escalation',
      withContainer({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
      [
        'spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
      ],
    );
    check('user', withContainer({ securityContext: { runAsUser: -1 } }), [
      'spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295, inclusive',
    ]);
    check('seccomp', pod({ securityContext: { seccompProfile: { type: 'Localhost' } } }), [
      'spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
    ]);
    check(
      'sysctls',
      pod({
        hostNetwork: true,
        securityContext: {
          sysctls: [
            { name: 'net.ipv4.a', value: '1' },
            { name: 'A', value: '1' },
          ],
        },
      }),
      [
        'spec.securityContext.sysctls[0].name: Invalid value: "net.ipv4.a": may not be specified when \'hostNetwork\' is true',
        'spec.securityContext.sysctls[1].name: Invalid value: "A": must have at most 253 characters and match regex ^([a-z0-9]',
      ],
    );
    check('user namespace on the host network', pod({ hostUsers: false, hostNetwork: true }), [
      'spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false',
    ]);
    check('Linux fields on Windows', pod({ os: { name: 'windows' }, securityContext: { runAsUser: 1 } }), [
      'spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod',
    ]);
    check('operating system', pod({ os: { name: 'plan9' } }), [
      'spec.os: Unsupported value: "plan9": supported values: "linux", "windows"',
    ]);
  });

  describe('scheduling', () => {
    check(
      'node affinity',
      pod({
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'In' }] }],
            },
          },
        },
      }),
      [
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
      ],
    );
    check(
      'pod affinity',
      pod({
        affinity: {
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, podAffinityTerm: {} }],
          },
        },
      }),
      [
        'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100',
        'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Required value: can not be empty',
        'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Invalid value: "": name part must be non-empty',
        'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Invalid value: "": name part must consist of',
      ],
    );
    check(
      'tolerations',
      pod({
        tolerations: [
          {},
          { key: 'a', operator: 'Exists', value: 'b' },
          { key: 'a', effect: 'Never' },
          { key: 'a', tolerationSeconds: 1 },
        ],
      }),
      [
        'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
        'spec.tolerations[1].operator: Invalid value: "b": value must be empty when `operator` is \'Exists\'',
        'spec.tolerations[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        'spec.tolerations[3].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
      ],
    );
    check(
      'spread',
      pod({
        topologySpreadConstraints: [
          { maxSkew: 0, topologyKey: 'z', whenUnsatisfiable: 'ScheduleAnyway', minDomains: 1 },
        ],
      }),
      [
        'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
        'spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
      ],
    );
    check('gates and a node', pod({ schedulingGates: [{ name: 'a' }, { name: 'a' }], nodeName: 'n' }), [
      'spec.schedulingGates[1]: Duplicate value: "a"',
      'spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared',
    ]);
  });

  describe('the rest of the spec', () => {
    check('restart and DNS policies', pod({ restartPolicy: 'Sometimes', dnsPolicy: 'X' }), [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      'spec.dnsPolicy: Unsupported value: "X": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
    ]);
    check('DNS policy None', pod({ dnsPolicy: 'None' }), [
      'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None',
    ]);
    check('host aliases', pod({ hostAliases: [{ ip: 'x', hostnames: ['a_b'] }] }), [
      'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'spec.hostAliases[0].hostnames[0]: Invalid value: "a_b": a lowercase RFC 1123 subdomain',
    ]);
    check('deadline', pod({ activeDeadlineSeconds: 0 }), [
      'spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive',
    ]);
    check('hostname and node', pod({ hostname: 'a.b', nodeName: 'A' }), [
      'spec.nodeName: Invalid value: "A": a lowercase RFC 1123 subdomain',
      'spec.hostname: Invalid value: "a.b": must not contain dots',
    ]);
    check('deletion cost', pod({}, { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '+1' } }), [
      'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer',
    ]);
    check('readiness gate', pod({ readinessGates: [{ conditionType: 'a b' }] }), [
      'spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist',
    ]);
  });

  it('tells of all errors at once', () => {
    const errors = createErrors(
      pods,
      pod({ containers: [{ name: 'A' }, { name: 'b' }], restartPolicy: 'x', volumes: [{ name: '' }] }),
    );
    assert.equal(errors.length, 5, errors.join('\n'));
  });

  it('warns of what is hardly meant', () => {
    const value = pod(
      {
        containers: [
          c({
            env: [
              { name: 'A', value: '1' },
              { name: 'A', value: '2' },
            ],
          }),
        ],
        nodeSelector: { 'beta.kubernetes.io/os': 'linux' },
        terminationGracePeriodSeconds: -1,
      },
      { name: 'a.b' },
    );
    assert.deepEqual(pods.warnings!(value, undefined), [
      "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
      'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
      'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
      'spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1',
    ]);
    assert.deepEqual(pods.warnings!(value, value), []);
  });
});
