/** What the status of a certificate signing request may say, and how it may change. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { CertificateSigningRequestStatus } from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { requestProblem } from '../../../../src/api/resources/certificates/request.js';
import { certificateSigningRequests } from '../../../../src/api/resources/index.js';
import { createCa } from '../../../../src/auth/certificates.js';
import { object } from './support.js';

const csr = (status: object) =>
  object(certificateSigningRequests, { spec: { request: '', signerName: 'example.com/s' }, status });
const base64 = (value: string) => Buffer.from(value).toString('base64');
const condition = (type: string, status = 'True') => ({ type, status });
const conditions = (...list: ReturnType<typeof condition>[]) => ({ conditions: list });

describe('certificate signing requests', () => {
  let certificate = '';
  before(async () => {
    certificate = base64((await createCa({ commonName: 'ca' }, 1)).cert);
  });

  for (const [what, before, after, expected] of [
    ['approval', {}, conditions(condition('Approved')), []],
    [
      'states',
      {},
      conditions(condition('Approved', 'False'), condition('Odd', 'Perhaps'), condition('', '')),
      [
        'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
        'status.conditions[1].status: Unsupported value: "Perhaps": supported values: "False", "True", "Unknown"',
        'status.conditions[2].type: Required value',
        'status.conditions[2].status: Required value',
      ],
    ],
    [
      'contrary decisions',
      {},
      conditions(condition('Denied'), condition('Approved')),
      ['status.conditions: Invalid value: "Approved": Approved and Denied conditions are mutually exclusive'],
    ],
    [
      'contrary decisions that were there',
      conditions(condition('Denied'), condition('Approved')),
      conditions(condition('Denied'), condition('Approved')),
      [],
    ],
    [
      'the same twice',
      {},
      conditions(condition('Failed'), condition('Failed')),
      ['status.conditions[1].type: Duplicate value: "Failed"'],
    ],
    [
      'removal',
      conditions(condition('Denied'), condition('Failed')),
      {},
      [
        'status.conditions: Forbidden: updates may not remove a condition of type "Denied"',
        'status.conditions: Forbidden: updates may not remove a condition of type "Failed"',
      ],
    ],
  ] as [string, CertificateSigningRequestStatus, CertificateSigningRequestStatus, string[]][])
    it(`conditions: ${what}`, () => {
      const errors = certificateSigningRequests.updates.approval!.validateUpdate!(csr(after), csr(before));
      assert.deepEqual(errors.map(text), expected);
    });

  const setting = (after: string, before = '') =>
    certificateSigningRequests.validateStatusUpdate!(
      csr({ certificate: after }),
      csr({ certificate: before }),
    ).map(text);
  const problem = (detail: string) => `status.certificate: Invalid value: "<certificate data>": ${detail}`;

  it('a certificate is set once', () => {
    assert.deepEqual(setting(certificate), []);
    assert.deepEqual(setting(certificate, certificate), []);
    assert.deepEqual(setting('', certificate), [
      'status.certificate: Forbidden: updates may not modify existing certificate content',
    ]);
  });

  it('a certificate is one', () => {
    const pem = Buffer.from(certificate, 'base64').toString();
    assert.deepEqual(setting(base64('x')), [problem('must contain at least one CERTIFICATE PEM block')]);
    assert.deepEqual(setting(base64(pem.replaceAll('CERTIFICATE', 'KEY'))), [
      problem('only CERTIFICATE PEM blocks are allowed, found "KEY"'),
    ]);
    assert.deepEqual(setting(base64(pem.replace('CERTIFICATE-----\n', 'CERTIFICATE-----\nA: b\n\n'))), [
      problem('no PEM block headers are permitted'),
    ]);
    assert.deepEqual(setting(base64('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')), [
      problem('x509: malformed certificate'),
    ]);
  });

  const keys: [string, string[]][] = [
    ['RSA', ['rsa:2048']],
    ['RSA with SHA-512', ['rsa:2048', '-sha512']],
    ['RSA-PSS', ['rsa:2048', '-sigopt', 'rsa_padding_mode:pss', '-sha384']],
    ['ECDSA', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
    ['Ed25519', ['ed25519']],
  ];
  const failures: Record<string, string> = {
    ECDSA: 'x509: ECDSA verification failure',
    Ed25519: 'x509: Ed25519 verification failure',
  };
  for (const [what, options] of keys)
    it(`a request is signed by its key: ${what}`, () => {
      const der = request(...options);
      assert.equal(requestProblem(pem(der)), undefined);
      // The last byte is one of the signature's.
      der[der.length - 1]! ^= 1;
      assert.equal(requestProblem(pem(der)), failures[what] ?? 'crypto/rsa: verification error');
    });

  it('a request is one in PEM', () => {
    const der = request('ed25519');
    assert.equal(requestProblem(pem(Buffer.concat([der, der]))), 'asn1: syntax error: trailing data');
    assert.equal(requestProblem(pem(der.subarray(0, -1))), 'asn1: syntax error: data truncated');
    assert.equal(requestProblem(pem(Buffer.alloc(0))), 'asn1: syntax error: sequence truncated');
    assert.equal(requestProblem(pem(Buffer.from([2, 1, 0]))), "asn1: structure error: tags don't match");
    assert.equal(requestProblem(base64('x')), 'PEM block type must be CERTIFICATE REQUEST');
    const lines = Buffer.from(pem(der), 'base64').toString();
    const other = lines.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE');
    assert.equal(requestProblem(base64(`Subject: CN = x\n${lines}`)), undefined);
    assert.equal(requestProblem(base64(other)), 'PEM block type must be CERTIFICATE REQUEST');
  });
});

/** A request in DER, with a new key that `openssl req -newkey` makes. */
const request = (...key: string[]): Buffer =>
  execFileSync(
    'openssl',
    ['req', '-new', '-nodes', '-keyout', '/dev/null', '-subj', '/CN=x', '-outform', 'DER', '-newkey', ...key],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );

const pem = (der: Buffer): string =>
  base64(
    `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
  );
