import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLASS_IN, FLAG, RCODE, TYPE } from '../../../../src/network/dns/constants.js';
import type { Exchange } from '../../../../src/network/dns/exchange.js';
import { Forwarder, type ForwarderOptions } from '../../../../src/network/dns/forwarder.js';
import { emptyReply, type Message, type ResourceRecord } from '../../../../src/network/dns/message.js';
import { addressRecord, nameRecord, soaRecord } from '../../../../src/network/dns/records.js';
import { ResolvConfServers } from '../../../../src/network/dns/resolv-conf.js';
import { createResolver } from '../../../../src/network/dns/resolver.js';
import { service, text, view } from '../../../fixtures/dns.js';

const question = (name: string, type: number = TYPE.A) => ({ name, type, class: CLASS_IN });
const plain = { tcp: false, dnssec: false, checkingDisabled: false };

interface Canned {
  rcode?: number;
  flags?: number;
  answers?: ResourceRecord[];
  authority?: ResourceRecord[];
}

/** A forwarder whose servers give what `answer` says; undefined: they do not answer. */
function forwarder(
  answer: (server: string, query: Message) => Canned | undefined,
  options: Partial<ForwarderOptions> = {},
) {
  const asked: string[] = [];
  const time = { ms: 1_000_000 };
  const exchange =
    (protocol: string): Exchange =>
    async ({ address }, query) => {
      asked.push(`${protocol} ${address} ${query.question!.name}`);
      await new Promise((resolve) => setImmediate(resolve));
      const given = answer(address, query);
      if (!given) throw new Error('timed out');
      const { rcode = 0, flags = 0, answers = [], authority = [] } = given;
      return {
        id: query.id,
        flags: FLAG.QR | flags | rcode,
        question: query.question,
        answers,
        authority,
        additional: [],
      };
    };
  const made = new Forwarder({
    servers: async () => ['1.1.1.1', '2.2.2.2'],
    now: () => time.ms,
    udp: exchange('udp'),
    tcp: exchange('tcp'),
    ...options,
  });
  return { resolve: async (name: string, how = plain) => made.resolve(question(name), how), asked, time };
}

const address = (name: string, ttl: number) => addressRecord(name, ttl, '192.0.2.1');

describe('forwarding of DNS questions', () => {
  it('keeps answers for as long as they allow, in everyone’s case', async () => {
    const { resolve, asked, time } = forwarder(() => ({ answers: [address('a.example', 60)] }));
    assert.deepEqual((await resolve('a.example')).answers.map(text), ['a.example 60 A 192.0.2.1']);
    time.ms += 40_500;
    assert.deepEqual((await resolve('A.Example')).answers.map(text), ['A.Example 20 A 192.0.2.1']);
    assert.equal(asked.length, 1);
    time.ms += 20_000;
    await resolve('a.example');
    assert.equal(asked.length, 2);
  });

  it('keeps that a name is not there for as long as its SOA record allows', async () => {
    const { resolve, asked, time } = forwarder(() => ({
      rcode: RCODE.NXDOMAIN,
      authority: [soaRecord('example', 30, 1)],
    }));
    assert.equal((await resolve('a.example')).rcode, RCODE.NXDOMAIN);
    time.ms += 29_000;
    assert.equal((await resolve('a.example')).rcode, RCODE.NXDOMAIN);
    assert.equal(asked.length, 1);
    time.ms += 1_000;
    await resolve('a.example');
    assert.equal(asked.length, 2);
  });

  const unkept: [string, Canned][] = [
    ['a TTL of 0', { answers: [address('a.example', 0)] }],
    ['NXDOMAIN without SOA record', { rcode: RCODE.NXDOMAIN }],
    ['what is truncated', { flags: FLAG.TC, answers: [address('a.example', 60)] }],
    ['what is large', { answers: Array.from({ length: 60 }, () => address('a.example', 60)) }],
  ];
  for (const [what, answer] of unkept)
    it(`does not keep ${what}`, async () => {
      const { resolve, asked } = forwarder(() => answer);
      await resolve('a.example');
      const { truncated } = await resolve('a.example');
      assert.equal(asked.length, 2);
      assert.equal(truncated, answer.flags === FLAG.TC);
    });

  it('asks the second server when the first is silent, and then that one first for a while', async () => {
    const { resolve, asked, time } = forwarder((server) =>
      server === '1.1.1.1' ? undefined : { answers: [address('a.example', 0)] },
    );
    await resolve('a.example');
    await resolve('a.example');
    time.ms += 10_000;
    await resolve('a.example');
    assert.deepEqual(
      asked.map((line) => line.split(' ')[1]),
      ['1.1.1.1', '2.2.2.2', '2.2.2.2', '1.1.1.1', '2.2.2.2'],
    );
  });

  it('asks the second server when the first refuses', async () => {
    const { resolve } = forwarder((server) =>
      server === '1.1.1.1' ? { rcode: RCODE.REFUSED } : { answers: [address('a.example', 5)] },
    );
    assert.equal((await resolve('a.example')).answers.length, 1);
    const none = forwarder(() => ({ rcode: RCODE.SERVFAIL }));
    assert.equal((await none.resolve('a.example')).rcode, RCODE.SERVFAIL);
    assert.equal(none.asked.length, 2);
  });

  it('fails after three attempts', async () => {
    const { resolve, asked } = forwarder(() => undefined);
    assert.equal((await resolve('a.example')).rcode, RCODE.SERVFAIL);
    assert.equal(asked.length, 3);
    const alone = forwarder(() => undefined, { servers: async () => [] });
    assert.equal((await alone.resolve('a.example')).rcode, RCODE.SERVFAIL);
  });

  it('asks once for many, and by TCP who was asked by TCP', async () => {
    const { resolve, asked } = forwarder(() => ({ answers: [address('a.example', 0)] }));
    const replies = await Promise.all(Array.from({ length: 20 }, () => resolve('a.example')));
    assert.ok(replies.every(({ answers }) => answers.length === 1));
    await resolve('a.example', { ...plain, tcp: true });
    assert.deepEqual(asked, ['udp 1.1.1.1 a.example', 'tcp 1.1.1.1 a.example']);
  });

  it('refuses more than it can bear', async () => {
    const { resolve } = forwarder(() => ({ answers: [] }), { maxPending: 2 });
    const replies = await Promise.all(['a', 'b', 'c'].map((name) => resolve(name)));
    assert.deepEqual(
      replies.map(({ rcode }) => rcode),
      [RCODE.NOERROR, RCODE.NOERROR, RCODE.REFUSED],
    );
  });
});

