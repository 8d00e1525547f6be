/** Who set which field: creations and updates. */
import assert from 'node:assert/strict';
import { sameButTimes } from '../../../../src/api/apply/index.js';
import { CONFIG_MAP, DEPLOYMENT, data, STATUS, World } from './world.js';

describe('managedFields of updates', () => {
  it('give each field to who wrote it last', () => {
    const w = new World(CONFIG_MAP, { data: { a: '1', b: '1' } });
    w.update('one', () => undefined);
    assert.deepEqual(w.live?.metadata.managedFields, [
      {
        manager: 'one',
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { '.': {}, 'f:a': {}, 'f:b': {} } },
      },
    ]);
    w.update('two', (d) => Object.assign(d.data, { b: '2', c: '2' }));
    assert.deepEqual(w.owners, { 'one Update': data('.', 'a'), 'two Update': data('b', 'c') });
    w.update('one', (d) => delete d.data.c);
    assert.deepEqual(w.owners, { 'one Update': data('.', 'a'), 'two Update': data('b') });
    w.update('one', (d) => delete d.data.b);
    assert.deepEqual(w.owners, { 'one Update': data('.', 'a') });
  });

  it('take a new time only when the writer changed something', () => {
    const w = new World(CONFIG_MAP, { data: { a: '1' } });
    w.update('one', () => undefined);
    const { managedFields } = w.live!.metadata;
    w.update('one', () => undefined);
    assert.deepEqual(w.live?.metadata.managedFields, managedFields);
    w.update('two', (d) => {
      d.data.b = '1';
    });
    assert.deepEqual(w.times, { one: '00Z', two: '02Z' });
    w.update('two', (d) => {
      d.data.b = '2';
    });
    assert.deepEqual(w.times, { one: '00Z', two: '03Z' });
  });

  it('tell subresources apart, which own nothing that they leave alone', () => {
    const w = new World(DEPLOYMENT, { spec: { replicas: 1 } });
    w.update('kubectl', () => undefined);
    w.update(
      'controller',
      (d) => {
        d.spec.replicas = 5;
        d.status = { replicas: 1 };
      },
      STATUS,
    );
    assert.deepEqual(w.owners, {
      'kubectl Update': { 'f:spec': { 'f:replicas': {} } },
      'controller Update status': { 'f:status': { '.': {}, 'f:replicas': {} } },
    });
  });

  it('are what the client makes of them, but not by way of a subresource', () => {
    const w = new World(DEPLOYMENT, { spec: { replicas: 1 } });
    w.update('one', () => undefined);
    const rename = (d: any) => {
      d.metadata.managedFields[0].manager = 'renamed';
    };
    w.update('two', rename, STATUS);
    assert.deepEqual(Object.keys(w.owners), ['one Update']);
    w.update('two', rename);
    assert.deepEqual(Object.keys(w.owners), ['renamed Update']);
  });

  it('stay when the client leaves them out or gives what can not be read', () => {
    for (const given of [
      undefined,
      [{ manager: 'x', operation: 'Bad', apiVersion: 'v1', fieldsType: 'FieldsV1' }],
      [{ manager: 'x', operation: 'Update', apiVersion: 'v1' }],
    ]) {
      const w = new World(CONFIG_MAP, { data: { a: '1' } });
      w.update('one', () => undefined);
      w.update('two', (d) => {
        d.metadata.managedFields = given;
        d.data.b = '2';
      });
      assert.deepEqual(w.owners, { 'one Update': data('.', 'a'), 'two Update': data('b') });
    }
  });

  it('are forgotten when they are reset, and kept so until something is applied', () => {
    for (const reset of [[], [{}]]) {
      const w = new World(CONFIG_MAP, { data: { a: '1' } });
      w.update('one', () => undefined);
      w.update('one', (d) => {
        d.metadata.managedFields = reset;
      });
      assert.deepEqual(w.owners, {});
      w.update('one', (d) => {
        d.data.a = '2';
      });
      assert.deepEqual(w.owners, {});
      w.apply('me', { data: { b: '1' } });
      assert.deepEqual(w.owners, { 'me Apply': data('b'), 'before-first-apply Update': data('.', 'a') });
    }
  });

  it('of versions that are gone are dropped; those of other served versions stay', () => {
    const w = new World(CONFIG_MAP, { data: { a: '1' } });
    w.update('one', () => undefined);
    const foreign = {
      manager: 'old',
      operation: 'Update',
      apiVersion: 'v0',
      fieldsType: 'FieldsV1',
      fieldsV1: data('z'),
    };
    w.update('one', (d) => d.metadata.managedFields.push(foreign), { ...CONFIG_MAP, otherVersions: ['v0'] });
    assert.deepEqual(Object.keys(w.owners).sort(), ['old Update', 'one Update']);
    w.update('one', (d) => {
      d.data.a = '3';
    });
    assert.deepEqual(Object.keys(w.owners), ['one Update']);
  });

  it('are of `unknown` where nobody tells a name', () => {
    const w = new World(CONFIG_MAP, { data: { a: '1' } });
    w.update('', () => undefined);
    assert.deepEqual(Object.keys(w.owners), ['unknown Update']);
  });

  it('stay as they are for an object that has items without keys', () => {
    const w = new World(DEPLOYMENT, { spec: { template: { spec: { containers: [{ image: 'x' }] } } } });
    w.update('one', () => undefined);
    assert.equal(w.live?.metadata.managedFields, undefined);
  });

  it('keep ten writers apart, and merge the oldest', () => {
    const w = new World(CONFIG_MAP, { data: {} });
    for (let i = 0; i < 14; i++)
      w.update(`m${String(i).padStart(2, '0')}`, (d) => {
        d.data[`k${i}`] = '1';
      });
    const owners = Object.keys(w.owners);
    assert.equal(owners.length, 10);
    assert.deepEqual(w.owners['ancient-changes Update'], data('.', 'k0', 'k1', 'k2', 'k3', 'k4'));
    assert.deepEqual(
      owners.slice(1),
      ['m05', 'm06', 'm07', 'm08', 'm09', 'm10', 'm11', 'm12', 'm13'].map((m) => `${m} Update`),
    );
  });
});

describe('entries', () => {
  it('are the same but for times', () => {
    const entry = {
      manager: 'a',
      operation: 'Update',
      apiVersion: 'v1',
      fieldsType: 'FieldsV1',
      fieldsV1: data('a'),
      time: 'x',
    } as any;
    const table: [any, any, boolean][] = [
      [[entry], [{ ...entry, time: 'y' }], true],
      [undefined, undefined, true],
      [[entry], undefined, false],
      [[entry], [{ ...entry, manager: 'b' }], false],
      [[entry], [{ ...entry, fieldsV1: data('b') }], false],
      [[entry, { ...entry, manager: 'b' }], [{ ...entry, manager: 'b' }, entry], true],
    ];
    for (const [a, b, same] of table) assert.equal(sameButTimes(a, b), same);
  });
});
