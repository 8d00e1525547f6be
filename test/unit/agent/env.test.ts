import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { ConfigMap, Container, Pod, Secret, Service } from '#types';
import { containerEnv, type EnvSources, serviceEnv } from '../../../src/agent/pods/env.js';
import { expand } from '../../../src/agent/pods/expand.js';

describe('expand', () => {
  const known: Record<string, string> = { A: '1', EMPTY: '', 'B-C': '2' };
  for (const [text, expected] of [
    ['$(A)', '1'],
    ['x$(A)y$(A)', 'x1y1'],
    ['$(EMPTY)', ''],
    ['$(B-C)', '2'],
    ['$(MISSING)', '$(MISSING)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$A', '$A'],
    ['$(A', '$(A'],
    ['$', '$'],
    ['cost: 5$', 'cost: 5$'],
  ] as const)
    it(`${text} → ${expected}`, () =>
      assert.equal(
        expand(text, (name) => known[name]),
        expected,
      ));
});

const pod = {
  ...{ apiVersion: 'v1', kind: 'Pod' },
  metadata: { name: 'p', namespace: 'ns', uid: 'u', labels: { app: 'x' }, annotations: { note: 'n' } },
  spec: { serviceAccountName: 'sa', containers: [], enableServiceLinks: true },
} as unknown as Pod;

const base64 = (text: string) => Buffer.from(text).toString('base64');
const sources: EnvSources = {
  node: { name: 'n1', ips: ['10.0.0.1', 'fd00::1'], allocatable: { cpu: '1900m', memory: '4Gi' } },
  podIPs: ['10.244.0.9', 'fd00::9'],
  services: [],
  configMap: (name) =>
    name === 'cm' ? ({ data: { k: 'v', port: '80' } } as unknown as ConfigMap) : undefined,
  secret: (name) => (name === 's' ? ({ data: { p: base64('pw') } } as unknown as Secret) : undefined),
};

const container = (extra: Partial<Container>): Container => ({ name: 'c', ...extra });
const env = (extra: Partial<Container>) => Object.fromEntries(containerEnv(pod, container(extra), sources));

