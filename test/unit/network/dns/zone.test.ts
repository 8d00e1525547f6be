import assert from 'node:assert/strict';
import { CLASS_IN, RCODE, TYPE } from '../../../../src/network/dns/constants.js';
import type { ServiceView } from '../../../../src/network/dns/view.js';
import { followServices } from '../../../../src/network/dns/view.js';
import { answerFromZone } from '../../../../src/network/dns/zone.js';
import { FakeSource, service, slice, text, view } from '../../../fixtures/dns.js';

const zone = { domain: 'cluster.local', address: '10.96.0.10' };
const SOA = 'cluster.local 5 SOA ns.dns.cluster.local hostmaster.cluster.local';

function ask(asked: string, from: ServiceView) {
  const [type = '', name = ''] = asked.split(' ');
  return answerFromZone({ name, type: TYPE[type as keyof typeof TYPE], class: CLASS_IN }, zone, from);
}

const NIBBLES_OF_BOTH = 'c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa';
const NIBBLES_OF_POD = '9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa';

const objects = [
  service('web', {
    clusterIP: '10.96.0.7',
    clusterIPs: ['10.96.0.7'],
    ports: [
      { name: 'http', port: 80 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  }),
  slice('web-1', 'web', [{ addresses: ['10.244.0.9'] }]),
  service('unnamed', { clusterIP: '10.96.0.8', ports: [{ port: 80 }] }),
  service('portless', { clusterIP: '10.96.0.11' }),
  service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'http', port: 8080 }] }),
  slice('db-1', 'db', [
    { addresses: ['10.244.0.2'], hostname: 'db-0', conditions: { ready: true } },
    { addresses: ['10.244.0.3'], hostname: 'db-1', conditions: { ready: false } },
  ]),
  slice('db-2', 'db', [{ addresses: ['10.244.1.4'] }]),
  service('early', { clusterIP: 'None', publishNotReadyAddresses: true }),
  slice('early-1', 'early', [{ addresses: ['10.244.0.5'], hostname: 'e', conditions: { ready: false } }], []),
  service('waiting', { clusterIP: 'None' }),
  slice('waiting-1', 'waiting', [{ addresses: ['10.244.0.6'], conditions: { ready: false } }]),
  service('ext', { type: 'ExternalName', externalName: 'db.example.com' }),
  service('both', {
    clusterIP: '10.96.0.12',
    clusterIPs: ['10.96.0.12', 'fd00:10:96::c'],
    ports: [{ port: 80 }],
  }),
  slice('both-6', 'both', [{ addresses: ['fd00:10:244::9'] }]),
  service('extip', { type: 'ExternalName', externalName: '192.0.2.1' }),
];

