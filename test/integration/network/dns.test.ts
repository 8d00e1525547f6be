/** The DNS server and its forwarding over real sockets on loopback. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { RCODE } from '../../../src/network/dns/constants.js';
import { Forwarder } from '../../../src/network/dns/forwarder.js';
import { emptyReply } from '../../../src/network/dns/message.js';
import { addressRecord, txtRecord } from '../../../src/network/dns/records.js';
import { createResolver, type Resolve } from '../../../src/network/dns/resolver.js';
import { type DnsServer, listenDns } from '../../../src/network/dns/server.js';
import { query, service, slice, view } from '../../fixtures/dns.js';

const zone = { domain: 'cluster.local', address: '10.96.0.10' };

function client(port: number, address = '127.0.0.1'): Resolver {
  const resolver = new Resolver({ timeout: 3000, tries: 1 });
  resolver.setServers([`${address}:${port}`]);
  return resolver;
}

describe('the DNS server', () => {
  const open: DnsServer[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });
  async function serve(resolve: Resolve, address = '127.0.0.1', port = 0): Promise<DnsServer> {
    const server = await listenDns({ address, port, resolve });
    open.push(server);
    return server;
  }
  const nothing = () => emptyReply(RCODE.NXDOMAIN);

  it('answers a resolver about Services', async () => {
    const known = await view(
      service('db', { clusterIP: 'None', ports: [{ name: 'http', port: 8080 }] }),
      slice('db-1', 'db', [{ addresses: ['10.244.0.2'], hostname: 'db-0' }]),
    );
    const { port } = await serve(createResolver({ zone, view: known, forward: nothing }));
    const resolver = client(port);
    assert.deepEqual(await resolver.resolve4('db.ns.svc.cluster.local'), ['10.244.0.2']);
    assert.deepEqual(await resolver.resolveSrv('_http._tcp.db.ns.svc.cluster.local'), [
      { name: 'db-0.db.ns.svc.cluster.local', port: 8080, priority: 0, weight: 100 },
    ]);
    assert.deepEqual(await resolver.reverse('10.244.0.2'), ['db-0.db.ns.svc.cluster.local']);
    assert.deepEqual(await resolver.resolveTxt('dns-version.cluster.local'), [['1.1.0']]);
    assert.equal((await resolver.resolveSoa('cluster.local')).nsname, 'ns.dns.cluster.local');
    await assert.rejects(resolver.resolve6('db.ns.svc.cluster.local'), { code: 'ENODATA' });
    await assert.rejects(resolver.resolve4('no.ns.svc.cluster.local'), { code: 'ENOTFOUND' });
  });

  it('gives by TCP what is too large for UDP', async () => {
    const endpoints = Array.from({ length: 1000 }, (_, i) => ({
      addresses: [`10.244.${i >> 8}.${i & 255}`],
    }));
    const known = await view(service('big', { clusterIP: 'None' }), slice('big-1', 'big', endpoints));
    const { port } = await serve(createResolver({ zone, view: known, forward: nothing }));
    const found = await client(port).resolve4('big.ns.svc.cluster.local');
    assert.equal(new Set(found).size, 1000);
  });

  it('lives on after garbage, and after askers that leave', async () => {
    const { port } = await serve(() => ({
      ...emptyReply(0),
      answers: [addressRecord('a.b', 1, '192.0.2.1')],
    }));
    const socket = createSocket('udp4');
    for (const bytes of ['', '00', 'ff'.repeat(2000), '000101000001000000000000c00c00010001'])
      await new Promise((sent) => socket.send(Buffer.from(bytes, 'hex'), port, '127.0.0.1', sent));
    socket.close();
    for (const bytes of ['ffff00', '000300', '00', `0010${'00'.repeat(16)}`]) {
      const tcp = connect(port, '127.0.0.1');
      tcp.on('error', () => undefined);
      tcp.end(Buffer.from(bytes, 'hex'));
      tcp.destroySoon();
    }
    assert.deepEqual(await client(port).resolve4('a.b'), ['192.0.2.1']);
  });

  it('answers many questions on one connection, also when they arrive in pieces', async () => {
    const { port } = await serve(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return { ...emptyReply(0), answers: [txtRecord('a.b', 1, 'x'.repeat(200))] };
    });
    const question = query('TXT a.b');
    const one = Buffer.concat([Buffer.from([0, question.length]), question]);
    const all = Buffer.concat(Array.from({ length: 500 }, () => one));
    const tcp = connect(port, '127.0.0.1');
    for (let at = 0; at < all.length; at += 777) tcp.write(all.subarray(at, at + 777));
    let received = Buffer.alloc(0);
    let count = 0;
    for await (const chunk of tcp) {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        received = received.subarray(2 + received.readUInt16BE(0));
        count++;
      }
      if (count === 500) break;
    }
    assert.equal(count, 500);
  });

  it('keeps room for others when one takes all the connections it can', async () => {
    const { port } = await serve(() => ({ ...emptyReply(0), answers: [txtRecord('a.b', 1, 'x')] }));
    const hogs = Array.from({ length: 300 }, () =>
      connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' }),
    );
    for (const hog of hogs) hog.on('error', () => undefined);
    await Promise.all(hogs.map((hog) => new Promise((connected) => hog.on('connect', connected))));
    const question = query('TXT a.b');
    const tcp = connect({ port, host: '127.0.0.1' });
    tcp.write(Buffer.concat([Buffer.from([0, question.length]), question]));
    const [answer] = (await once(tcp, 'data')) as [Buffer];
    assert.equal(answer.readUInt16BE(2), 4711);
    for (const socket of [...hogs, tcp]) socket.destroy();
  });

  it('tells that its address is taken, and frees what it had', async () => {
    const { port } = await serve(nothing);
    await assert.rejects(listenDns({ address: '127.0.0.1', port, resolve: nothing }), { code: 'EADDRINUSE' });
    await open.pop()!.close();
    await serve(nothing, '127.0.0.1', port);
  });

  describe('forwards', () => {
    const now = () => Date.now();
    /** Servers on 127.1.1.1 and 127.1.1.2 at one port. */
    const forwarding = (port: number, timeoutMs = 300) => {
      const servers = async () => ['127.1.1.1', '127.1.1.2'];
      const forwarder = new Forwarder({ servers, now, port, timeoutMs });
      return serve((question, asked) => forwarder.resolve(question, asked));
    };
    const big = (name: string) =>
      Array.from({ length: 200 }, (_, i) => addressRecord(name, 0, `192.0.2.${i}`));

    it('to the next server at once when the first is not there', async () => {
      const upstream = await serve(
        ({ name }) => ({ ...emptyReply(0), answers: big(name).slice(0, 1) }),
        '127.1.1.2',
      );
      const { port } = await forwarding(upstream.port, 5000);
      const start = performance.now();
      assert.deepEqual(await client(port).resolve4('www.example'), ['192.0.2.0']);
      assert.ok(performance.now() - start < 500);
    });

    it('to the next server when the first is silent', async () => {
      const upstream = await serve(
        ({ name }) => ({ ...emptyReply(0), answers: big(name).slice(0, 1) }),
        '127.1.1.2',
      );
      const silent = createSocket('udp4');
      await new Promise<void>((bound) => silent.bind(upstream.port, '127.1.1.1', bound));
      const { port } = await forwarding(upstream.port);
      assert.deepEqual(await client(port).resolve4('www.example'), ['192.0.2.0']);
      silent.close();
    });

    it('by TCP what does not fit', async () => {
      const upstream = await serve(({ name }) => ({ ...emptyReply(0), answers: big(name) }), '127.1.1.1');
      const { port } = await forwarding(upstream.port);
      assert.equal((await client(port).resolve4('www.example')).length, 200);
    });

    it('in a loop without harm', async () => {
      const looping: { port?: number } = {};
      let asked = 0;
      const forwarder = new Forwarder({
        servers: async () => {
          asked++;
          return ['127.0.0.1'];
        },
        now,
        timeoutMs: 200,
        get port() {
          return looping.port;
        },
      });
      const { port } = await serve((question, how) => forwarder.resolve(question, how));
      looping.port = port;
      await assert.rejects(client(port).resolve4('www.example'), { code: 'ESERVFAIL' });
      assert.ok(asked < 5, `${asked}`);
    });
  });
});
