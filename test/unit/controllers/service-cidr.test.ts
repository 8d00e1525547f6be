/** Addresses of Services as objects, and the ranges that they come from. */
import assert from 'node:assert/strict';
import type { IPAddress, Service, ServiceCIDR } from '#types';
import { events, ipAddresses, serviceCidrs, services } from '../../../src/api/resources/index.js';
import {
  startIpAddressRepair,
  startServiceCidrController,
} from '../../../src/controllers/service-cidr/index.js';
import { Harness } from './harness.js';

const RANGE = '203.0.113.0/29';

const service = (name: string, spec: object = {}): Service =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { ports: [{ port: 80 }], ...spec },
  }) as unknown as Service;

const range = (name: string, ...cidrs: string[]): ServiceCIDR =>
  ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name },
    spec: { cidrs },
  }) as unknown as ServiceCIDR;

describe('service addresses and ranges', () => {
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startServiceCidrController, startIpAddressRepair);
  });
  afterEach(() => h.close());
  const all = () => h.client.of(services);
  const addresses = () => h.client.of<IPAddress>(ipAddresses);
  const ranges = () => h.client.of<ServiceCIDR>(serviceCidrs);
  const names = async () => (await addresses().list()).items.map(({ metadata }) => metadata.name);
  const ready = async (name: string) =>
    (await ranges().get('', name)).status?.conditions?.find(({ type }) => type === 'Ready');
  const isReady = (name: string, status = 'True') =>
    h.until(`${name} is Ready=${status}`, async () => (await ready(name))?.status === status);
  const reasons = async () => (await h.client.of(events).list()).items.map(({ reason }) => reason);

  it('come and go with the Service, at one revision', async () => {
    const made = await all().create(service('a'));
    const [ip] = made.spec.clusterIPs!;
    const address = await addresses().get('', ip!);
    assert.equal(address.metadata.resourceVersion, made.metadata.resourceVersion);
    assert.deepEqual(address.metadata.labels, {
      'ipaddress.kubernetes.io/ip-family': 'IPv4',
      'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
    });
    const again = service('a', { clusterIP: ip });
    await assert.rejects(all().create(again), { reason: 'AlreadyExists' });
    const twice = await Promise.allSettled(
      [1, 2].map(() => all().create(service('b', { clusterIP: '10.96.9.9' }))),
    );
    const refused = twice.flatMap((one) => (one.status === 'rejected' ? [one.reason.reason] : []));
    assert.deepEqual(refused, ['AlreadyExists']);
    await all().delete('default', 'b');
    assert.deepEqual(address.spec, {
      parentRef: { resource: 'services', namespace: 'default', name: 'a' },
    });
    const external = { type: 'ExternalName', externalName: 'example.com', clusterIP: '', clusterIPs: null };
    await all().patch('default', 'a', { spec: external }, { type: 'merge' });
    assert.deepEqual(await names(), []);
    await all().patch('default', 'a', { spec: { type: 'ClusterIP', externalName: null } }, { type: 'merge' });
    assert.equal((await names()).length, 1);
    await all().deleteCollection({ namespace: 'default' });
    assert.deepEqual(await names(), []);
    await all().create(service('headless', { clusterIP: 'None' }));
    await all().create(service('tried'), { dryRun: true });
    assert.deepEqual(await names(), []);
    assert.deepEqual(await reasons(), []);
  });

  it('are not given where somebody else has the address', async () => {
    const spec = { parentRef: { group: 'example.com', resource: 'gateways', name: 'g' } };
    const kind = { apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress' };
    await addresses().create({ ...kind, metadata: { name: '10.96.1.1' }, spec } as unknown as IPAddress);
    await assert.rejects(all().create(service('a', { clusterIP: '10.96.1.1' })), {
      code: 422,
      message:
        'Service "a" is invalid: spec.clusterIPs: Invalid value: ["10.96.1.1"]: failed to allocate IP 10.96.1.1: provided IP is already allocated',
    });
    await assert.rejects(all().create(service('a', { clusterIP: '203.0.113.1' })), {
      message: /failed to allocate IP 203\.0\.113\.1: the provided network does not match the current range/,
    });
    for (const [name, message] of [
      ['010.96.1.1', /must be a valid IP address/],
      ['2001:DB8::1', /must be in canonical form \("2001:db8::1"\)/],
    ] as const)
      await assert.rejects(
        addresses().create({ ...kind, metadata: { name }, spec } as unknown as IPAddress),
        message,
      );
  });

  it('are mended', async () => {
    const made = await all().create(service('a'));
    const [ip] = made.spec.clusterIPs!;
    const isMended = () =>
      h.until('the address is there', async () => {
        const { items } = await addresses().list();
        const found = items.find(({ metadata }) => metadata.name === ip);
        return found?.spec?.parentRef?.name === 'a' && found.metadata.labels?.['other'] === undefined;
      });
    await addresses().delete('', ip!);
    await isMended();
    const first = await addresses().get('', ip!);
    await addresses().patch('', ip!, { metadata: { labels: null } }, { type: 'merge' });
    await h.until('it was made anew', async () => {
      const { items } = await addresses().list();
      return items.some(({ metadata }) => metadata.name === ip && metadata.uid !== first.metadata.uid);
    });
    await isMended();
    const labels = { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' };
    await addresses().create({
      ...{ apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress', metadata: { name: '10.96.7.7', labels } },
      spec: { parentRef: { resource: 'services', namespace: 'default', name: 'a' } },
    } as unknown as IPAddress);
    await h.until('what refers wrongly is gone', async () => !(await names()).includes('10.96.7.7'));
    await h.until('it is told', async () => {
      const told = await reasons();
      return told.includes('ClusterIPNotAllocated') && told.includes('IPAddressWrongReference');
    });
  });

  it('are those of more ranges at once, which stay while they are in use', async () => {
    await isReady('kubernetes');
    const made = await ranges().create(range('more', RANGE));
    assert.deepEqual(made.metadata.finalizers, ['networking.k8s.io/service-cidr-finalizer']);
    const there = await all().create(service('there', { clusterIP: '203.0.113.2' }));
    assert.equal(there.spec.clusterIP, '203.0.113.2');
    await isReady('more');
    await ranges().delete('', 'more');
    await isReady('more', 'False');
    const { reason, message } = (await ready('more'))!;
    assert.deepEqual(
      [reason, message],
      [
        'Terminating',
        'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
      ],
    );
    await assert.rejects(
      all().create(service('late', { clusterIP: '203.0.113.3' })),
      /does not match the current range/,
    );
    await all().delete('default', 'there');
    await h.until('it is gone', async () => (await ranges().list()).items.length === 1);
  });

  it('are handed over to a range that has them too', async () => {
    await ranges().create(range('more', RANGE));
    await all().create(service('there', { clusterIP: '203.0.113.2' }));
    await ranges().delete('', 'more');
    await isReady('more', 'False');
    await ranges().create(range('heir', '203.0.113.0/24'));
    await h.until('it is gone', async () =>
      (await ranges().list()).items.every(({ metadata }) => metadata.name !== 'more'),
    );
    await ranges().delete('', 'kubernetes');
    await h.until('the own range is back', async () => {
      const own = (await ranges().list()).items.find(({ metadata }) => metadata.name === 'kubernetes');
      return own !== undefined && own.metadata.deletionTimestamp === undefined;
    });
  });

  it('of ranges are checked', async () => {
    const cases: [string[], RegExp][] = [
      [[], /spec\.cidrs: Required value: at least one CIDR required/],
      [['10.0.0.0/33'], /spec\.cidrs\[0\]: Invalid value: "10\.0\.0\.0\/33": must be a valid CIDR value/],
      [['10.0.0.1/24'], /must not have bits set beyond the prefix length/],
      [['10.0.0.0/24', '10.0.1.0/24'], /may specify no more than one IP for each IP family/],
      [['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24'], /may only hold up to 2 values/],
    ];
    for (const [cidrs, message] of cases)
      await assert.rejects(ranges().create(range('bad', ...cidrs)), message);
    await assert.rejects(
      ranges().patch('', 'kubernetes', { spec: { cidrs: ['10.1.0.0/16'] } }, { type: 'merge' }),
      /spec\.cidrs: Invalid value: .*: field is immutable/,
    );
  });
});
