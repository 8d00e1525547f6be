import assert from 'node:assert/strict';
import type { CustomResourceDefinition, ValidatingAdmissionPolicy } from '#types';
import { definitionOf } from '../../../src/api/extensions/custom-resource.js';
import { typeCheck } from '../../../src/controllers/validating-admission-policy-status/type-check.js';

const rule = (group: string, version: string, ...resources: string[]) => ({
  apiGroups: [group],
  apiVersions: [version],
  operations: ['CREATE'],
  resources,
});

const CRONTABS = definitionOf({
  metadata: { name: 'crontabs.stable.example.com', uid: 'u' },
  spec: {
    group: 'stable.example.com',
    scope: 'Namespaced',
    names: { plural: 'crontabs', kind: 'CronTab' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { replicas: { type: 'integer' } } } },
          },
        },
      },
    ],
  },
  status: {
    acceptedNames: { plural: 'crontabs', kind: 'CronTab' },
    conditions: [{ type: 'Established', status: 'True' }],
  },
} as unknown as CustomResourceDefinition)!.served;

function check(expression: string, rules = [rule('apps', 'v1', 'deployments')], variables: object[] = []) {
  const spec = { matchConstraints: { resourceRules: rules }, validations: [{ expression }], variables };
  return typeCheck({ metadata: { name: 'p' }, spec } as unknown as ValidatingAdmissionPolicy, CRONTABS);
}

describe('type check of ValidatingAdmissionPolicies', () => {
  it('has nothing against what fits', () => {
    for (const expression of [
      'object.spec.replicas > 1 && object.metadata.labels["a"] == "b"',
      'object.spec.template.spec.containers.all(c, c.image.startsWith("x") && has(c.resources.limits))',
      'object.metadata.creationTimestamp > timestamp("2024-01-01T00:00:00Z")',
      'object.spec.strategy.rollingUpdate.maxSurge == 1 && object.kind == "Deployment"',
    ])
      assert.equal(check(expression), undefined, expression);
    assert.equal(check('object.anything', [rule('*', 'v1', 'deployments')]), undefined);
  });

  it('names the kind, and what it has not', () => {
    assert.deepEqual(check('object.spec.replicas > "1" && object.foo'), [
      {
        fieldRef: 'spec.validations[0].expression',
        warning: [
          "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'",
          ' | object.spec.replicas > "1" && object.foo',
          ' | .....................^',
          "ERROR: <input>:1:37: undefined field 'foo'",
          ' | object.spec.replicas > "1" && object.foo',
          ' | ....................................^',
          '',
        ].join('\n'),
      },
    ]);
    const both = check('object.spec.nope == 1', [rule('apps', 'v1', 'replicasets', 'deployments')]);
    assert.match(both![0]!.warning!, /^apps\/v1, Kind=Deployment: [\s\S]*\n\napps\/v1, Kind=ReplicaSet: /);
  });

  it('follows variables', () => {
    const variables = [{ name: 'count', expression: 'object.spec.replicas' }];
    assert.equal(check('variables.count == 1', undefined, variables), undefined);
    assert.match(check('variables.count == "1"', undefined, variables)![0]!.warning!, /no matching overload/);
  });

  it('knows custom kinds by their schemas', () => {
    const crontabs = [rule('stable.example.com', 'v1', 'crontabs')];
    assert.equal(
      check('object.spec.replicas > 1 && object.metadata.labels["a"] == "b"', crontabs),
      undefined,
    );
    const [warning] = check('object.spec.replicas > "1"', crontabs)!;
    assert.match(
      warning!.warning!,
      /^stable\.example\.com\/v1, Kind=CronTab: .*applied to '\(int, string\)'/,
    );
    assert.match(
      check('object.spec.maxRetries < 10', crontabs)![0]!.warning!,
      /undefined field 'maxRetries'/,
    );
  });
});
