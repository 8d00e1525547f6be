import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FLAG, RCODE, TYPE } from '../../../../src/network/dns/constants.js';
import { decodeMessage, FormatError } from '../../../../src/network/dns/decode.js';
import { encodeMessage } from '../../../../src/network/dns/encode.js';
import { emptyReply, type Message, type Reply } from '../../../../src/network/dns/message.js';
import {
  addressRecord,
  nameRecord,
  soaRecord,
  srvRecord,
  txtRecord,
} from '../../../../src/network/dns/records.js';
import { respond } from '../../../../src/network/dns/respond.js';
import { decoded, query, text } from '../../../fixtures/dns.js';

const many = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    addressRecord('big.ns.svc.cluster.local', 5, `10.0.${i >> 8}.${i & 255}`),
  );
const replying = (reply: Partial<Reply>) => () => ({ ...emptyReply(RCODE.NOERROR), ...reply });

describe('DNS messages', () => {
  it('are read as they were written', () => {
    const message: Message = {
      id: 7,
      flags: FLAG.QR | FLAG.AA,
      question: { name: 'a.B.example', type: TYPE.A, class: 1 },
      answers: [
        nameRecord('a.B.example', TYPE.CNAME, 5, 'c.B.example'),
        addressRecord('c.B.example', 6, '1.2.3.4'),
      ],
      authority: [soaRecord('example', 7, 1)],
      additional: [
        srvRecord('s.example', 1, 50, 80, 'c.B.example'),
        txtRecord('t.example', 1, 'x'),
        addressRecord('six.example', 1, 'fe80::1:192.0.2.1'),
      ],
      edns: { size: 1232, version: 0, dnssec: true },
    };
    assert.deepEqual(decodeMessage(encodeMessage(message, 65535)), message);
  });

  it('have compressed names', () => {
    const message = decoded(query('A a-long-name.in-a-long-domain.example'));
    const one = encodeMessage({ ...message, answers: [] }, 65535).length;
    const name = message.question!.name;
    assert.equal(
      encodeMessage({ ...message, answers: [addressRecord(name, 5, '1.2.3.4')] }, 65535).length,
      one + 16,
    );
  });

  it('keep any byte of a label', () => {
    const wire = Buffer.from('04712e5c000665787465726e000001000100', 'hex');
    const bytes = Buffer.concat([Buffer.from('000101000001000000000000', 'hex'), wire.subarray(0, 5)]);
    const whole = Buffer.concat([bytes, Buffer.from('0000010001', 'hex')]);
    const message = decodeMessage(whole);
    assert.equal(message.question!.name, 'q\\046\\092\\000');
    assert.deepEqual(encodeMessage(message, 65535), whole);
  });

  const header = '000101000001000000000000';
  const malformed: [what: string, hex: string][] = [
    ['an empty message', ''],
    ['half a header', '0001010000'],
    ['a name that points to itself', `${header}c00c00010001`],
    ['a name that points forward', `${header}c0ff00010001`],
    ['a label of an unknown kind', `${header}8000010001`],
    ['a label that goes on after the end', `${header}3f61`],
    ['no type', `${header}0161000001`],
    ['a name of more than 255 bytes', `${header}${`3f${'61'.repeat(63)}`.repeat(4)}0000010001`],
    ['two questions', '0001010000020000000000000000010001' + '0000010001'],
    ['more records than there are', '00010100000100ff000000000000010001'],
    ['data that goes on after the end', '000180000000000100000000000001000100000005000401'],
  ];
  for (const [what, hex] of malformed)
    it(`refuse ${what}`, () => assert.throws(() => decodeMessage(Buffer.from(hex, 'hex')), FormatError));

  it('may be any bytes', () => {
    const resolve = () => emptyReply(RCODE.NXDOMAIN);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (bytes, tcp) => {
        const answer = respond(Buffer.from(bytes), tcp, resolve);
        return answer === undefined || answer instanceof Buffer;
      }),
      { numRuns: 2000 },
    );
    const good = query('A a.b.example', { edns: { size: 1232, version: 0, dnssec: false } });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(good);
        changed[at] = value;
        const answer = respond(changed, false, resolve);
        return answer === undefined || answer instanceof Buffer;
      }),
      { numRuns: 2000 },
    );
  });
});

