/** RBAC and certificates as an administrator uses them: the real kubectl on a whole cluster. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequest } from '../../../src/auth/certificates.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';

describe('rbac: kubectl', function () {
  this.timeout(90_000);
  let cluster: TestCluster;
  let dir: string;
  const k = (line: string) => cluster.kubectl(...line.split(' '));
  const attempt = (line: string, stdin?: string) =>
    cluster.kubectl.try(line.split(' '), stdin === undefined ? {} : { stdin });
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-rbac-'));
    cluster = await startTestCluster();
    await k('create namespace team');
  });
  after(async () => {
    await cluster?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  it('grants by roles and bindings, and says what somebody may do', async () => {
    await k('create role reader --verb=get,list,watch --resource=pods,deployments.apps -n team');
    await k('create rolebinding ann --role=reader --user=ann -n team');
    assert.equal((await attempt('auth can-i list pods -n team --as ann')).stdout.trim(), 'yes');
    assert.equal((await attempt('auth can-i delete pods -n team --as ann')).stdout.trim(), 'no');
    assert.equal((await attempt('auth can-i list pods -n default --as ann')).stdout.trim(), 'no');
    assert.match(await k('auth can-i --list -n team --as ann'), /^pods +\[\] +\[\] +\[get list watch\]$/m);
    assert.match((await attempt('get pods -n team --as ann')).stderr, /No resources found in team namespace/);
    assert.match(
      (await attempt('get secrets -n team --as ann')).stderr,
      /^Error from server \(Forbidden\): secrets is forbidden: User "ann" cannot list resource "secrets" in API group "" in the namespace "team"/,
    );
    assert.match(
      (await attempt('get pods --as bob --as-group devs')).stderr,
      /User "bob" cannot list resource "pods" in API group "" in the namespace "default"/,
    );
    assert.match(await k('describe rolebinding ann -n team'), /User {2}ann/);
  });

  it('has the default roles, gathered from their parts', async () => {
    await eventually('rules of view', async () => {
      const { rules } = JSON.parse(await k('get clusterrole view -o json'));
      return rules?.length > 5;
    });
    const grown = JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'crontabs', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
      rules: [{ apiGroups: ['stable.example.com'], resources: ['crontabs'], verbs: ['get'] }],
    });
    assert.match((await attempt('apply -f -', grown)).stdout, /crontabs created/);
    for (const role of ['view', 'edit', 'admin'])
      await eventually(`crontabs in ${role}`, async () =>
        (await k(`describe clusterrole ${role}`)).includes('crontabs.stable.example.com'),
      );
    await k('create rolebinding eve --clusterrole=admin --user=eve -n team');
    assert.equal((await attempt('auth can-i create rolebindings -n team --as eve')).stdout.trim(), 'yes');
    assert.match(
      (await attempt('create clusterrolebinding root --clusterrole=cluster-admin --user=eve --as eve'))
        .stderr,
      /clusterrolebindings.rbac.authorization.k8s.io is forbidden: User "eve" cannot create resource "clusterrolebindings"/,
    );
    assert.match(
      (await attempt('create rolebinding root --clusterrole=cluster-admin --user=eve -n team --as eve'))
        .stderr,
      /user "eve" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}/,
    );
    assert.match(
      await k('auth can-i --list --as system:serviceaccount:kube-system:default'),
      /selfsubjectreviews.authentication.k8s.io/,
    );
  });

  it('reconciles roles by kubectl', async () => {
    const role = JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'reconciled' },
      rules: [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }],
    });
    writeFileSync(join(dir, 'role.json'), role);
    assert.match(await k(`auth reconcile -f ${join(dir, 'role.json')}`), /reconciled reconciled/);
  });

  it('signs an approved certificate request, whose user then has what the roles give', async () => {
    const { csr, key } = await createRequest({ commonName: 'ann', organizations: ['devs'] });
    const object = JSON.stringify({
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'ann' },
      spec: {
        request: Buffer.from(csr).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        expirationSeconds: 3600,
        usages: ['client auth'],
      },
    });
    assert.match((await attempt('apply -f -', object)).stdout, /ann created/);
    assert.match(
      await k('get csr ann'),
      /ann +\d+s +kubernetes.io\/kube-apiserver-client +kubernetes-admin +60m +Pending/,
    );
    await k('certificate approve ann');
    const certificate = await eventually('certificate', () =>
      k('get csr ann -o jsonpath={.status.certificate}'),
    );
    assert.match(await k('get csr ann'), /Approved,Issued/);
    writeFileSync(join(dir, 'ann.crt'), Buffer.from(certificate, 'base64'));
    writeFileSync(join(dir, 'ann.key'), key);
    const files = `--client-certificate=${join(dir, 'ann.crt')} --client-key=${join(dir, 'ann.key')}`;
    const server = await k('config view --raw -o jsonpath={.clusters[0].cluster.server}');
    const ca = await k('config view --raw -o jsonpath={.clusters[0].cluster.certificate-authority-data}');
    writeFileSync(join(dir, 'ca.crt'), Buffer.from(ca, 'base64'));
    const as = (line: string) =>
      cluster.kubectl.try(
        [
          ...line.split(' '),
          ...files.split(' '),
          `--server=${server}`,
          `--certificate-authority=${join(dir, 'ca.crt')}`,
        ],
        { env: { KUBECONFIG: '/dev/null' } },
      );
    assert.match((await as('auth whoami')).stdout, /Username +ann\nGroups +\[devs system:authenticated\]/);
    assert.equal((await as('auth can-i list pods -n team')).stdout.trim(), 'yes');
    assert.match((await as('get nodes')).stderr, /User "ann" cannot list resource "nodes"/);
  });
});
