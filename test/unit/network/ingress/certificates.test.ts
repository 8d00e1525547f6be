/** Which certificate a server name gets. */
import assert from 'node:assert/strict';
import type { Ingress, Secret } from '#types';
import { Certificates } from '../../../../src/network/ingress/certificates.js';
import { selfSigned } from '../../../../src/network/ingress/self-signed.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function tlsSecret(version: string): Promise<Secret> {
  const { cert, key } = await selfSigned();
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'default', uid: 'u', resourceVersion: version },
    data: { 'tls.crt': base64(cert), 'tls.key': base64(key) },
  } as Secret;
}

const ingress = (tls: { hosts?: string[]; secretName: string }[]): Ingress =>
  ({
    metadata: { name: 'i', namespace: 'default' },
    spec: { tls, rules: [{ host: 'ruled.com' }] },
  }) as Ingress;

describe('certificates of Ingresses', () => {
  it('go by exact name, by wildcard, by the rules when no host is named, else to a self-made one', async () => {
    const secrets = new Map([
      ['default/exact', await tlsSecret('1')],
      ['default/wild', await tlsSecret('2')],
      ['default/rules', await tlsSecret('3')],
    ]);
    const certificates = new Certificates({ secret: (key) => secrets.get(key), unusable: assert.fail });
    certificates.update([
      ingress([
        { hosts: ['A.example.com'], secretName: 'exact' },
        { hosts: ['*.example.com'], secretName: 'wild' },
        { secretName: 'rules' },
      ]),
    ]);
    const of = (name?: string) => certificates.context(name);
    const all = await Promise.all(['a.example.com', 'b.example.com', 'ruled.com', 'other.org'].map(of));
    assert.equal(new Set(all).size, 4);
    assert.equal(await of('A.EXAMPLE.com'), all[0]);
    assert.equal(await of('c.example.com'), all[1]);
    assert.equal(await of('x.y.example.com'), all[3]);
    assert.equal(await of(undefined), all[3]);
    assert.ok(certificates.uses('default/wild'));
    assert.ok(!certificates.uses('default/other'));
  });

  it('are new when the Secret is, and the same when it is not', async () => {
    let secret = await tlsSecret('1');
    const certificates = new Certificates({ secret: () => secret, unusable: assert.fail });
    const rules = [ingress([{ hosts: ['a.com'], secretName: 's' }])];
    certificates.update(rules);
    const first = await certificates.context('a.com');
    certificates.update(rules);
    assert.equal(await certificates.context('a.com'), first);
    secret = await tlsSecret('2');
    certificates.update(rules);
    assert.notEqual(await certificates.context('a.com'), first);
  });

  it('that are missing or broken are told once', async () => {
    const told: string[] = [];
    let secret: Secret | undefined;
    const certificates = new Certificates({ secret: () => secret, unusable: (_, why) => told.push(why) });
    const rules = [ingress([{ hosts: ['a.com'], secretName: 's' }])];
    certificates.update(rules);
    certificates.update(rules);
    assert.deepEqual(told, ['there is no Secret default/s']);
    secret = await tlsSecret('1');
    secret.data!['tls.key'] = (await tlsSecret('2')).data!['tls.key']!;
    certificates.update(rules);
    assert.match(told[1]!, /^the certificate and key in the Secret default\/s can't be used: /);
  });
});
