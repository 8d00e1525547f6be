/** Which route a request takes, as tables. */
import assert from 'node:assert/strict';
import type { Ingress } from '#types';
import { normalHost, normalPath, type PathType, pathMatches } from '../../../../src/network/ingress/paths.js';
import { findRoute, mergeIngresses } from '../../../../src/network/ingress/routes.js';

type Rule = [host: string, type: string, path: string, service: string];

function ingress(name: string, rules: Rule[], more: { fallback?: string; age?: number } = {}): Ingress {
  const backend = (service: string) => ({ service: { name: service, port: { number: 80 } } });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, namespace: 'default', creationTimestamp: `2026-01-0${9 - (more.age ?? 0)}T00:00:00Z` },
    spec: {
      ...(more.fallback ? { defaultBackend: backend(more.fallback) } : {}),
      rules: rules.map(([host, pathType, path, service]) => ({
        ...(host ? { host } : {}),
        http: { paths: [{ path, pathType, backend: backend(service) }] },
      })),
    },
  } as Ingress;
}

const serviceAt = (ingresses: Ingress[], host: string, path: string) =>
  findRoute(mergeIngresses(ingresses), host, path)?.service;

describe('what a path of a rule matches', () => {
  // The table of the Ingress documentation, and what it leaves open.
  const table: [PathType, rule: string, path: string, boolean][] = [
    ['Prefix', '/', '/anything', true],
    ['Exact', '/foo', '/foo', true],
    ['Exact', '/foo', '/bar', false],
    ['Exact', '/foo', '/foo/', false],
    ['Exact', '/foo/', '/foo', false],
    ['Prefix', '/foo', '/foo', true],
    ['Prefix', '/foo', '/foo/', true],
    ['Prefix', '/foo/', '/foo', true],
    ['Prefix', '/foo/', '/foo/', true],
    ['Prefix', '/aaa/bb', '/aaa/bbb', false],
    ['Prefix', '/aaa/bbb', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb/', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/ccc', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbbxyz', false],
    ['Prefix', '/foo', '/Foo', false],
  ];
  for (const [type, rule, path, expected] of table)
    it(`${type} ${rule} ${expected ? 'takes' : 'leaves'} ${path}`, () => {
      assert.equal(pathMatches(type, rule, path), expected);
    });
});

describe('which rule wins', () => {
  const rules: Rule[] = [
    ['', 'Prefix', '/', 'any'],
    ['', 'Prefix', '/only-any', 'only-any'],
    ['*.example.com', 'Prefix', '/', 'wild'],
    ['a.example.com', 'Prefix', '/app', 'prefix'],
    ['a.example.com', 'Exact', '/app', 'exact'],
    ['a.example.com', 'Prefix', '/app/deep', 'deep'],
    ['a.example.com', 'ImplementationSpecific', '/own', 'own'],
  ];
  const table: [host: string, path: string, service: string | undefined][] = [
    ['a.example.com', '/app', 'exact'],
    ['a.example.com', '/app/', 'prefix'],
    ['a.example.com', '/app/deep/er', 'deep'],
    ['a.example.com', '/app/deeper', 'prefix'],
    ['a.example.com', '/own/x', 'own'],
    ['a.example.com', '/else', 'wild'],
    ['b.example.com', '/app', 'wild'],
    ['a.b.example.com', '/', 'any'],
    ['example.com', '/', 'any'],
    ['other.org', '/only-any/x', 'only-any'],
  ];
  for (const [host, path, service] of table)
    it(`${host}${path} goes to ${service}`, () => {
      assert.equal(serviceAt([ingress('one', rules)], host, path), service);
    });
});

describe('many Ingresses as one', () => {
  it('joins paths of one host from several objects', () => {
    const both = [
      ingress('one', [['a.com', 'Prefix', '/x', 'x']]),
      ingress('two', [['A.com', 'Prefix', '/y', 'y']]),
    ];
    assert.equal(serviceAt(both, 'a.com', '/x'), 'x');
    assert.equal(serviceAt(both, 'a.com', '/y'), 'y');
    assert.equal(serviceAt(both, 'a.com', '/z'), undefined);
  });

  it('lets the older one keep a path that two want, and the first by name of equal age', () => {
    const older = ingress('z', [['a.com', 'Prefix', '/', 'older']], { age: 1 });
    const newer = ingress('a', [['a.com', 'Prefix', '/', 'newer']]);
    assert.equal(serviceAt([newer, older], 'a.com', '/'), 'older');
    assert.equal(serviceAt([ingress('z', [['a.com', 'Prefix', '/', 'z']]), newer], 'a.com', '/'), 'newer');
  });

  it("sends what no rule takes to the host's default backend, then to the general one", () => {
    const all = [
      ingress('hosted', [['a.com', 'Prefix', '/x', 'x']], { fallback: 'of-a', age: 2 }),
      ingress('general', [], { fallback: 'general' }),
    ];
    assert.equal(serviceAt(all, 'a.com', '/x'), 'x');
    assert.equal(serviceAt(all, 'a.com', '/y'), 'of-a');
    assert.equal(serviceAt(all, 'b.com', '/y'), 'general');
    assert.equal(serviceAt([], 'b.com', '/'), undefined);
  });

  it('leaves a rule of a host alone to the default backend', () => {
    const one = ingress('one', [], { fallback: 'all' });
    one.spec.rules = [{ host: 'a.com' }];
    assert.equal(serviceAt([one], 'a.com', '/x'), 'all');
  });
});

describe('normal forms', () => {
  const paths: [string, string | undefined][] = [
    ['/a/b?c=/d', '/a/b'],
    ['/public/../admin', '/admin'],
    ['/public/%2e%2E/admin', '/admin'],
    ['/%61dmin', '/admin'],
    ['/a%2fb', '/a%2Fb'],
    ['/a/./b/.', '/a/b/'],
    ['/../..', '/'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a%zz', undefined],
    ['/a b', undefined],
    ['/a?b\r\nc', undefined],
    ['*', undefined],
    ['a', undefined],
  ];
  for (const [given, expected] of paths)
    it(`path ${given} is ${expected}`, () => assert.equal(normalPath(given), expected));
  const hosts: [string, string | undefined][] = [
    ['A.Example.com:8080', 'a.example.com'],
    ['a.example.com.', 'a.example.com'],
    ['[::1]:80', '[::1]'],
    ['10.0.0.1', '10.0.0.1'],
    ['a b', undefined],
    ['a.com:x', undefined],
    ['u@a.com', undefined],
    ['', undefined],
  ];
  for (const [given, expected] of hosts)
    it(`host ${given} is ${expected}`, () => assert.equal(normalHost(given), expected));
});
