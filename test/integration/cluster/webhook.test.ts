/** A webhook that runs in a pod behind a Service: the example of chapter 17, and what the status of a policy tells. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createCa, issueCertificate } from '../../../src/auth/certificates.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';

const EXAMPLE = 'examples/ch17-extending';
const SERVICE = 'validating-webhook.default.svc';

describe('a webhook in a pod', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  async function feed(verb: string, stdin: string): Promise<void> {
    const { code, stderr } = await cluster.kubectl.try([verb, '-f', '-'], { stdin });
    assert.equal(code, 0, stderr);
  }
  const create = (object: object) => feed('create', JSON.stringify(object));
  const attempt = (...args: string[]) => cluster.kubectl.try(args);

  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster?.down());

  it('judges pods as the example says', async () => {
    const ca = await createCa({ commonName: 'webhook-ca' }, 1);
    const { cert, key } = await issueCertificate(ca, {
      commonName: SERVICE,
      dnsNames: [SERVICE],
      usage: 'server',
    });
    const script = readFileSync(`${EXAMPLE}/webhook.js`, 'utf8');
    const labels = { app: 'validating-webhook' };
    // The image of the example has Node; here the machine's own runs.
    const container = {
      name: 'webhook',
      image: 'keelson.dev/demo:blue',
      securityContext: { runAsUser: 0 },
      command: ['chroot', '/host', process.execPath, '-e', script],
      env: Object.entries({ TLS_CERT: cert, TLS_KEY: key }).map(([name, value]) => ({ name, value })),
      volumeMounts: [{ name: 'host', mountPath: '/host' }],
      readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
    };
    await create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'validating-webhook', labels },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [container],
        volumes: [{ name: 'host', hostPath: { path: '/' } }],
      },
    });
    await cluster.kubectl('apply', '-f', `${EXAMPLE}/webhook-service.yaml`);
    const configuration = readFileSync(`${EXAMPLE}/webhook-configuration.yaml`, 'utf8');
    const caBundle = Buffer.from(ca.cert).toString('base64');
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/validating-webhook', '--timeout=60s');
    await feed('apply', configuration.replace('CA_BUNDLE', caBundle));
    await eventually('the webhook denies', async () =>
      (await attempt('run', 'latest', '--image=keelson.dev/demo:latest')).stderr.includes(
        'admission webhook "images.example.com" denied the request: container "latest" uses the tag "latest"',
      ),
    );
    await cluster.kubectl('run', 'fixed', '--image=keelson.dev/demo:blue');
    await cluster.kubectl('delete', 'pod', 'fixed', 'validating-webhook', '--now');
    await eventually('no endpoint is left', async () =>
      /failed calling webhook "images.example.com".*no endpoints available for service "validating-webhook"/.test(
        (await attempt('run', 'late', '--image=keelson.dev/demo:blue')).stderr,
      ),
    );
    await cluster.kubectl('delete', 'validatingwebhookconfiguration', 'images');
  });

  it('policies are told which of their expressions fit no type', async () => {
    await create({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'checked' },
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] },
          ],
        },
        validations: [
          { expression: 'object.spec.replicas > "1"' },
          { expression: 'object.spec.replicas > 1' },
        ],
      },
    });
    await eventually('the status', async () => {
      const { status } = JSON.parse(
        await cluster.kubectl('get', 'validatingadmissionpolicy', 'checked', '-o', 'json'),
      );
      const warnings = status?.typeChecking?.expressionWarnings;
      if (!warnings) return false;
      assert.equal(warnings.length, 1);
      assert.equal(warnings[0].fieldRef, 'spec.validations[0].expression');
      assert.match(
        warnings[0].warning,
        /^apps\/v1, Kind=Deployment: ERROR: .*'_>_' applied to '\(int, string\)'/,
      );
      return status.observedGeneration === 1;
    });
  });
});
