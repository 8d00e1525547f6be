import assert from 'node:assert/strict';
import { createCa, issueCertificate } from '../../../src/auth/certificates.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';

const GROUP = 'things.example.com';
const labels = { app: 'extension' };

/** An API server with one list, for whoever the cluster's front proxy vouches for. */
const SCRIPT = `
const { TLS_CERT: cert, TLS_KEY: key, PROXY_CA: ca } = process.env;
require('https').createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, (request, response) => {
  const resources = [{ name: 'things', singularName: 'thing', namespaced: false, kind: 'Thing', verbs: ['list'] }];
  const apiVersion = '${GROUP}/v1';
  const answer = request.url === '/apis/${GROUP}/v1'
    ? { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersion, resources }
    : { kind: 'ThingList', apiVersion, metadata: {}, items: [{ kind: 'Thing', apiVersion,
        metadata: { name: request.headers['x-remote-user'] } }] };
  const known = request.url.startsWith('/apis/${GROUP}/v1');
  response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer));
}).listen(8443);
`;

describe('an API server in a pod', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster();
    const ca = await createCa({ commonName: 'extension-ca' }, 1);
    const name = 'extension.default.svc';
    const { cert, key } = await issueCertificate(ca, { commonName: name, dnsNames: [name], usage: 'server' });
    const trust = await cluster.kubectl(
      ...['get', 'configmap', 'extension-apiserver-authentication', '-n', 'kube-system'],
      ...['-o', 'jsonpath={.data.requestheader-client-ca-file}'],
    );
    const env = { TLS_CERT: cert, TLS_KEY: key, PROXY_CA: trust };
    const items = [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'extension', labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          volumes: [{ name: 'host', hostPath: { path: '/' } }],
          containers: [
            {
              name: 'c',
              image: 'keelson.dev/demo:blue',
              securityContext: { runAsUser: 0 },
              command: ['chroot', '/host', process.execPath, '-e', SCRIPT],
              env: Object.entries(env).map(([name, value]) => ({ name, value })),
              volumeMounts: [{ name: 'host', mountPath: '/host' }],
              readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
            },
          ],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'extension' },
        spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
      },
      {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name: `v1.${GROUP}` },
        spec: {
          group: GROUP,
          version: 'v1',
          groupPriorityMinimum: 1000,
          versionPriority: 15,
          service: { namespace: 'default', name: 'extension' },
          caBundle: Buffer.from(ca.cert).toString('base64'),
        },
      },
    ];
    await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    });
  });
  after(() => cluster?.down());

  it('serves its kinds through the API of the cluster', async () => {
    await cluster.kubectl('wait', '--for=condition=Available', `apiservice/v1.${GROUP}`, '--timeout=60s');
    const listed = await eventually('the list', () => cluster.kubectl('get', 'things', '-o', 'name'));
    assert.equal(listed, `thing.${GROUP}/kubernetes-admin\n`);
    const as = await cluster.kubectl('get', 'things', '-o', 'name', '--as=ann', '--as-group=system:masters');
    assert.equal(as, `thing.${GROUP}/ann\n`);
  });

  it('is unavailable without its pod', async () => {
    await cluster.kubectl('delete', 'pod', 'extension');
    await cluster.kubectl(
      'wait',
      '--for=condition=Available=False',
      `apiservice/v1.${GROUP}`,
      '--timeout=30s',
    );
    const shown = await cluster.kubectl('get', 'apiservice', `v1.${GROUP}`);
    assert.match(shown, /default\/extension +False \((MissingEndpoints|EndpointsNotFound)\)/);
  });
});
