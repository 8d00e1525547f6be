/** Which Ingresses Keelson serves. */
import assert from 'node:assert/strict';
import type { Ingress } from '#types';
import { isServed, tlsSecrets } from '../../../src/api/resources/networking/ingress-controller.js';

const CONTROLLERS: Record<string, string> = {
  keelson: 'keelson.dev/ingress',
  mine: 'keelson.dev/ingress',
  nginx: 'k8s.io/ingress-nginx',
};

const ingress = (className?: string, annotation?: string): Ingress =>
  ({
    metadata: { annotations: annotation ? { 'kubernetes.io/ingress.class': annotation } : {} },
    spec: { ...(className ? { ingressClassName: className } : {}) },
  }) as unknown as Ingress;

describe('Ingresses that Keelson serves', () => {
  const table: [className: string | undefined, annotation: string | undefined, boolean][] = [
    ['keelson', undefined, true],
    ['mine', undefined, true],
    ['nginx', undefined, false],
    ['unknown', undefined, false],
    [undefined, undefined, false],
    [undefined, 'keelson', true],
    [undefined, 'mine', true],
    [undefined, 'nginx', false],
    ['keelson', 'nginx', false],
  ];
  for (const [className, annotation, expected] of table)
    it(`class ${className}, annotation ${annotation}: ${expected}`, () => {
      assert.equal(
        isServed(ingress(className, annotation), (name) => CONTROLLERS[name]),
        expected,
      );
    });

  it('name each Secret once', () => {
    const one = ingress('keelson');
    one.spec.tls = [{ secretName: 'a' }, { secretName: 'b' }, { secretName: 'a' }, { hosts: ['x'] }];
    assert.deepEqual(tlsSecrets(one), ['a', 'b']);
  });
});