describe('answers to DNS questions', () => {
  const asked = 'A Big.ns.svc.CLUSTER.local';

  it('repeat id, question and case, and offer recursion', () => {
    const answer = decoded(respond(query(asked), false, replying({ authoritative: true })) as Buffer);
    assert.equal(answer.id, 4711);
    assert.equal(answer.flags, FLAG.QR | FLAG.AA | FLAG.RD | FLAG.RA);
    assert.equal(answer.question?.name, 'Big.ns.svc.CLUSTER.local');
    assert.equal(answer.edns, undefined);
  });

  const sizes: [what: string, size: number | undefined, tcp: boolean, records: number, truncated: boolean][] =
    [
      ['512 bytes by UDP without EDNS', undefined, false, 29, true],
      ['what the asker takes', 1232, false, 73, true],
      ['at most 4096 bytes by UDP', 65535, false, 252, true],
      ['at least 512 bytes by UDP', 10, false, 29, true],
      ['everything by TCP', undefined, true, 300, false],
    ];
  for (const [what, size, tcp, records, truncated] of sizes)
    it(`hold ${what}`, () => {
      const edns = size === undefined ? undefined : { size, version: 0, dnssec: false };
      const bytes = respond(
        query('A big.ns.svc.cluster.local', { edns }),
        tcp,
        replying({ answers: many(300) }),
      );
      const answer = decoded(bytes as Buffer);
      const limit = tcp ? 65535 : Math.min(4096, Math.max(512, size ?? 0));
      assert.ok((bytes as Buffer).length <= limit && (tcp || (bytes as Buffer).length > limit - 40));
      assert.equal((answer.flags & FLAG.TC) !== 0, truncated);
      assert.ok(Math.abs(answer.answers.length - records) <= 1, `${answer.answers.length}`);
      assert.equal(answer.edns !== undefined, edns !== undefined);
    });

  it('leave additional records out without being incomplete', () => {
    const answer = decoded(
      respond(query('SRV a.b'), false, replying({ answers: many(1), additional: many(300) })) as Buffer,
    );
    assert.equal(answer.answers.length, 1);
    assert.equal(answer.flags & FLAG.TC, 0);
  });

  const refused: [what: string, bytes: Buffer, rcode: number | undefined][] = [
    ['a status question', query('A a.b', { flags: 2 << 11 }), RCODE.NOTIMP],
    ['an answer', query('A a.b', { flags: FLAG.QR }), undefined],
    ['no question', Buffer.from('000101000000000000000000', 'hex'), RCODE.FORMERR],
    ['garbage', Buffer.concat([query('A a.b').subarray(0, 14), Buffer.alloc(3, 255)]), RCODE.FORMERR],
    ['too little', Buffer.from('0001', 'hex'), undefined],
  ];
  for (const [what, bytes, rcode] of refused)
    it(`to ${what}`, () => {
      const answer = respond(bytes, false, replying({})) as Buffer | undefined;
      assert.equal(answer && answer.readUInt16BE(2) & 15, rcode);
    });

  it('to a version of EDNS that is not known', () => {
    const edns = { size: 1232, version: 0, dnssec: false };
    const bytes = query('A a.b', { edns });
    bytes[bytes.length - 5] = 1;
    const answer = respond(bytes, false, replying({})) as Buffer;
    // BADVERS is 16: 0 in the header and 1 above it in the OPT record.
    assert.equal(answer.readUInt16BE(2) & 15, 0);
    assert.equal(answer[answer.length - 6], 1);
  });

  it('even when the resolver fails', async () => {
    const fail = () => {
      throw new Error('oops');
    };
    assert.equal(decoded(respond(query(asked), false, fail) as Buffer).flags & 15, RCODE.SERVFAIL);
    const later = await respond(query(asked), false, () => Promise.reject(new Error('oops')));
    assert.equal(decoded(later).flags & 15, RCODE.SERVFAIL);
    assert.equal(text(addressRecord('a', 1, '1.2.3.4')), 'a 1 A 1.2.3.4');
  });
});
