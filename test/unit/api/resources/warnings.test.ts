/** What is accepted but warned of, kind by kind. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../../../src/api/machinery/types.js';
import type { Resource } from '../../../../src/api/resources/define.js';
import * as all from '../../../../src/api/resources/index.js';
import { created, object } from './support.js';

const of = (resource: unknown) => resource as Resource<KubeObject>;
const c = (fields: object = {}) => ({ name: 'c', image: 'i', ...fields });
const pod = (spec: object) => ({ spec: { containers: [c()], ...spec } });
const template = (spec: object = {}, metadata: object = {}) => ({
  metadata: { labels: { a: 'b' }, ...metadata },
  spec: { containers: [c()], ...spec },
});
const workload = (t: object = template(), spec: object = {}) => ({
  spec: { selector: { matchLabels: { a: 'b' } }, template: t, ...spec },
});
const claims = { resources: { requests: { storage: '500m' } } };
const items = (...paths: string[]) => paths.map((path) => ({ key: 'k', path }));
const NAME =
  'metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]';

describe('warnings', () => {
  const cases: [string, unknown, object, string[], object?][] = [
    ['a name with dots', all.deployments, workload(), [NAME], { name: 'a.b' }],
    ['of a ReplicaSet', all.replicaSets, workload(), [NAME], { name: 'a.b' }],
    [
      'of a Job',
      all.jobs,
      { spec: { template: template({ restartPolicy: 'Never' }) } },
      [NAME],
      { name: 'a.b' },
    ],
    ['of a DaemonSet, whose pods may have it', all.daemonSets, workload(), [], { name: 'a.b' }],
    [
      'claims of a StatefulSet',
      all.statefulSets,
      workload(template(), { revisionHistoryLimit: -1, volumeClaimTemplates: [{ spec: claims }] }),
      [
        'spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer',
        'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
      ],
    ],
    [
      "files in each other's place",
      all.pods,
      pod({
        volumes: [
          { name: 'v', configMap: { name: 'm', items: items('a', 'a/b') } },
          {
            name: 'w',
            projected: {
              sources: [
                { configMap: { name: 'm', items: items('x') } },
                { serviceAccountToken: { path: 'x/y' } },
                {},
              ],
            },
          },
        ],
      }),
      [
        'volume "v" (ConfigMap "m"): overlapping paths: "a/b" with "a"',
        'volume "w" (Projected ServiceAccountToken): overlapping paths: "x/y" with "x"',
        'volume "w" (Projected) has no sources provided',
      ],
    ],
    [
      'a source that is gone',
      all.pods,
      pod({ volumes: [{ name: 'v', storageos: { volumeName: 'x' } }] }),
      ['spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+'],
    ],
    [
      'a claim that the pod brings',
      all.pods,
      pod({ volumes: [{ name: 'v', ephemeral: { volumeClaimTemplate: { spec: claims } } }] }),
      [
        'spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer',
      ],
    ],
    [
      'a host address without a port',
      all.pods,
      pod({ containers: [c({ ports: [{ containerPort: 80, hostIP: '10.0.0.1' }] })] }),
      [
        'spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:10.0.0.1}',
      ],
    ],
    [
      'annotations that are fields now',
      all.deployments,
      workload(
        template(
          {},
          {
            annotations: {
              'seccomp.security.alpha.kubernetes.io/pod': 'runtime/default',
              'container.apparmor.security.beta.kubernetes.io/c': 'unconfined',
            },
          },
        ),
      ),
      [
        'spec.template.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \\"seccompProfile\\" field instead',
        'spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \\"appArmorProfile\\" field instead',
      ],
    ],
    [
      'IPv6 in another form',
      all.pods,
      pod({ dnsPolicy: 'None', dnsConfig: { nameservers: ['FD00::1'] } }),
      [
        'spec.dnsConfig.nameservers[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      ],
    ],
    [
      'of a Service',
      all.services,
      {
        spec: {
          type: 'LoadBalancer',
          ports: [{ port: 1 }],
          externalIPs: ['FD00::1'],
          loadBalancerSourceRanges: ['FD00::/8'],
        },
      },
      [
        'spec.externalIPs[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
        'spec.loadBalancerSourceRanges[0]: IPv6 CIDR value "FD00::/8" should be in RFC 5952 canonical format ("fd00::/8")',
        'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
      ],
    ],
    [
      'of an EndpointSlice',
      all.endpointSlices,
      { addressType: 'IPv6', endpoints: [{ addresses: ['FD00::1'] }] },
      [
        'endpoints[0].addresses[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      ],
    ],
    [
      'names in EndpointSlices',
      all.endpointSlices,
      { addressType: 'FQDN', endpoints: [{ addresses: ['a.b'] }] },
      ['spec.addressType: FQDN endpoints are deprecated'],
    ],
  ];
  for (const [title, resource, fields, expected, metadata] of cases)
    it(title, () => {
      const value = created(
        of(resource),
        object(of(resource), fields as Record<string, unknown>, { generation: 1, ...metadata }),
      );
      assert.deepEqual(of(resource).warnings!(value, undefined), expected);
    });
});
