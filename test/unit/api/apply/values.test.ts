/** Sets from values, comparisons, merges, removals: by the schema of built-in kinds. */
import assert from 'node:assert/strict';
import { compare } from '../../../../src/api/apply/compare.js';
import { paths, setOf } from '../../../../src/api/apply/field-set.js';
import { fieldsOf } from '../../../../src/api/apply/fields-of.js';
import { merge } from '../../../../src/api/apply/merge.js';
import { pathText } from '../../../../src/api/apply/path-element.js';
import { removeItems } from '../../../../src/api/apply/remove.js';
import { emptyOf, type Shape, shapeOfKind } from '../../../../src/api/apply/shape.js';
import { validate } from '../../../../src/api/apply/validate.js';

const POD = shapeOfKind('v1', 'Pod');
const DEPLOYMENT = shapeOfKind('apps/v1', 'Deployment');
const SERVICE = shapeOfKind('v1', 'Service');
const CONFIG_MAP = shapeOfKind('v1', 'ConfigMap');
const REVISION = shapeOfKind('apps/v1', 'ControllerRevision');
const CLAIM = shapeOfKind('v1', 'PersistentVolume');

const pod = (spec: object, metadata: object = {}) => ({ metadata, spec });
const containers = (...list: object[]) => pod({ containers: list });

describe('the fields of a configuration', () => {
  const table: [string, Shape, object, string[]][] = [
    [
      'identity is not owned',
      POD,
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'b', uid: 'u', generation: 1 } },
      [],
    ],
    [
      'of metadata, what is set',
      POD,
      pod({}, { labels: { a: 'b' }, finalizers: ['x/y'], generateName: 'g-' }),
      ['.spec', '.metadata.generateName', '.metadata.finalizers[="x/y"]', '.metadata.labels.a'],
    ],
    [
      'owners by uid, each as a whole',
      POD,
      { metadata: { ownerReferences: [{ uid: 'u', name: 'n' }] } },
      ['.metadata.ownerReferences[uid="u"]'],
    ],
    [
      'items by key, with all they hold',
      POD,
      containers({ name: 'a', image: 'x', ports: [{ containerPort: 80 }], resources: {} }),
      [
        '.spec.containers[name="a"]',
        '.spec.containers[name="a"].image',
        '.spec.containers[name="a"].name',
        '.spec.containers[name="a"].resources',
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort',
      ],
    ],
    [
      'atomic lists, maps and structs as a whole',
      POD,
      pod({ nodeSelector: { a: 'b' }, tolerations: [{ key: 'k' }], affinity: { nodeAffinity: {} } }),
      ['.spec.nodeSelector', '.spec.tolerations', '.spec.affinity.nodeAffinity'],
    ],
    [
      'selectors as a whole',
      DEPLOYMENT,
      { spec: { selector: { matchLabels: { a: 'b' } } } },
      ['.spec.selector'],
    ],
    [
      'names in templates',
      DEPLOYMENT,
      { spec: { template: { metadata: { name: 'x', labels: { a: 'b' } } } } },
      ['.spec.template.metadata.name', '.spec.template.metadata.labels.a'],
    ],
    ['maps by key', CONFIG_MAP, { data: { a: '1', 'x.y': '2' } }, ['.data.a', '.data.x.y']],
    ['null is set, an empty list is not', POD, pod({ nodeName: null, containers: [] }), ['.spec.nodeName']],
    ['empty maps are set', CONFIG_MAP, { data: {} }, ['.data']],
    [
      'untyped parts by key, their lists as a whole',
      REVISION,
      { data: { spec: { list: [{ a: 1 }], n: 1, deep: { x: null } } } },
      ['.data.spec', '.data.spec.deep', '.data.spec.list', '.data.spec.n', '.data.spec.deep.x'],
    ],
    [
      'a field that says so by fields, though its type is atomic',
      CLAIM,
      { spec: { claimRef: { name: 'a', namespace: 'b' } } },
      ['.spec.claimRef.name', '.spec.claimRef.namespace'],
    ],
    [
      'items that occur twice as one',
      POD,
      containers({ name: 'a', image: 'x' }, { name: 'a', image: 'y' }),
      ['.spec.containers[name="a"]'],
    ],
  ];
  for (const [name, shape, value, expected] of table)
    it(name, () => assert.deepEqual(paths(fieldsOf(shape, value)).map(pathText), expected));
});

