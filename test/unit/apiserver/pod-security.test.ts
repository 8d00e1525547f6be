import assert from 'node:assert/strict';
import { podSecurityConfiguration } from '../../../src/apiserver/admission/pod-security/configuration.js';
import { podSecurity } from '../../../src/apiserver/admission/pod-security/plugin.js';
import { ADMIN, type Harness, pod, startHarness } from './harness.js';

const LABEL = 'pod-security.kubernetes.io/';
const RESTRICTED = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'c',
      image: 'busybox',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
};

describe('apiserver: Pod Security', () => {
  let h: Harness;
  const of = (plural: string) => h.of(plural);
  const start = async (configuration?: unknown) => {
    h = await startHarness(configuration ? { podSecurity: podSecurityConfiguration(configuration) } : {});
  };
  /** The warnings that a request gets. */
  const warningsOf = async (plural: string, object: any, old?: any): Promise<string[]> => {
    const warnings: string[] = [];
    await podSecurity(h.store).validate!({
      operation: old ? 'UPDATE' : 'CREATE',
      resource: h.resource(plural),
      subresource: '',
      namespace: 'default',
      name: object.metadata.name,
      object,
      old,
      user: ADMIN,
      dryRun: false,
      warnings,
    });
    return warnings;
  };
  beforeEach(() => start());
  afterEach(() => h.close());

  const label = (labels: Record<string, string | null>) =>
    of('namespaces').patch(
      '',
      'default',
      {
        metadata: { labels: Object.fromEntries(Object.entries(labels).map(([k, v]) => [LABEL + k, v])) },
      },
      { type: 'merge' },
    );
  const refused = (work: Promise<unknown>, code: number, message: RegExp) =>
    assert.rejects(work, (error: any) => {
      assert.match(error.message, message);
      return error.code === code;
    });

  it('enforces the level of a namespace, with the exact words', async () => {
    await label({ enforce: 'restricted' });
    await refused(
      of('pods').create(pod('x')),
      403,
      /^pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false \(container "c" must set securityContext\.allowPrivilegeEscalation=false\), unrestricted capabilities \(container "c" must set securityContext\.capabilities\.drop=\["ALL"\]\), runAsNonRoot != true \(pod or container "c" must set securityContext\.runAsNonRoot=true\), seccompProfile \(pod or container "c" must set securityContext\.seccompProfile\.type to "RuntimeDefault" or "Localhost"\)$/,
    );
    await of('pods').create(pod('y', RESTRICTED));
  });

  it('names pods whose name is generated', async () => {
    await label({ enforce: 'baseline', 'enforce-version': 'v1.30' });
    const { metadata: _, ...bare } = pod('x', { hostNetwork: true, hostPID: true });
    await refused(
      of('pods').create({ ...bare, metadata: { generateName: 'web-', namespace: 'default' } }),
      403,
      /^pods "web-\w{5}" is forbidden: violates PodSecurity "baseline:v1\.30": host namespaces \(hostNetwork=true, hostPID=true\)$/,
    );
  });

  it('warns of pods and of templates, and lets them be', async () => {
    await label({ warn: 'baseline' });
    const spec = { containers: [{ name: 'c', image: 'i', securityContext: { privileged: true } }] };
    const text =
      'would violate PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)';
    const metadata = { name: 'd', namespace: 'default' };
    const template = { spec };
    assert.deepEqual(await warningsOf('pods', await of('pods').create(pod('x', spec))), [text]);
    assert.deepEqual(await warningsOf('deployments', { metadata, spec: { template } }), [text]);
    assert.deepEqual(
      await warningsOf('cronjobs', { metadata, spec: { jobTemplate: { spec: { template } } } }),
      [text],
    );
    assert.deepEqual(await warningsOf('podtemplates', { metadata, template }), [text]);
    assert.deepEqual(await warningsOf('deployments', { metadata, spec: { template: pod('x') } }), []);
  });

  it('warns of pods that are there when a namespace gets stricter', async () => {
    await of('pods').create(pod('a'));
    await of('pods').create(pod('b'));
    await of('pods').create(pod('n', { hostNetwork: true }));
    const level = (enforce: string) => ({
      metadata: { name: 'default', labels: { [`${LABEL}enforce`]: enforce } },
    });
    const plain = { metadata: { name: 'default' } };
    assert.deepEqual(await warningsOf('namespaces', level('baseline'), plain), [
      'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
      'n: host namespaces',
    ]);
    assert.deepEqual((await warningsOf('namespaces', level('restricted'), plain)).slice(1), [
      'a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
      'n: host namespaces, allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
    ]);
    assert.deepEqual(await warningsOf('namespaces', level('baseline'), level('restricted')), []);
    // Pods that are there already may still be changed.
    await label({ enforce: 'restricted' });
    await of('pods').patch('default', 'a', { metadata: { labels: { x: 'y' } } }, { type: 'merge' });
  });

  it('refuses labels that it can not read, but keeps namespaces that have them', async () => {
    await refused(
      label({ enforce: 'strong' }),
      422,
      /^Namespace "default" is invalid: metadata\.labels\[pod-security\.kubernetes\.io\/enforce\]: Invalid value: "strong": must be one of privileged, baseline, restricted$/,
    );
  });

  it('takes defaults and exemptions from its configuration', async () => {
    await h.close();
    await start({
      apiVersion: 'pod-security.admission.config.k8s.io/v1',
      kind: 'PodSecurityConfiguration',
      defaults: { enforce: 'baseline', 'enforce-version': 'v1.36' },
      exemptions: { namespaces: ['kube-system'], usernames: ['trusted'], runtimeClasses: [] },
    });
    await refused(
      of('pods').create(pod('x', { hostNetwork: true })),
      403,
      /"baseline:v1\.36": host namespaces/,
    );
    const trusted = h.as({ name: 'trusted', groups: ['system:masters'] });
    await trusted.of<any>(h.resource('pods')).create(pod('x', { hostNetwork: true }));
    assert.throws(
      () =>
        podSecurityConfiguration({
          apiVersion: 'pod-security.admission.config.k8s.io/v1',
          kind: 'PodSecurityConfiguration',
          defaults: { warn: 'none' },
        }),
      /PodSecurity: defaults\.warn is "none": must be one of/,
    );
  });
});
