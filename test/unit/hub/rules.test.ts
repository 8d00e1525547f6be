/** What agents may ask for, what pods refer to, which tokens are good. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Pod, Secret } from '#types';
import { isAllowed } from '../../../src/hub/api-requests.js';
import { checkBootstrapToken } from '../../../src/hub/bootstrap-tokens.js';
import { podReferences } from '../../../src/hub/references.js';

describe('isAllowed', () => {
  const cases: [method: string, path: string, allowed: boolean][] = [
    ['POST', '/api/v1/nodes', true],
    ['GET', '/api/v1/nodes/n1', true],
    ['PATCH', '/api/v1/nodes/n1/status', true],
    ['PATCH', '/api/v1/nodes/n2/status', false],
    ['GET', '/api/v1/nodes/n2', false],
    ['DELETE', '/api/v1/nodes/n1', false],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1', true],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2', false],
    ['PUT', '/apis/coordination.k8s.io/v1/namespaces/other/leases/n1', false],
    ['PATCH', '/api/v1/namespaces/a/pods/b/status', true],
    ['PATCH', '/api/v1/namespaces/a/pods/b', false],
    ['DELETE', '/api/v1/namespaces/a/pods/b', true],
    ['DELETE', '/api/v1/namespaces/a/pods/', false],
    ['DELETE', '/api/v1/namespaces/a/pods', false],
    ['POST', '/api/v1/namespaces/a/pods/b/exec', false],
    ['POST', '/api/v1/namespaces/a/events', true],
    ['POST', '/api/v1/namespaces/a/serviceaccounts/b/token', true],
    ['GET', '/api/v1/namespaces/a/secrets/b', false],
    ['GET', '/api/v1/namespaces/../pods/b', false],
    ['GET', '/api/v1/namespaces/a/pods/b?watch=1', false],
    ['GET', '/api/v1/namespaces/a%2f..%2fb/pods/c', false],
    ['get', '/api/v1/nodes/n1', false],
    ['', '', false],
  ];
  for (const [method, path, allowed] of cases)
    it(`${method} ${path}: ${allowed ? 'yes' : 'no'}`, () =>
      assert.equal(isAllowed('n1', method, path), allowed));
});

describe('podReferences', () => {
  it('finds every place that may name a ConfigMap or Secret, each once', () => {
    const pod = {
      spec: {
        imagePullSecrets: [{ name: 'pull' }],
        volumes: [
          { name: 'a', configMap: { name: 'volume' } },
          { name: 'b', secret: { secretName: 'volume' } },
          {
            name: 'c',
            projected: { sources: [{ configMap: { name: 'part' } }, { secret: { name: 'part' } }] },
          },
          { name: 'd', emptyDir: {} },
        ],
        initContainers: [
          { name: 'i', envFrom: [{ configMapRef: { name: 'from' } }, { secretRef: { name: 'from' } }] },
        ],
        containers: [
          {
            name: 'c',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', valueFrom: { configMapKeyRef: { name: 'key', key: 'k' } } },
              { name: 'C', valueFrom: { secretKeyRef: { name: 'key', key: 'k' } } },
              { name: 'D', valueFrom: { secretKeyRef: { name: 'key', key: 'other' } } },
            ],
          },
        ],
      },
    } as unknown as Pod;
    const found = podReferences(pod).map(({ resource, name }) => `${resource}/${name}`);
    const names = ['volume', 'part', 'from', 'key'];
    const expected = [
      ...names.map((n) => `configmaps/${n}`),
      ...names.map((n) => `secrets/${n}`),
      'secrets/pull',
    ];
    assert.deepEqual(found.sort(), expected.sort());
  });
});

describe('checkBootstrapToken', () => {
  const NOW = Date.UTC(2026, 0, 1);
  const base = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
  };
  const secret = (data: Record<string, string>, type = 'bootstrap.kubernetes.io/token') =>
    ({
      metadata: { name: 'bootstrap-token-abcdef' },
      type,
      data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')])),
    }) as unknown as Secret;
  const cases: [string, string, Secret | undefined, object | undefined][] = [
    ['good', 'abcdef.0123456789abcdef', secret(base), { replace: false }],
    [
      'may replace',
      'abcdef.0123456789abcdef',
      secret({ ...base, 'keelson-allow-replace': 'true' }),
      { replace: true },
    ],
    ['wrong secret', 'abcdef.0123456789abcdee', secret(base), undefined],
    ['malformed', 'abcdef', secret(base), undefined],
    ['unknown', 'abcdef.0123456789abcdef', undefined, undefined],
    ['of another type', 'abcdef.0123456789abcdef', secret(base, 'Opaque'), undefined],
    [
      'still good',
      'abcdef.0123456789abcdef',
      secret({ ...base, expiration: '2026-01-01T00:00:01Z' }),
      { replace: false },
    ],
    [
      'expired',
      'abcdef.0123456789abcdef',
      secret({ ...base, expiration: '2026-01-01T00:00:00Z' }),
      undefined,
    ],
    [
      'with no end that can be read',
      'abcdef.0123456789abcdef',
      secret({ ...base, expiration: 'soon' }),
      undefined,
    ],
  ];
  for (const [what, token, found, expected] of cases)
    it(what, async () =>
      assert.deepEqual(await checkBootstrapToken(token, async () => found, NOW), expected),
    );
});