describe('comparisons', () => {
  const container = { name: 'a', image: 'x' };
  const table: [
    string,
    Shape,
    object,
    object,
    { removed?: string[]; modified?: string[]; added?: string[] },
  ][] = [
    ['nothing', CONFIG_MAP, { data: { a: '1' } }, { data: { a: '1' } }, {}],
    [
      'identity',
      CONFIG_MAP,
      { metadata: { name: 'a', resourceVersion: '1' } },
      { metadata: { name: 'b', resourceVersion: '2' } },
      {},
    ],
    ['a value', CONFIG_MAP, { data: { a: '1' } }, { data: { a: '2' } }, { modified: ['.data.a'] }],
    ['a key more', CONFIG_MAP, { data: { a: '1' } }, { data: { a: '1', b: '2' } }, { added: ['.data.b'] }],
    ['a key less', CONFIG_MAP, { data: { a: '1', b: '2' } }, { data: { a: '1' } }, { removed: ['.data.b'] }],
    ['a map that comes', CONFIG_MAP, {}, { data: { a: '1' } }, { added: ['.data', '.data.a'] }],
    ['a map that goes', CONFIG_MAP, { data: { a: '1' } }, {}, { removed: ['.data', '.data.a'] }],
    [
      'an item that comes',
      POD,
      containers(container),
      containers(container, { name: 'b' }),
      { added: ['.spec.containers[name="b"]', '.spec.containers[name="b"].name'] },
    ],
    [
      'items in another order',
      POD,
      containers(container, { name: 'b' }),
      containers({ name: 'b' }, container),
      {},
    ],
    [
      'a field of an item',
      POD,
      containers(container),
      containers({ ...container, image: 'y' }),
      { modified: ['.spec.containers[name="a"].image'] },
    ],
    [
      'an atomic list',
      POD,
      pod({ tolerations: [{ key: 'a' }] }),
      pod({ tolerations: [{ key: 'b' }] }),
      { modified: ['.spec.tolerations'] },
    ],
    [
      'sets',
      POD,
      pod({}, { finalizers: ['a', 'b'] }),
      pod({}, { finalizers: ['b', 'c'] }),
      { removed: ['.metadata.finalizers[="a"]'], added: ['.metadata.finalizers[="c"]'] },
    ],
    [
      'items that come twice',
      POD,
      containers(container),
      containers(container, { name: 'a', image: 'z' }),
      {
        removed: [
          '.spec.containers[name="a"]',
          '.spec.containers[name="a"].image',
          '.spec.containers[name="a"].name',
        ],
        added: ['.spec.containers[name="a"]'],
      },
    ],
    [
      'an empty struct in place of nothing',
      POD,
      pod({}),
      pod({ securityContext: {} }),
      { added: ['.spec.securityContext'] },
    ],
    [
      'a map in place of a scalar where nothing is typed',
      REVISION,
      { data: { a: 1 } },
      { data: { a: { b: 1 } } },
      { modified: ['.data.a'] },
    ],
  ];
  for (const [name, shape, before, after, expected] of table)
    it(name, () => {
      const { removed, modified, added } = compare(shape, before as any, after as any);
      const texts = {
        removed: paths(removed).map(pathText),
        modified: paths(modified).map(pathText),
        added: paths(added).map(pathText),
      };
      assert.deepEqual(texts, { removed: [], modified: [], added: [], ...expected });
    });

  it('a new object: structs that Go always has are not new, pointers are', () => {
    const { added } = compare(DEPLOYMENT, emptyOf(DEPLOYMENT), {
      metadata: { name: 'x', labels: { a: 'b' } },
      spec: {
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c' }] } },
      },
    });
    assert.deepEqual(added, {
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': {
        'f:strategy': { 'f:type': {}, 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} } },
        'f:template': {
          'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
          'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:name': {} } } },
        },
      },
    });
  });
});