describe('names of the cluster', () => {
  let all: ServiceView;
  before(async () => {
    all = await view(...objects);
  });

  const found: [asked: string, answers: string[], additional?: string[]][] = [
    ['A web.ns.svc.cluster.local', ['web.ns.svc.cluster.local 5 A 10.96.0.7']],
    ['A WEB.ns.SVC.Cluster.Local', ['WEB.ns.SVC.Cluster.Local 5 A 10.96.0.7']],
    ['A _http._tcp.web.ns.svc.cluster.local', ['_http._tcp.web.ns.svc.cluster.local 5 A 10.96.0.7']],
    ['A portless.ns.svc.cluster.local', ['portless.ns.svc.cluster.local 5 A 10.96.0.11']],
    ['A 10-244-0-9.web.ns.svc.cluster.local', ['10-244-0-9.web.ns.svc.cluster.local 5 A 10.244.0.9']],
    [
      'SRV _http._tcp.web.ns.svc.cluster.local',
      ['_http._tcp.web.ns.svc.cluster.local 5 SRV 0 100 80 web.ns.svc.cluster.local'],
      ['web.ns.svc.cluster.local 5 A 10.96.0.7'],
    ],
    [
      'SRV _dns._udp.web.ns.svc.cluster.local',
      ['_dns._udp.web.ns.svc.cluster.local 5 SRV 0 100 53 web.ns.svc.cluster.local'],
      ['web.ns.svc.cluster.local 5 A 10.96.0.7'],
    ],
    [
      'A db.ns.svc.cluster.local',
      ['db.ns.svc.cluster.local 5 A 10.244.0.2', 'db.ns.svc.cluster.local 5 A 10.244.1.4'],
    ],
    ['A db-0.db.ns.svc.cluster.local', ['db-0.db.ns.svc.cluster.local 5 A 10.244.0.2']],
    ['A 10-244-1-4.db.ns.svc.cluster.local', ['10-244-1-4.db.ns.svc.cluster.local 5 A 10.244.1.4']],
    [
      'SRV _http._tcp.db.ns.svc.cluster.local',
      [
        '_http._tcp.db.ns.svc.cluster.local 5 SRV 0 50 8080 db-0.db.ns.svc.cluster.local',
        '_http._tcp.db.ns.svc.cluster.local 5 SRV 0 50 8080 10-244-1-4.db.ns.svc.cluster.local',
      ],
      ['db-0.db.ns.svc.cluster.local 5 A 10.244.0.2', '10-244-1-4.db.ns.svc.cluster.local 5 A 10.244.1.4'],
    ],
    ['A early.ns.svc.cluster.local', ['early.ns.svc.cluster.local 5 A 10.244.0.5']],
    ['A e.early.ns.svc.cluster.local', ['e.early.ns.svc.cluster.local 5 A 10.244.0.5']],
    ['PTR 7.0.96.10.in-addr.arpa', ['7.0.96.10.in-addr.arpa 5 PTR web.ns.svc.cluster.local']],
    ['PTR 2.0.244.10.in-addr.arpa', ['2.0.244.10.in-addr.arpa 5 PTR db-0.db.ns.svc.cluster.local']],
    ['PTR 5.0.244.10.IN-ADDR.ARPA', ['5.0.244.10.IN-ADDR.ARPA 5 PTR e.early.ns.svc.cluster.local']],
    ['A both.ns.svc.cluster.local', ['both.ns.svc.cluster.local 5 A 10.96.0.12']],
    ['AAAA both.ns.svc.cluster.local', ['both.ns.svc.cluster.local 5 AAAA fd00001000960000000000000000000c']],
    [`PTR ${NIBBLES_OF_BOTH}`, [`${NIBBLES_OF_BOTH} 5 PTR both.ns.svc.cluster.local`]],
    [`PTR ${NIBBLES_OF_POD}`, [`${NIBBLES_OF_POD} 5 PTR fd00-10-244--9.both.ns.svc.cluster.local`]],
    ['A 1-2-3-4.ns.pod.cluster.local', ['1-2-3-4.ns.pod.cluster.local 5 A 1.2.3.4']],
    ['CNAME ext.ns.svc.cluster.local', ['ext.ns.svc.cluster.local 5 CNAME db.example.com']],
    ['A ext.ns.svc.cluster.local', ['ext.ns.svc.cluster.local 5 CNAME db.example.com']],
    ['TXT dns-version.cluster.local', ['dns-version.cluster.local 5 TXT "1.1.0"']],
    ['A ns.dns.cluster.local', ['ns.dns.cluster.local 5 A 10.96.0.10']],
    [
      'NS cluster.local',
      ['cluster.local 5 NS ns.dns.cluster.local'],
      ['ns.dns.cluster.local 5 A 10.96.0.10'],
    ],
  ];
  for (const [asked, answers, additional = []] of found)
    it(asked, () => {
      const reply = ask(asked, all)!;
      assert.deepEqual(
        { rcode: reply.rcode, aa: reply.authoritative, answers: reply.answers.map(text) },
        { rcode: RCODE.NOERROR, aa: true, answers },
      );
      assert.deepEqual(reply.additional.map(text), additional);
      assert.deepEqual(reply.authority, []);
    });

  it('has a SOA record at its top', () => {
    const [soa] = ask('SOA cluster.local', all)!.answers;
    assert.match(text(soa!), new RegExp(`^${SOA} 25939 61696 0 7200 0 1800 1 20864 0 5$`));
  });

  const nothing: [rcode: 'NOERROR' | 'NXDOMAIN', asked: string][] = [
    ['NOERROR', 'AAAA web.ns.svc.cluster.local'],
    ['NOERROR', 'MX web.ns.svc.cluster.local'],
    ['NOERROR', 'A cluster.local'],
    ['NOERROR', 'A svc.cluster.local'],
    ['NOERROR', 'A ns.svc.cluster.local'],
    ['NOERROR', 'A empty.svc.cluster.local'],
    ['NOERROR', 'A dns-version.cluster.local'],
    ['NOERROR', 'AAAA 1-2-3-4.ns.pod.cluster.local'],
    ['NOERROR', 'SRV portless.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A nothing.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A web.other.svc.cluster.local'],
    ['NXDOMAIN', 'A other.svc.cluster.local'],
    ['NXDOMAIN', 'A web.ns.cluster.local'],
    ['NXDOMAIN', 'A kubernetes.default.cluster.local'],
    ['NXDOMAIN', 'A waiting.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A db-1.db.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A nobody.db.ns.svc.cluster.local'],
    ['NXDOMAIN', 'SRV _https._tcp.web.ns.svc.cluster.local'],
    ['NXDOMAIN', 'SRV _http._udp.web.ns.svc.cluster.local'],
    ['NXDOMAIN', 'SRV _http._tcp.unnamed.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A a._http._tcp.web.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A 1-2-3.ns.pod.cluster.local'],
    ['NXDOMAIN', 'A 1-2-3-4.other.pod.cluster.local'],
    ['NXDOMAIN', 'A extip.ns.svc.cluster.local'],
    ['NXDOMAIN', 'A a.ext.ns.svc.cluster.local'],
  ];
  for (const [rcode, asked] of nothing)
    it(`${asked}: ${rcode} with the SOA record`, () => {
      const reply = ask(asked, all)!;
      assert.equal(reply.rcode, RCODE[rcode]);
      assert.deepEqual(reply.answers, []);
      assert.equal(reply.authority.length, 1);
      assert.ok(text(reply.authority[0]!).startsWith(`${SOA} `));
    });

  for (const asked of [
    'A example.com',
    'A notcluster.local',
    'PTR 9.9.9.9.in-addr.arpa',
    'PTR 0.96.10.in-addr.arpa',
    'PTR 0.0.d.f.ip6.arpa',
    `PTR ${NIBBLES_OF_POD.replace('9', 'a')}`,
    `PTR ${NIBBLES_OF_POD.replace('9', 'x')}`,
    'A 7.0.96.10.in-addr.arpa',
  ])
    it(`leaves ${asked} to others`, () => assert.equal(ask(asked, all), undefined));

  it('does not transfer the zone', () => assert.equal(ask('AXFR cluster.local', all)!.rcode, RCODE.REFUSED));

  it('does not say that a name is not there before all is known', async () => {
    const source = new FakeSource();
    const young = followServices(source);
    source.set('namespaces', 'ns', {});
    source.put(service('web', { clusterIP: '10.96.0.7' }));
    assert.equal(ask('A web.ns.svc.cluster.local', young)!.rcode, RCODE.NOERROR);
    assert.equal(ask('A other.ns.svc.cluster.local', young)!.rcode, RCODE.SERVFAIL);
    source.markSynced();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ask('A other.ns.svc.cluster.local', young)!.rcode, RCODE.NXDOMAIN);
  });

  it('follows changes', async () => {
    const source = new FakeSource();
    const changing = followServices(source);
    source.set('namespaces', 'ns', {});
    source.markSynced();
    await new Promise((resolve) => setImmediate(resolve));
    const answers = (asked: string) =>
      ask(asked, changing)?.answers.map((record) => text(record).split(' ').at(-1));
    source.put(service('db', { clusterIP: 'None' }));
    source.put(slice('db-1', 'db', [{ addresses: ['10.244.0.2'] }]));
    assert.deepEqual(answers('A db.ns.svc.cluster.local'), ['10.244.0.2']);
    source.put(slice('db-1', 'db', [{ addresses: ['10.244.0.3'] }]));
    assert.deepEqual(answers('A db.ns.svc.cluster.local'), ['10.244.0.3']);
    assert.equal(ask('PTR 2.0.244.10.in-addr.arpa', changing), undefined);
    source.set('endpointslices', 'ns/db-1', undefined);
    assert.deepEqual(answers('A db.ns.svc.cluster.local'), []);
    assert.equal(ask('PTR 3.0.244.10.in-addr.arpa', changing), undefined);
    source.put(service('db', { clusterIP: '10.96.0.20', clusterIPs: ['10.96.0.20'] }));
    assert.deepEqual(answers('PTR 20.0.96.10.in-addr.arpa'), ['db.ns.svc.cluster.local']);
    source.set('services', 'ns/db', undefined);
    assert.equal(ask('PTR 20.0.96.10.in-addr.arpa', changing), undefined);
  });
});