describe('containerEnv', () => {
  it('expands what comes before, and nothing that comes after', () => {
    const found = env({
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '$(A)$(C)' },
        { name: 'C', value: '3' },
      ],
    });
    assert.deepEqual(found, { A: '1', B: '1$(C)', C: '3' });
  });

  it('takes maps whole, with prefixes, and lets env win', () => {
    const found = env({
      envFrom: [{ configMapRef: { name: 'cm' } }, { prefix: 'S_', secretRef: { name: 's' } }],
      env: [{ name: 'k', value: 'own' }],
    });
    assert.deepEqual(found, { k: 'own', port: '80', S_p: 'pw' });
  });

  const fields: [string, string][] = [
    ['metadata.name', 'p'],
    ['metadata.namespace', 'ns'],
    ['metadata.uid', 'u'],
    ["metadata.labels['app']", 'x'],
    ["metadata.annotations['note']", 'n'],
    ["metadata.labels['none']", ''],
    ['spec.nodeName', 'n1'],
    ['spec.serviceAccountName', 'sa'],
    ['status.hostIP', '10.0.0.1'],
    ['status.podIP', '10.244.0.9'],
    ['status.podIPs', '10.244.0.9,fd00::9'],
    ['status.hostIPs', '10.0.0.1,fd00::1'],
  ];
  for (const [fieldPath, value] of fields)
    it(`fieldRef ${fieldPath}`, () =>
      assert.deepEqual(env({ env: [{ name: 'V', valueFrom: { fieldRef: { fieldPath } } }] }), { V: value }));

  const resources: [resource: string, divisor: string | undefined, value: string][] = [
    ['limits.cpu', undefined, '1'],
    ['limits.cpu', '1m', '250'],
    ['limits.memory', '1Mi', '64'],
    ['requests.memory', undefined, '67108864'],
    ['requests.cpu', '1m', '100'],
  ];
  for (const [resource, divisor, value] of resources)
    it(`resourceFieldRef ${resource} / ${divisor ?? 1}`, () => {
      const resourceFieldRef = { resource, ...(divisor ? { divisor } : {}) };
      const found = env({
        resources: { limits: { cpu: '250m', memory: '64Mi' }, requests: { cpu: '100m' } },
        env: [{ name: 'V', valueFrom: { resourceFieldRef } }],
      });
      assert.deepEqual(found, { V: value });
    });

  it('takes the node where a container has no limit', () => {
    const resourceFieldRef = { resource: 'limits.cpu', divisor: '1m' };
    assert.deepEqual(env({ env: [{ name: 'V', valueFrom: { resourceFieldRef } }] }), { V: '1900' });
  });

  const errors: [Partial<Container>, string][] = [
    [{ envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
    [{ envFrom: [{ secretRef: { name: 'none' } }] }, 'secret "none" not found'],
    [
      { env: [{ name: 'V', valueFrom: { configMapKeyRef: { name: 'cm', key: 'x' } } }] },
      "couldn't find key x in ConfigMap ns/cm",
    ],
    [
      { env: [{ name: 'V', valueFrom: { secretKeyRef: { name: 's', key: 'x' } } }] },
      "couldn't find key x in Secret ns/s",
    ],
    [
      { env: [{ name: 'V', valueFrom: { secretKeyRef: { name: 'none', key: 'x' } } }] },
      'secret "none" not found',
    ],
  ];
  for (const [spec, message] of errors)
    it(`refuses: ${message}`, () => assert.throws(() => env(spec), { message }));

  it('leaves out what is optional and not there', () => {
    const found = env({
      envFrom: [{ configMapRef: { name: 'none', optional: true } }],
      env: [{ name: 'V', valueFrom: { secretKeyRef: { name: 's', key: 'x', optional: true } } }],
    });
    assert.deepEqual(found, {});
  });
});

describe('serviceEnv', () => {
  const service = (namespace: string, name: string, clusterIP: string, ports: object[]) =>
    ({ metadata: { namespace, name }, spec: { clusterIP, ports } }) as unknown as Service;
  const services = [
    service('default', 'kubernetes', '10.96.0.1', [{ name: 'https', port: 443, protocol: 'TCP' }]),
    service('ns', 'my-db', '10.96.0.7', [{ port: 5432 }]),
    service('other', 'hidden', '10.96.0.8', [{ port: 1 }]),
    service('ns', 'headless', 'None', [{ port: 1 }]),
  ];

  it('names the host and the ports of each Service of the namespace', () => {
    const found = serviceEnv(services, pod);
    assert.equal(found.get('KUBERNETES_SERVICE_PORT_HTTPS'), '443');
    const db = Object.fromEntries([...found].filter(([name]) => name.startsWith('MY_DB')));
    assert.deepEqual(db, {
      MY_DB_SERVICE_HOST: '10.96.0.7',
      MY_DB_SERVICE_PORT: '5432',
      MY_DB_PORT: 'tcp://10.96.0.7:5432',
      MY_DB_PORT_5432_TCP: 'tcp://10.96.0.7:5432',
      MY_DB_PORT_5432_TCP_PROTO: 'tcp',
      MY_DB_PORT_5432_TCP_PORT: '5432',
      MY_DB_PORT_5432_TCP_ADDR: '10.96.0.7',
    });
    assert.ok([...found.keys()].every((name) => !name.startsWith('HIDDEN') && !name.startsWith('HEADLESS')));
  });

  it('is only about the API when links are not wanted', () => {
    const found = serviceEnv(services, { ...pod, spec: { ...pod.spec, enableServiceLinks: false } });
    assert.ok([...found.keys()].every((name) => name.startsWith('KUBERNETES_')));
    assert.ok(found.size > 0);
  });
});