describe('merges', () => {
  const names = (value: any) => value.spec.containers.map(({ name }: any) => name).join('');
  const list = (text: string) => containers(...[...text].map((name) => ({ name })));

  it('put the configuration over the live object and remove nothing', () => {
    const live = { data: { a: '1', b: '2' }, immutable: true };
    assert.deepEqual(merge(CONFIG_MAP, live, { data: { b: '3', c: '4' } }), {
      data: { a: '1', b: '3', c: '4' },
      immutable: true,
    });
  });

  it('merge items by key, fields and all', () => {
    const live = containers({ name: 'a', image: 'x', tty: true });
    assert.deepEqual(
      merge(POD, live, containers({ name: 'a', image: 'y' })),
      containers({ name: 'a', image: 'y', tty: true }),
    );
  });

  it('replace what is atomic', () => {
    assert.deepEqual(
      merge(
        POD,
        pod({ nodeSelector: { a: '1' }, tolerations: [{ key: 'a' }] }),
        pod({ nodeSelector: { b: '2' }, tolerations: [] }),
      ),
      pod({ nodeSelector: { b: '2' }, tolerations: [] }),
    );
  });

  const orders: [string, string, string][] = [
    ['abc', 'b', 'abc'],
    ['abc', 'cb', 'acb'],
    ['abc', 'd', 'abcd'],
    ['abc', 'dc', 'abdc'],
    ['ab', 'ba', 'ba'],
    ['abcd', 'xb', 'axbcd'],
    ['', 'ab', 'ab'],
    ['abc', '', 'abc'],
    ['abcde', 'edc', 'abedc'],
  ];
  for (const [live, config, expected] of orders)
    it(`of [${live}] and [${config}] is [${expected}]`, () =>
      assert.equal(names(merge(POD, list(live), list(config))), expected));

  it('unite sets', () => {
    const merged: any = merge(POD, pod({}, { finalizers: ['a', 'b'] }), pod({}, { finalizers: ['c', 'a'] }));
    assert.deepEqual([...merged.metadata.finalizers].sort(), ['a', 'b', 'c']);
  });

  it('take null for a scalar, and leave maps and keyed lists alone that are null', () => {
    const merged: any = merge(
      POD,
      { metadata: { labels: { a: '1' } }, spec: { nodeName: 'n', containers: [{ name: 'a' }] } },
      {
        metadata: { labels: null },
        spec: { nodeName: null, containers: null },
      },
    );
    assert.deepEqual(merged, {
      metadata: { labels: { a: '1' } },
      spec: { nodeName: null, containers: [{ name: 'a' }] },
    });
  });

  it('know `__proto__` as a key like others', () => {
    const config = { data: JSON.parse('{"__proto__":"x"}') };
    const merged: any = merge(CONFIG_MAP, { data: { a: '1' } }, config);
    assert.equal(JSON.stringify(merged.data), '{"a":"1","__proto__":"x"}');
  });
});

describe('removals', () => {
  it('take out fields, keys and items, and leave null where nothing is left', () => {
    const value = {
      metadata: { labels: { a: '1', b: '2' }, finalizers: ['x', 'y'] },
      spec: { containers: [{ name: 'a', image: 'x', env: [{ name: 'E' }] }, { name: 'b' }] },
    };
    const a = 'k:{"name":"a"}';
    const items = setOf(
      ['f:metadata', 'f:labels', 'f:a'],
      ['f:metadata', 'f:finalizers', 'v:"x"'],
      ['f:spec', 'f:containers', a, 'f:image'],
      ['f:spec', 'f:containers', a, 'f:env', 'k:{"name":"E"}'],
      ['f:spec', 'f:containers', 'k:{"name":"b"}'],
    );
    assert.deepEqual(removeItems(POD, value, items), {
      metadata: { labels: { b: '2' }, finalizers: ['y'] },
      spec: { containers: [{ name: 'a', env: null }] },
    });
  });
});

describe('validation', () => {
  const table: [string, Shape, object, string | undefined][] = [
    [
      'what fits',
      POD,
      containers({ name: 'a', resources: { limits: { cpu: 1, memory: '1Gi' } } }),
      undefined,
    ],
    ['null everywhere', POD, { metadata: null, spec: { containers: null, nodeName: null } }, undefined],
    ['an unknown field', POD, pod({ foo: 1 }), '.spec.foo: field not declared in schema'],
    [
      'an unknown field of an item',
      POD,
      containers({ name: 'a', foo: 1 }),
      '.spec.containers[name="a"].foo: field not declared in schema',
    ],
    [
      'a text for a number',
      DEPLOYMENT,
      { spec: { replicas: 'x' } },
      '.spec.replicas: expected numeric (int or float), got string',
    ],
    [
      'a number for a text',
      CONFIG_MAP,
      { data: { a: 1 } },
      '.data.a: expected string, got &value.valueUnstructured{Value:1}',
    ],
    ['a list for a map', CONFIG_MAP, { data: [] }, '.data: expected map, got &{[]}'],
    ['a map for a list', POD, pod({ containers: {} }), '.spec.containers: expected list, got &{map[]}'],
    [
      'equal keys',
      POD,
      containers({ name: 'a', ports: [{ containerPort: 80 }, { containerPort: 80, protocol: 'TCP' }] }),
      '.spec.containers[name="a"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]',
    ],
    [
      'equal ports of a service',
      SERVICE,
      { spec: { ports: [{ port: 1 }, { port: 1 }] } },
      '.spec.ports: duplicate entries for key [port=1,protocol="TCP"]',
    ],
    [
      'equal items of a set',
      POD,
      { metadata: { finalizers: ['a', 'a'] } },
      '.metadata.finalizers: duplicate entries for key [="a"]',
    ],
    [
      'an item without its key',
      POD,
      containers({ image: 'x' }),
      '.spec.containers: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn\'t have default values for any key fields)',
    ],
    [
      'several',
      CONFIG_MAP,
      { data: { a: 1, b: 2 } },
      'errors:\n  .data.a: expected string, got &value.valueUnstructured{Value:1}\n  .data.b: expected string, got &value.valueUnstructured{Value:2}',
    ],
  ];
  for (const [name, shape, value, expected] of table)
    it(name, () => assert.equal(validate(shape, value), expected));
});
