import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { addDefaultTolerations } from '../../../../src/api/resources/core/podspec/defaults.js';
import { imageTag } from '../../../../src/api/resources/core/podspec/image.js';
import { deployments, pods } from '../../../../src/api/resources/index.js';
import { created, defaulted, object } from './support.js';

const pod = (spec: Record<string, unknown>, metadata = {}): Pod => object(pods, { spec }, metadata);
const container = (fields: Record<string, unknown> = {}) => ({ name: 'c', image: 'nginx', ...fields });

describe('pod defaults', () => {
  it('fills a minimal pod as upstream does', () => {
    const { spec } = defaulted(pods, pod({ containers: [container({ ports: [{ containerPort: 80 }] })] }));
    assert.deepEqual(spec, {
      containers: [
        {
          name: 'c',
          image: 'nginx',
          imagePullPolicy: 'Always',
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      dnsPolicy: 'ClusterFirst',
      enableServiceLinks: true,
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    });
  });

  it('leaves enableServiceLinks and host ports of templates alone', () => {
    const deployment = object(deployments, {
      spec: {
        template: {
          spec: { hostNetwork: true, containers: [container({ ports: [{ containerPort: 80 }] })] },
        },
      },
    });
    const { spec } = defaulted(deployments, deployment).spec.template;
    assert.equal(spec!.enableServiceLinks, undefined);
    assert.equal(spec!.containers[0]!.ports![0]!.hostPort, undefined);
    assert.equal(spec!.restartPolicy, 'Always');
  });

  const tags: [string, string][] = [
    ['nginx', 'latest'],
    ['nginx:1.25', '1.25'],
    ['localhost:5000/nginx', 'latest'],
    ['registry.example.com:5000/a/b:v1', 'v1'],
    ['nginx@sha256:abc', ''],
    ['nginx:1@sha256:abc', '1'],
    ['Nginx', ''],
  ];
  for (const [image, tag] of tags)
    it(`tag of ${image}`, () => {
      assert.equal(imageTag(image), tag);
    });

  it('pulls by tag', () => {
    const images = ['nginx', 'nginx:latest', 'nginx:1.25'];
    const { spec } = defaulted(
      pods,
      pod({ containers: images.map((image, i) => ({ name: `c${i}`, image })) }),
    );
    assert.deepEqual(
      spec.containers.map((c) => c.imagePullPolicy),
      ['Always', 'Always', 'IfNotPresent'],
    );
  });

  it('takes requests from limits', () => {
    const resources = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } };
    const { spec } = defaulted(pods, pod({ containers: [container({ resources })] }));
    assert.deepEqual(spec.containers[0]!.resources!.requests, { cpu: '500m', memory: '1Gi' });
  });

  it('fills probes, handlers and environment', () => {
    const { spec } = defaulted(
      pods,
      pod({
        containers: [
          container({
            livenessProbe: { httpGet: { port: 80 }, initialDelaySeconds: 0 },
            env: [
              { name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'B', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
            ],
            lifecycle: { preStop: { httpGet: { port: 80, path: '/stop' } } },
          }),
        ],
      }),
    );
    const [c] = spec.containers;
    assert.deepEqual(c!.livenessProbe, {
      httpGet: { port: 80, path: '/', scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    });
    assert.deepEqual(c!.env![0]!.valueFrom!.fieldRef, { apiVersion: 'v1', fieldPath: 'metadata.name' });
    assert.deepEqual(c!.env![1]!.valueFrom!.resourceFieldRef, { resource: 'limits.cpu', divisor: '0' });
    assert.equal(c!.lifecycle!.preStop!.httpGet!.scheme, 'HTTP');
  });

  it('fills volumes', () => {
    const { spec } = defaulted(
      pods,
      pod({
        containers: [container()],
        volumes: [
          { name: 'a' },
          { name: 'b', secret: { secretName: 's' } },
          { name: 'c', hostPath: { path: '/' } },
          { name: 'd', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
        ],
      }),
    );
    assert.deepEqual(spec.volumes, [
      { name: 'a', emptyDir: {} },
      { name: 'b', secret: { secretName: 's', defaultMode: 420 } },
      { name: 'c', hostPath: { path: '/', type: '' } },
      {
        name: 'd',
        projected: {
          defaultMode: 420,
          sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3600 } }],
        },
      },
    ]);
  });

  it('gives a pod on the host network its ports there', () => {
    const { spec } = defaulted(
      pods,
      pod({ hostNetwork: true, containers: [container({ ports: [{ containerPort: 80 }] })] }),
    );
    assert.equal(spec.containers[0]!.ports![0]!.hostPort, 80);
  });

  it('keeps serviceAccount and serviceAccountName the same', () => {
    for (const field of ['serviceAccount', 'serviceAccountName']) {
      const { spec } = defaulted(pods, pod({ [field]: 'robot', containers: [container()] }));
      assert.deepEqual([spec.serviceAccount, spec.serviceAccountName], ['robot', 'robot']);
    }
  });

  it('drops what means unset', () => {
    const { spec } = defaulted(
      pods,
      pod({ hostNetwork: false, nodeName: '', containers: [container({ tty: false })] }),
    );
    assert.ok(!('hostNetwork' in spec) && !('nodeName' in spec) && !('tty' in spec.containers[0]!));
  });

  it('changes nothing the second time', () => {
    const resources = { limits: { cpu: '1' }, requests: { memory: '1Gi' } };
    const once = defaulted(
      pods,
      pod({
        hostNetwork: true,
        resources: { requests: { cpu: '2' } },
        containers: [
          container({ resources, env: [{ name: 'A', value: '' }], ports: [{ containerPort: 1 }] }),
        ],
        volumes: [{ name: 'v' }],
      }),
    );
    assert.deepEqual(defaulted(pods, once), once);
    assert.deepEqual(once.spec.containers[0]!.env, [{ name: 'A' }]);
  });

  it('fills pod-level resources from the containers', () => {
    const { spec } = defaulted(
      pods,
      pod({
        resources: { limits: { cpu: '2', memory: '2Gi' } },
        containers: [container({ resources: { requests: { cpu: '500m' } } })],
      }),
    );
    assert.deepEqual(spec.resources!.requests, { cpu: '500m', memory: '2Gi' });
  });

  it('begins Pending, with its QoS class and what gates it', () => {
    assert.deepEqual(created(pods, pod({ containers: [container()] })).status, {
      phase: 'Pending',
      qosClass: 'BestEffort',
    });
    const gated = created(pods, pod({ containers: [container()], schedulingGates: [{ name: 'a' }] }));
    assert.equal(gated.status!.conditions![0]!.reason, 'SchedulingGated');
  });

  it('writes matchLabelKeys into the selectors', () => {
    const term = {
      topologyKey: 'kubernetes.io/hostname',
      labelSelector: { matchLabels: { app: 'a' } },
      matchLabelKeys: ['hash', 'absent'],
      mismatchLabelKeys: ['tenant'],
    };
    const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    const stored = created(
      pods,
      pod({ containers: [container()], affinity }, { labels: { hash: '1', tenant: 't' } }),
    );
    const [merged] = stored.spec.affinity!.podAffinity!.requiredDuringSchedulingIgnoredDuringExecution!;
    assert.deepEqual(merged!.labelSelector!.matchExpressions, [
      { key: 'hash', operator: 'In', values: ['1'] },
      { key: 'tenant', operator: 'NotIn', values: ['t'] },
    ]);
  });

  it('tolerates a lost node for five minutes unless the pod says otherwise', () => {
    const plain = pod({ containers: [container()] });
    addDefaultTolerations(plain);
    assert.deepEqual(
      plain.spec.tolerations!.map((t) => [t.key, t.tolerationSeconds]),
      [
        ['node.kubernetes.io/not-ready', 300],
        ['node.kubernetes.io/unreachable', 300],
      ],
    );
    const all = pod({ containers: [container()], tolerations: [{ operator: 'Exists' }] });
    addDefaultTolerations(all);
    assert.equal(all.spec.tolerations!.length, 1);
  });
});