describe('the resolver', () => {
  const zone = { domain: 'cluster.local', address: '10.96.0.10' };
  const ext = (name: string, externalName: string) => service(name, { type: 'ExternalName', externalName });
  const forward = async ({ name }: { name: string }) =>
    name === 'www.example'
      ? {
          ...emptyReply(RCODE.NOERROR),
          answers: [nameRecord(name, TYPE.CNAME, 9, 'x.example'), address('x.example', 9)],
        }
      : emptyReply(RCODE.NXDOMAIN);
  const answer = async (name: string) => {
    const known = await view(
      ext('out', 'www.example'),
      ext('gone', 'gone.example'),
      ext('in', 'web.ns.svc.cluster.local.'),
      ext('loop', 'loop.ns.svc.cluster.local'),
      service('web', { clusterIP: '10.96.0.7' }),
    );
    const resolve = createResolver({ zone, view: known, forward });
    const reply = await resolve(question(`${name}.ns.svc.cluster.local`), plain);
    return { rcode: reply.rcode, answers: reply.answers.map((record) => text(record).replace(/^\S+ /, '')) };
  };
  const cases: [name: string, rcode: number, answers: string[]][] = [
    ['out', RCODE.NOERROR, ['5 CNAME www.example', '9 CNAME x.example', '9 A 192.0.2.1']],
    ['gone', RCODE.NXDOMAIN, ['5 CNAME gone.example']],
    ['in', RCODE.NOERROR, ['5 CNAME web.ns.svc.cluster.local', '5 A 10.96.0.7']],
    ['loop', RCODE.SERVFAIL, Array(9).fill('5 CNAME loop.ns.svc.cluster.local')],
  ];
  for (const [name, rcode, answers] of cases)
    it(`follows an external name: ${name}`, async () =>
      assert.deepEqual(await answer(name), { rcode, answers }));

  it('gives addresses in any order, after the names that lead to them', async () => {
    const ips = Array.from({ length: 8 }, (_, i) => addressRecord('b', 1, `10.0.0.${i}`));
    const reply = { ...emptyReply(RCODE.NOERROR), answers: [nameRecord('a', TYPE.CNAME, 1, 'b'), ...ips] };
    const resolve = createResolver({ zone, view: await view(), forward: () => reply, random: () => 0 });
    const { answers } = await resolve(question('a'), plain);
    assert.equal(answers[0]!.type, TYPE.CNAME);
    assert.notDeepEqual(answers, reply.answers);
    assert.deepEqual(new Set(answers), new Set(reply.answers));
  });

  it('knows only the Internet’s class', async () => {
    const resolve = createResolver({ zone, view: await view(), forward });
    assert.equal((await resolve({ ...question('a'), class: 3 }, plain)).rcode, RCODE.REFUSED);
  });
});

describe('the servers of a resolv.conf', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'keelson-test-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('are read again when the file is replaced, and never the cluster’s own', async () => {
    const file = join(dir, 'resolv.conf');
    let now = 0;
    await writeFile(file, 'nameserver 10.96.0.10\nnameserver 1.1.1.1\n');
    const servers = new ResolvConfServers(file, ['10.96.0.10'], () => now);
    assert.deepEqual(await servers.get(), ['1.1.1.1']);
    await writeFile(`${file}.new`, 'nameserver 2.2.2.2\n');
    await rename(`${file}.new`, file);
    now += 1000;
    assert.deepEqual(await servers.get(), ['2.2.2.2']);
    await rm(file);
    now += 1000;
    assert.deepEqual(await servers.get(), []);
  });
});
