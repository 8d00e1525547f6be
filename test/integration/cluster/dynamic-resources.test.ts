import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Container, Pod, PodResourceClaim } from '#types';
import { podResourcesService } from '../../../src/rpc/pod-resources.js';
import { UnixClient } from '../../../src/rpc/unix-client.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { TestDraDriver } from '../../fixtures/dra-driver.js';
import { shellPod } from '../../fixtures/pods.js';
import type { Kubectl } from '../../fixtures/tools.js';

const DRIVER = 'dra.test.keelson.dev';
const API = { apiVersion: 'resource.k8s.io/v1' };

/** The driver runs beside the cluster. */
describe('dynamic resource allocation', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let driver: TestDraDriver;
  let root: string;
  const apply = async (...items: object[]) => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: list });
    assert.equal(code, 0, stderr);
  };
  const get = (what: string, path: string) => kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);
  const ready = (name: string) => kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
  const remove = (...names: string[]) => kubectl('delete', 'pod', ...names, '--timeout=30s');
  const env = (name: string) => kubectl('exec', name, '--', 'sh', '-c', 'env | grep ^DEVICE_ | sort');
  const unscheduled = (name: string, message: string) =>
    eventually(`${name} to wait for: ${message}`, async () =>
      (await get(`pod ${name}`, '.status.conditions[?(@.type=="PodScheduled")].message')).startsWith(message),
    );
  const claimSpec = (exactly: object, more: object = {}) => ({
    devices: {
      requests: [{ name: 'req', exactly: { deviceClassName: 'test', ...exactly } }],
      ...more,
    },
  });
  const claim = (name: string, spec: object) => ({ ...API, kind: 'ResourceClaim', metadata: { name }, spec });
  const using = (
    name: string,
    claims: Omit<PodResourceClaim, 'name'>[],
    container: Partial<Container> = {},
  ): Pod =>
    shellPod(name, 'trap exit TERM; sleep 86400 & wait', {
      container: {
        securityContext: { runAsUser: 0 },
        resources: { claims: claims.map((_, i) => ({ name: `claim${i}` })) },
        ...container,
      },
      spec: { resourceClaims: claims.map((one, i) => ({ name: `claim${i}`, ...one })) },
    });
  const claimOf = (pod: string) => get(`pod ${pod}`, '.status.resourceClaimStatuses[0].resourceClaimName');

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
    root = join(cluster.dataDir, 'nodes', cluster.node, 'kubelet');
    driver = new TestDraDriver({ name: DRIVER, root, node: '/dev/fuse', kubectl });
    await driver.start();
    await apply(
      driver.slice(cluster.node, [
        {
          name: 'small',
          attributes: { model: { string: 'a' }, 'test.dev/generation': { version: '1.2.0' } },
          capacity: { memory: { value: '4Gi' } },
        },
        {
          name: 'large',
          attributes: { model: { string: 'b' }, 'test.dev/generation': { version: '2.0.0' } },
          capacity: { memory: { value: '16Gi' } },
        },
      ]),
      {
        ...{ ...API, kind: 'DeviceClass', metadata: { name: 'test' } },
        spec: {
          selectors: [{ cel: { expression: `device.driver == '${DRIVER}'` } }],
          config: [{ opaque: { driver: DRIVER, parameters: { mode: 'shared' } } }],
        },
      },
      {
        ...{ ...API, kind: 'ResourceClaimTemplate', metadata: { name: 'large' } },
        spec: {
          metadata: { labels: { of: 'template' } },
          spec: claimSpec({
            selectors: [
              {
                cel: {
                  expression: `device.attributes['test.dev'].generation.isGreaterThan(semver('1.9.0')) && device.capacity['${DRIVER}'].memory.compareTo(quantity('8Gi')) >= 0`,
                },
              },
            ],
          }),
        },
      },
    );
  });
  after(async () => {
    driver?.stop();
    await cluster?.down();
  });

  it('refuses selectors that are none', async () => {
    const bad = claim('bad', claimSpec({ selectors: [{ cel: { expression: 'device.nothing' } }] }));
    const { stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(bad) });
    assert.match(
      stderr,
      /selectors\[0\]\.cel\.expression: Invalid value: "device\.nothing": compilation failed: .*undefined field 'nothing'/,
    );
  });

  it('gives access to what others have only where the namespace may', async () => {
    const { stderr } = await kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(claim('admin', claimSpec({ adminAccess: true }))),
    });
    assert.match(
      stderr,
      /spec\.devices\.requests\[0\]\.exactly\.adminAccess: Forbidden: admin access to devices requires the `resource\.kubernetes\.io\/admin-access: true` label/,
    );
  });

  it('counts devices in quotas', async () => {
    const hard = { 'test.deviceclass.resource.k8s.io/devices': '1' };
    const metadata = { name: 'few', namespace: 'kube-public' };
    await apply({ apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard } });
    const many = {
      ...claim('many', claimSpec({ count: 2 })),
      metadata: { name: 'many', namespace: 'kube-public' },
    };
    await eventually('the quota to count', async () => {
      const { stderr } = await kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(many) });
      return /exceeded quota: few, requested: test\.deviceclass\.resource\.k8s\.io\/devices=2, used: .*devices=0, limited: .*devices=1/.test(
        stderr,
      );
    });
  });

  it('makes the claim of a template, and gives the pod its device', async () => {
    await eventually('the driver to be registered', async () => driver.registered);
    await apply(using('one', [{ resourceClaimTemplateName: 'large' }]));
    await ready('one');
    const name = await claimOf('one');
    assert.match(name, /^one-claim0-.{5}$/);
    const made = JSON.parse(await kubectl('get', 'resourceclaim', name, '-o', 'json'));
    assert.equal(made.metadata.labels.of, 'template');
    assert.equal(made.metadata.annotations['resource.kubernetes.io/pod-claim-name'], 'claim0');
    assert.deepEqual(made.metadata.finalizers, ['resource.kubernetes.io/delete-protection']);
    assert.deepEqual(made.status.allocation, {
      devices: {
        config: [
          {
            opaque: { driver: DRIVER, parameters: { mode: 'shared' } },
            ...{ requests: ['req'], source: 'FromClass' },
          },
        ],
        results: [{ device: 'large', driver: DRIVER, pool: cluster.node, request: 'req' }],
      },
      nodeSelector: {
        nodeSelectorTerms: [
          { matchFields: [{ key: 'metadata.name', operator: 'In', values: [cluster.node] }] },
        ],
      },
    });
    assert.equal(made.status.reservedFor[0].name, 'one');
    const client = new UnixClient(join(root, 'pod-resources', 'kubelet.sock'));
    const told = await client.call(podResourcesService.get, { podName: 'one', podNamespace: 'default' });
    client.close();
    const [resource] = told.podResources?.containers?.[0]?.dynamicResources ?? [];
    assert.equal(resource?.claimName, name);
    assert.equal(resource?.claimResources?.[0]?.deviceName, 'large');
    const look = 'exec 3<>/dev/large && echo open; ls /dev/small 2>/dev/null';
    assert.match(await kubectl('exec', 'one', '--', 'sh', '-c', `${look}; true`), /^open\n$/);
    assert.equal(await env('one'), 'DEVICE_req=large\n');
  });

  it('leaves a second pod waiting until the device is free', async () => {
    await apply(using('two', [{ resourceClaimTemplateName: 'large' }]));
    await unscheduled(
      'two',
      '0/1 nodes are available: 1 cannot allocate all claims. still not schedulable, preemption: ',
    );
    const first = await claimOf('one');
    await remove('one');
    await ready('two');
    assert.equal(await env('two'), 'DEVICE_req=large\n');
    assert.deepEqual(driver.calls.slice(0, 3), [
      `prepare ${first}`,
      `unprepare ${first}`,
      `prepare ${await claimOf('two')}`,
    ]);
    await eventually('the claim to go with its pod', async () => {
      const { code } = await kubectl.try(['get', 'resourceclaim', first]);
      return code !== 0;
    });
    await remove('two');
  });

  it('frees the device of a pod that is done', async () => {
    const done = shellPod('done', 'env | grep ^DEVICE_', {
      container: { resources: { claims: [{ name: 'claim0' }] } },
      spec: {
        restartPolicy: 'Never',
        resourceClaims: [{ name: 'claim0', resourceClaimTemplateName: 'large' }],
      },
    });
    await apply(done);
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/done', '--timeout=30s');
    assert.equal(await kubectl('logs', 'done'), 'DEVICE_req=large\n');
    assert.equal(driver.calls.at(-1), `unprepare ${await claimOf('done')}`);
    await eventually('its claim to go', async () => (await get('resourceclaims', '.items')) === '[]');
    await remove('done');
  });

  it('shares a claim, and frees its devices after the last pod', async () => {
    await apply(claim('shared', claimSpec({ allocationMode: 'All' })));
    await apply(using('a', [{ resourceClaimName: 'shared' }]), using('b', [{ resourceClaimName: 'shared' }]));
    await ready('a');
    await ready('b');
    assert.equal(
      await get('resourceclaim shared', '.status.allocation.devices.results[*].device'),
      'small large',
    );
    assert.match(await kubectl('get', 'resourceclaim', 'shared'), /allocated,reserved/);
    await remove('a');
    assert.equal(driver.calls.filter((call) => call === 'unprepare shared').length, 0);
    await remove('b');
    assert.equal(driver.calls.filter((call) => call === 'prepare shared').length, 1);
    assert.equal(driver.calls.filter((call) => call === 'unprepare shared').length, 1);
    await eventually('the devices to be free', async () =>
      /pending/.test(await kubectl('get', 'resourceclaim', 'shared')),
    );
  });

  it('takes the first alternative that is there, and minds constraints', async () => {
    const both = {
      requests: [
        { name: 'x', exactly: { deviceClassName: 'test' } },
        { name: 'y', exactly: { deviceClassName: 'test' } },
      ],
      constraints: [{ matchAttribute: `${DRIVER}/model` }],
    };
    const either = (expression: string) => ({
      name: expression,
      deviceClassName: 'test',
      selectors: [{ cel: { expression: `device.attributes['${DRIVER}'].model == '${expression}'` } }],
    });
    await apply(
      claim('alike', { devices: both }),
      claim('either', { devices: { requests: [{ name: 'r', firstAvailable: [either('c'), either('b')] }] } }),
      using('never', [{ resourceClaimName: 'alike' }]),
      using('choosy', [{ resourceClaimName: 'either' }]),
      using('lost', [{ resourceClaimName: 'lost' }]),
    );
    await ready('choosy');
    assert.equal(await env('choosy'), 'DEVICE_r_b=large\n');
    await unscheduled('never', '0/1 nodes are available: 1 cannot allocate all claims.');
    // Without its claim it is not even looked at.
    assert.equal(await get('pod lost', '.status.conditions'), '');
    await apply(claim('lost', claimSpec({ deviceClassName: 'none' })));
    await unscheduled('lost', '0/1 nodes are available: request req: device class none does not exist.');
    await remove('never', 'choosy', 'lost');
  });

  it('tells why a driver does not prepare, and goes on when it does', async () => {
    driver.refuse = 'the device sleeps';
    await apply(using('slow', [{ resourceClaimTemplateName: 'large' }]));
    await eventually('the event', async () =>
      (
        await kubectl(
          'get',
          'events',
          '--field-selector=reason=FailedPrepareDynamicResources',
          '-o',
          'jsonpath={.items[*].message}',
        )
      ).includes(
        `Failed to prepare dynamic resources: NodePrepareResources failed for ResourceClaim ${await claimOf('slow')}: the device sleeps`,
      ),
    );
    driver.refuse = undefined;
    await ready('slow');
  });

  it('gives back what an earlier agent has prepared', async () => {
    const name = await claimOf('slow');
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await kubectl('delete', 'pod', 'slow', '--wait=false');
    await cluster.restart('agent');
    await kubectl('wait', '--for=delete', 'pod/slow', '--timeout=30s');
    assert.equal(driver.calls.at(-1), `unprepare ${name}`);
  });
});
