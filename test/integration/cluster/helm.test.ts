/** A chart of our own through the real Helm: hooks, lookup, upgrade, rollback, uninstall. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { run, tool } from '../../fixtures/tools.js';

const CHART = {
  'Chart.yaml': 'apiVersion: v2\nname: web\nversion: 0.1.0\nappVersion: "1"\n',
  'values.yaml': 'replicas: 1\ncolor: blue\n',
  // Kept over upgrades by looking up what is there.
  'templates/secret.yaml': `{{- $old := lookup "v1" "Secret" .Release.Namespace "token" }}
apiVersion: v1
kind: Secret
metadata: {name: token}
data:
  value: {{ if $old }}{{ index $old.data "value" }}{{ else }}{{ randAlphaNum 16 | b64enc }}{{ end }}
`,
  'templates/config.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {color: {{ .Values.color }}, version: {{ .Capabilities.KubeVersion.Version | quote }}}
`,
  'templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "keelson.dev/demo:{{ .Values.color }}"}]
`,
  'templates/service.yaml': `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`,
  'templates/hooks.yaml': `{{- range $hook := list "pre-install" "post-upgrade" "pre-delete" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $hook }}
  annotations:
    helm.sh/hook: {{ $hook }}
    helm.sh/hook-delete-policy: before-hook-creation{{ if ne $hook "pre-install" }},hook-succeeded{{ end }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: hook, image: "keelson.dev/demo:blue", command: [sh, -c, "echo ran {{ $hook }}"]}]
{{- end }}
`,
};

describe('Helm', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let dir: string;
  const k = (line: string) => cluster.kubectl(...line.split(' '));
  const helm = async (line: string) => {
    const { stdout, stderr, code } = await run(tool('helm'), line.split(' '), {
      cwd: dir,
      env: { KUBECONFIG: cluster.kubectl.kubeconfig, HOME: dir },
    });
    assert.equal(code, 0, `helm ${line}: ${stdout}${stderr}`);
    return stdout;
  };
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-helm-'));
    mkdirSync(join(dir, 'web/templates'), { recursive: true });
    for (const [name, text] of Object.entries(CHART)) writeFileSync(join(dir, 'web', name), text);
    cluster = await startTestCluster();
  });
  after(async () => {
    await cluster?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  it('installs a chart, with its hook before all else', async () => {
    await helm('install shop web --namespace shop --create-namespace --wait --timeout 60s');
    assert.equal((await k('logs job/pre-install -n shop')).trim(), 'ran pre-install');
    assert.match(await k('get deployment web -n shop'), /web +1\/1/);
    assert.match(await k('get configmap web -n shop -o jsonpath={.data.version}'), /^v1\.36\./);
    assert.match(await helm('list --namespace shop'), /shop\s+shop\s+1\s.*deployed\s+web-0.1.0/);
  });

  it('upgrades, keeping what it looks up, and rolls back', async () => {
    const token = await k('get secret token -n shop -o jsonpath={.data.value}');
    await helm('upgrade shop web --namespace shop --set color=green,replicas=2 --wait --timeout 60s');
    assert.equal(await k('get secret token -n shop -o jsonpath={.data.value}'), token);
    const image = 'get deployment web -n shop -o jsonpath={.spec.template.spec.containers[0].image}';
    assert.equal(await k(image), 'keelson.dev/demo:green');
    assert.match(await k('get deployment web -n shop'), /web +2\/2/);
    assert.doesNotMatch(await k('get jobs -n shop -o name'), /post-upgrade/);
    await helm('rollback shop 1 --namespace shop --wait --timeout 60s');
    assert.equal(await k(image), 'keelson.dev/demo:blue');
    assert.match(await helm('history shop --namespace shop'), /3\s.*deployed\s.*Rollback to 1/);
  });

  it('uninstalls all but what hooks leave', async () => {
    await helm('uninstall shop --namespace shop --wait --timeout 60s');
    const left = await k('get deployments,services,configmaps,secrets,jobs -n shop -o name');
    assert.deepEqual(left.trim().split('\n').sort(), ['configmap/kube-root-ca.crt', 'job.batch/pre-install']);
  });
});
