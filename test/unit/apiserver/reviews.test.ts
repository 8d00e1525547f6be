import assert from 'node:assert/strict';
import { describe as told } from '../../../src/api/machinery/field.js';
import { askedSelectors } from '../../../src/apiserver/reviews/selectors.js';
import {
  validateAccess,
  validateLocalAccess,
  validateOwnAccess,
} from '../../../src/apiserver/reviews/validate-access.js';

const review = (spec: object, metadata = {}): any => ({ metadata, spec });

describe('apiserver: the selectors of access reviews', () => {
  const IGNORED = 'spec.resourceAttributes.fieldSelector ignored due to parse error';
  const cases: [object, ReturnType<typeof askedSelectors>][] = [
    [{}, { errors: [] }],
    [{ fieldSelector: { rawSelector: 'spec.nodeName=a' } }, { fieldSelector: 'spec.nodeName=a', errors: [] }],
    [{ fieldSelector: { rawSelector: 'nonsense' } }, { errors: [IGNORED] }],
    [{ labelSelector: { rawSelector: 'a in (c,b),!d' } }, { labelSelector: 'a in (b,c),!d', errors: [] }],
    [
      {
        fieldSelector: {
          requirements: [
            { key: 'metadata.name', operator: 'In', values: ['a,b'] },
            { key: 'spec.nodeName', operator: 'NotIn', values: ['n'] },
          ],
        },
      },
      { fieldSelector: 'metadata.name=a\\,b,spec.nodeName!=n', errors: [] },
    ],
    [{ fieldSelector: { requirements: [{ key: 'a', operator: 'Exists' }] } }, { errors: [IGNORED] }],
    [
      {
        labelSelector: {
          requirements: [
            { key: 'a', operator: 'Exists' },
            { key: 'b', operator: 'Near', values: ['c'] },
          ],
        },
      },
      {
        labelSelector: 'a',
        errors: ['spec.resourceAttributes.labelSelector partially ignored due to parse error'],
      },
    ],
  ];
  for (const [attributes, expected] of cases)
    it(JSON.stringify(attributes), () => assert.deepEqual(askedSelectors(attributes as any), expected));
});

describe('apiserver: validation of access reviews', () => {
  const user = 'u';
  const own = validateOwnAccess;
  const local = (object: any) => validateLocalAccess(object, 'n');
  const cases: [(object: any) => ReturnType<typeof own>, object, string[]][] = [
    [own, review({ resourceAttributes: {} }), []],
    [
      own,
      review({}),
      [
        'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ],
    ],
    [
      validateAccess,
      review({ nonResourceAttributes: { path: '/' }, resourceAttributes: {} }),
      [
        'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":""}: cannot be specified in combination with resourceAttributes',
        'spec.user: Invalid value: "": at least one of user or group must be specified',
      ],
    ],
    [
      validateAccess,
      review({ user, resourceAttributes: {} }, { name: 'x' }),
      ['metadata: Invalid value: {"name":"x"}: must be empty'],
    ],
    [local, review({ user, resourceAttributes: { namespace: 'n' } }, { namespace: 'n' }), []],
    [
      local,
      review({ user, nonResourceAttributes: {} }),
      [
        'spec.nonResourceAttributes: Invalid value: {"Path":"","Verb":""}: disallowed on this kind of request',
      ],
    ],
    [
      own,
      review({
        resourceAttributes: {
          fieldSelector: { rawSelector: 'a', requirements: [{ operator: 'In' }] },
          labelSelector: {},
        },
      }),
      [
        'spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a": may not specified at the same time as requirements',
        'spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified',
        "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        'spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required',
      ],
    ],
  ];
  for (const [validate, object, expected] of cases)
    it(JSON.stringify(object), () => assert.deepEqual(validate(object).map(told), expected));
});
