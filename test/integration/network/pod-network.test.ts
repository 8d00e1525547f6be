import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createPodNetwork } from '../../../src/network/index.js';
import { bridgeName, vethName } from '../../../src/network/names.js';
import type { PodNetwork } from '../../../src/network/types.js';
import { assertNoLeaks, type Snapshot, snapshot } from '../../fixtures/leaks.js';
import { register } from '../../fixtures/registry.js';
import { run } from '../../fixtures/tools.js';

const config = (cluster: string) => ({
  cluster,
  podCidrs: ['10.199.7.0/24', 'fd00:10:199:7::/64'],
  clusterCidrs: ['10.199.0.0/16', 'fd00:10:199::/48'],
});
const GATEWAYS = ['10.199.7.1', 'fd00:10:199:7::1'];

async function sh(...argv: string[]): Promise<string> {
  const { stdout, stderr, code } = await run(argv[0]!, argv.slice(1));
  assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`);
  return stdout;
}

describe('the pod network', () => {
  let cluster: string;
  let network: PodNetwork;
  let spaces: string[];
  let before: Snapshot;
  const filter = { containing: ['kl-', 'klv', 'klt'] };

  beforeEach(() => {
    cluster = `t${randomBytes(3).toString('hex')}`;
    before = snapshot(filter);
    register({ kind: 'link', name: bridgeName(cluster) });
    network = createPodNetwork({ cluster });
    spaces = [];
  });
  afterEach(async () => {
    await network.teardown();
    for (const name of spaces) await sh('ip', 'netns', 'del', name);
    await assertNoLeaks(before, filter);
    assert.doesNotMatch(await sh('nft', 'list', 'tables'), new RegExp(`keelson-${cluster}`));
  });

  async function space(): Promise<string> {
    const name = `klt-${randomBytes(4).toString('hex')}`;
    register({ kind: 'netns', name });
    await sh('ip', 'netns', 'add', name);
    spaces.push(name);
    return name;
  }
  const path = (name: string) => `/run/netns/${name}`;
  const inside = (name: string, ...argv: string[]) => sh('ip', 'netns', 'exec', name, ...argv);

  it('lets pods reach each other, the node, and by hairpin themselves', async () => {
    await network.setup(config(cluster));
    const [a, b] = [await space(), await space()];
    const one = await network.attach('pod-a', path(a));
    const two = await network.attach('pod-b', path(b));
    assert.deepEqual(one, ['10.199.7.2', 'fd00:10:199:7::2']);
    assert.deepEqual(two, ['10.199.7.3', 'fd00:10:199:7::3']);
    for (const target of [...two, ...GATEWAYS, '127.0.0.1', '::1'])
      await inside(a, 'busybox', 'ping', '-c', '1', '-W', '2', target);
    const port = await sh('bridge', '-d', 'link', 'show', 'dev', vethName(cluster, 'pod-a'));
    assert.match(port, /hairpin on/);
  });

  it('hides pods behind the node outside of the cluster', async () => {
    await network.setup(config(cluster));
    const [pod, outside] = [await space(), await space()];
    await network.attach('pod-a', path(pod));
    const link = `kltx${cluster}`;
    register({ kind: 'link', name: link });
    await sh('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
    await sh('ip', 'addr', 'add', '198.51.100.1/24', 'dev', link);
    await sh('ip', 'link', 'set', link, 'up');
    await inside(outside, 'ip', 'addr', 'add', '198.51.100.2/24', 'dev', 'eth0');
    await inside(outside, 'ip', 'link', 'set', 'eth0', 'up');
    await inside(pod, 'busybox', 'ping', '-c', '1', '-W', '2', '198.51.100.2');
    await sh('ip', 'addr', 'add', '2001:db8:5::1/64', 'dev', link, 'nodad');
    await inside(outside, 'ip', 'addr', 'add', '2001:db8:5::2/64', 'dev', 'eth0', 'nodad');
    await inside(pod, 'busybox', 'ping', '-c', '1', '-W', '2', '2001:db8:5::2');
  });

  it('gives the same address again, also to the next agent', async () => {
    await network.setup(config(cluster));
    const [a, b] = [await space(), await space()];
    const one = await network.attach('pod-a', path(a));
    assert.deepEqual(await network.attach('pod-a', path(a)), one);
    const next = createPodNetwork({ cluster });
    await next.setup(config(cluster));
    assert.deepEqual(await next.attach('pod-a', path(a)), one);
    assert.deepEqual(await next.attach('pod-b', path(b)), ['10.199.7.3', 'fd00:10:199:7::3']);
    await inside(a, 'busybox', 'ping', '-c', '1', '-W', '2', '10.199.7.3');
  });

  it('gives a sandbox that was made anew a new link', async () => {
    await network.setup(config(cluster));
    const [a, b] = [await space(), await space()];
    const one = await network.attach('pod-a', path(a));
    const next = createPodNetwork({ cluster });
    await next.setup(config(cluster));
    assert.deepEqual(await next.attach('pod-a', path(b)), one);
    await inside(b, 'busybox', 'ping', '-c', '1', '-W', '2', GATEWAYS[1]!);
  });

  it('detaches, twice if need be, and attaches again', async () => {
    await network.setup(config(cluster));
    const a = await space();
    await network.attach('pod-a', path(a));
    await network.detach('pod-a');
    await network.detach('pod-a');
    assert.doesNotMatch(await inside(a, 'ip', '-br', 'link'), /eth0/);
    assert.equal((await network.attach('pod-a', path(a)))[0], '10.199.7.3');
  });

  it('leaves nothing of an attach that failed', async () => {
    await network.setup(config(cluster));
    await assert.rejects(network.attach('pod-a', '/run/netns/klt-none'), { code: 'ENOENT' });
    await assert.rejects(network.attach('pod-b', '/etc/passwd'), { code: 'EINVAL' });
    const a = await space();
    assert.ok(await network.attach('pod-a', path(a)));
  });

  it('follows a new podCIDR', async () => {
    await network.setup(config(cluster));
    await network.setup({ ...config(cluster), podCidrs: ['10.199.8.0/24'] });
    const addresses = await sh('ip', '-4', '-br', 'addr', 'show', 'dev', bridgeName(cluster));
    assert.match(addresses, /10\.199\.8\.1\/24\s*$/);
    assert.deepEqual(await network.attach('pod-a', path(await space())), ['10.199.8.2']);
  });

  it("holds the node's own addresses, for pods to reach", async () => {
    const addresses = () => sh('ip', '-4', '-o', 'addr', 'show', 'dev', bridgeName(cluster));
    await network.setup({ ...config(cluster), nodeAddresses: ['10.198.0.10', '10.198.0.11'] });
    const pod = await space();
    await network.attach('pod-a', path(pod));
    await inside(pod, 'busybox', 'ping', '-c', '1', '-W', '2', '10.198.0.10');
    await network.setup({ ...config(cluster), nodeAddresses: ['10.198.0.10'] });
    assert.match(await addresses(), / 10\.198\.0\.10\/32 /);
    assert.doesNotMatch(await addresses(), /10\.198\.0\.11/);
  });

  it('routes to the pods of other nodes, and no longer when they are gone', async () => {
    await network.setup(config(cluster));
    const other = await space();
    // The other node: on the same link, with pods' addresses behind it.
    const [ip = '', ip6 = ''] = await network.attach('node-b', path(other));
    await inside(other, 'ip', 'addr', 'add', '10.199.9.5/32', 'dev', 'lo');
    await network.setRoutes([
      { podCidr: '10.199.9.0/24', address: ip },
      { podCidr: '10.199.10.0/24', address: ip },
      { podCidr: 'fd00:10:199:9::/64', address: ip6 },
    ]);
    await inside(other, 'ip', 'addr', 'add', 'fd00:10:199:9::5/128', 'dev', 'lo', 'nodad');
    for (const target of ['10.199.9.5', 'fd00:10:199:9::5'])
      await sh('busybox', 'ping', '-c', '1', '-W', '2', target);
    await network.setRoutes([{ podCidr: '10.199.9.0/24', address: ip }]);
    const routes = await sh('ip', 'route');
    assert.match(routes, /10\.199\.9\.0\/24 via 10\.199\.7\.2/);
    assert.doesNotMatch(routes, /10\.199\.10\.0/);
    assert.doesNotMatch(await sh('ip', '-6', 'route'), /fd00:10:199:9::/);
  });

  it('is taken down by another process, and by one that never set it up', async () => {
    await network.setup(config(cluster));
    await network.attach('pod-a', path(await space()));
    await createPodNetwork({ cluster }).teardown();
    await assertNoLeaks(snapshot(filter), filter);
    await createPodNetwork({ cluster }).teardown();
    assert.equal((await run('ip', ['link', 'show', bridgeName(cluster)])).code, 1);
  });

  /** Joins `other`, where it is `eth0`, with `node`: addresses `<range>1` and `<range>2`, of both IP families. */
  async function wire(node: string, name: string, other: string, v4: string, v6: string): Promise<void> {
    await inside(node, 'ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', other);
    for (const [at, link, last] of [
      [node, name, 1],
      [other, 'eth0', 2],
    ] as const) {
      await inside(at, 'sysctl', '-qw', `net.ipv6.conf.${link}.accept_dad=0`);
      await inside(at, 'ip', 'addr', 'add', `${v4}${last}/24`, 'dev', link);
      await inside(at, 'ip', 'addr', 'add', `${v6}${last}/64`, 'dev', link);
      await inside(at, 'ip', 'link', 'set', link, 'up');
    }
  }

  for (const kind of ['nft', 'legacy'])
    it(`passes a firewall that drops what is forwarded, and takes its rules back (${kind})`, async function () {
      const commands = [`iptables-${kind}`, `ip6tables-${kind}`];
      const [node, pod, far, client] = [await space(), await space(), await space(), await space()];
      for (const command of commands)
        if ((await run('ip', ['netns', 'exec', node, command, '-P', 'FORWARD', 'DROP'])).code !== 0)
          return this.skip();
      const rules = async () =>
        (await Promise.all(commands.map((command) => inside(node, command, '-S', 'FORWARD')))).join('');
      const empty = await rules();
      await wire(node, 'out', far, '198.51.100.', 'fd00:51::');
      await wire(node, 'in', client, '198.51.101.', 'fd00:52::');
      // A pod of another node, and who comes to it through this one, as by a node port.
      const [farPod4, farPod6] = ['10.199.8.2', 'fd00:10:199:8::2'];
      for (const [ip, by] of [
        [farPod4, '198.51.100.2'],
        [farPod6, 'fd00:51::2'],
      ] as const) {
        await inside(far, 'ip', 'addr', 'add', ip, 'dev', 'lo');
        await inside(node, 'ip', 'route', 'add', ip, 'via', by);
      }
      await inside(far, 'ip', 'link', 'set', 'lo', 'up');
      for (const at of [far, client])
        for (const route of at === far ? ['198.51.100.1', 'fd00:51::1'] : ['198.51.101.1', 'fd00:52::1'])
          await inside(at, 'ip', route.includes(':') ? '-6' : '-4', 'route', 'add', 'default', 'via', route);
      const steps = `await network.setup(config); await network.setup(config); await network.attach('p', '${path(pod)}');`;
      await inNode(node, steps);
      assert.equal((await rules()).match(/ACCEPT/g)?.length, 8);
      for (const target of ['198.51.100.2', 'fd00:51::2', farPod4, farPod6])
        await inside(pod, 'busybox', 'ping', '-c', '1', '-W', '5', target);
      for (const target of [farPod4, farPod6])
        await inside(client, 'busybox', 'ping', '-c', '1', '-W', '5', target);
      await inNode(node, 'await network.teardown();');
      assert.equal(await rules(), empty);
    });

  /** Runs steps with a pod network in another network namespace, in a process of its own. */
  function inNode(node: string, steps: string): Promise<string> {
    const module = join(process.cwd(), 'dist/src/network/index.js');
    const script = `
      import { createPodNetwork } from ${JSON.stringify(module)};
      const config = ${JSON.stringify(config(cluster))};
      const network = createPodNetwork({ cluster: '${cluster}' });
      ${steps}`;
    return inside(node, process.execPath, '--input-type=module', '-e', script);
  }

  it('works in a network namespace of its own', async () => {
    const [node, pod] = [await space(), await space()];
    const ip = await inNode(
      node,
      `await network.setup(config); console.log((await network.attach('pod', '${path(pod)}'))[0]);`,
    );
    assert.equal(ip.trim(), '10.199.7.2');
    await inside(pod, 'busybox', 'ping', '-c', '1', '-W', '2', '10.199.7.1');
    assert.equal(
      (await run('ip', ['link', 'show', bridgeName(cluster)])).code,
      1,
      'none on the machine itself',
    );
    assert.equal((await inside(node, 'cat', '/proc/sys/net/ipv4/ip_forward')).trim(), '1');
  });
});
