/** Server-side apply: merges, conflicts, ownership. */
import assert from 'node:assert/strict';
import { CONFIG_MAP, DEPLOYMENT, data, refusal, STATUS, World } from './world.js';

describe('server-side apply', () => {
  it('creates, changes, and takes away what is applied no more', () => {
    const w = new World(CONFIG_MAP);
    w.apply('me', { data: { a: '1', b: '1' }, metadata: { labels: { x: 'y' } } });
    assert.deepEqual(w.owners, {
      'me Apply': { 'f:data': { 'f:a': {}, 'f:b': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } },
    });
    w.apply('me', { data: { a: '2' } });
    assert.deepEqual(w.data, { a: '2' });
    assert.equal(w.live?.metadata.labels ?? null, null);
    assert.deepEqual(w.owners, { 'me Apply': data('a') });
    assert.deepEqual(w.times, { me: '01Z' });
  });

  it('changes nothing, times included, when the same is applied again', () => {
    const w = new World(CONFIG_MAP);
    const before = w.apply('me', { data: { a: '1' } });
    assert.deepEqual(w.apply('me', { data: { a: '1' } }), before);
  });

  it('refuses to change what others own, and names all of it', () => {
    const w = new World(DEPLOYMENT, { spec: { replicas: 1, paused: true, minReadySeconds: 5 } });
    w.update('kubectl-client-side-apply', () => undefined);
    assert.throws(
      () => w.apply('me', { spec: { replicas: 2 } }),
      refusal(
        409,
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
        [
          {
            reason: 'FieldManagerConflict',
            message: 'conflict with "kubectl-client-side-apply" using apps/v1',
            field: '.spec.replicas',
          },
        ],
      ),
    );
    w.apply('b', { spec: { template: { spec: { hostNetwork: true } } } });
    w.update(
      'st',
      (d) => {
        d.metadata.labels = { l: '1' };
      },
      STATUS,
    );
    assert.throws(
      () =>
        w.apply('me', {
          metadata: { labels: { l: '2' } },
          spec: { replicas: 2, minReadySeconds: 6, template: { spec: { hostNetwork: false } } },
        }),
      refusal(
        409,
        [
          'Apply failed with 4 conflicts: conflicts with "b":',
          '- .spec.template.spec.hostNetwork',
          'conflicts with "kubectl-client-side-apply" using apps/v1:',
          '- .spec.minReadySeconds',
          '- .spec.replicas',
          'conflicts with "st" with subresource "status" using apps/v1:',
          '- .metadata.labels.l',
        ].join('\n'),
      ),
    );
  });

  it('takes over by force', () => {
    const w = new World(CONFIG_MAP, { data: { a: '1', b: '1' } });
    w.update('one', () => undefined);
    w.apply('me', { data: { a: '2' } }, true);
    assert.deepEqual(w.owners, { 'me Apply': data('a'), 'one Update': data('.', 'b') });
    assert.deepEqual(w.data, { a: '2', b: '1' });
  });

  it('shares fields on whose value all agree, until one wants another', () => {
    const w = new World(CONFIG_MAP);
    w.apply('one', { data: { a: '1' } });
    w.apply('two', { data: { a: '1' } });
    assert.deepEqual(w.owners, { 'one Apply': data('a'), 'two Apply': data('a') });
    assert.deepEqual(w.times, { one: '00Z', two: undefined }, 'who changed nothing has no time');
    assert.throws(
      () => w.apply('one', { data: { a: '2' } }),
      refusal(409, 'Apply failed with 1 conflict: conflict with "two": .data.a'),
    );
    w.apply('one', {});
    assert.deepEqual(w.data, { a: '1' }, 'the other still owns it');
    assert.deepEqual(w.owners, { 'two Apply': data('a') });
    w.apply('two', {});
    assert.equal(w.data ?? null, null);
  });

  it('loses to updates what they change, and leaves alone what they own when it gives it up', () => {
    const w = new World(CONFIG_MAP);
    w.apply('me', { data: { a: '1', b: '1' } });
    w.update('hand', (d) => {
      d.data.a = '2';
    });
    assert.deepEqual(w.owners, { 'me Apply': data('b'), 'hand Update': data('a') });
    w.apply('me', { data: { b: '1' } });
    assert.deepEqual(w.data, { a: '2', b: '1' });
  });

  const containers = (...list: object[]) => ({ spec: { template: { spec: { containers: list } } } });
  const names = (w: World) => (w.live as any).spec.template.spec.containers?.map((c: any) => c.name);

  it('takes away list items by key, with what nobody else has in them', () => {
    const w = new World(DEPLOYMENT);
    w.apply('me', containers({ name: 'a', image: 'x' }, { name: 'b', image: 'x' }));
    w.apply('other', containers({ name: 'b', tty: true }, { name: 'c', image: 'y' }));
    w.apply('me', containers({ name: 'a', image: 'x' }));
    assert.deepEqual((w.live as any).spec.template.spec.containers, [
      { name: 'a', image: 'x' },
      { name: 'b', tty: true },
      { name: 'c', image: 'y' },
    ]);
    w.apply('other', {});
    assert.deepEqual(names(w), ['a']);
  });

  it('keeps an item that another has a part of, even when its applier leaves', () => {
    const w = new World(DEPLOYMENT);
    w.apply('me', containers({ name: 'a', image: 'x' }));
    w.update('injector', (d) => {
      d.spec.template.spec.containers[0].tty = true;
      d.spec.template.spec.containers.push({ name: 'side', image: 's' });
    });
    w.apply('me', containers({ name: 'a', image: 'y' }));
    assert.deepEqual((w.live as any).spec.template.spec.containers, [
      { name: 'a', image: 'y', tty: true },
      { name: 'side', image: 's' },
    ]);
    w.apply('me', {});
    assert.deepEqual(names(w), ['side']);
  });

  it('removes one field of an item', () => {
    const w = new World(DEPLOYMENT);
    w.apply(
      'me',
      containers({ name: 'a', image: 'x', tty: true, env: [{ name: 'E', value: '1' }, { name: 'F' }] }),
    );
    w.apply('me', containers({ name: 'a', image: 'x', env: [{ name: 'F' }] }));
    assert.deepEqual((w.live as any).spec.template.spec.containers, [
      { name: 'a', image: 'x', env: [{ name: 'F' }] },
    ]);
  });

  it('owns atomic values as a whole', () => {
    const w = new World(DEPLOYMENT);
    const selector = (labels: object) => ({ spec: { selector: { matchLabels: labels } } });
    w.apply('one', selector({ a: '1' }));
    assert.throws(
      () => w.apply('two', selector({ b: '2' })),
      refusal(409, 'Apply failed with 1 conflict: conflict with "one": .spec.selector'),
    );
    w.apply('two', selector({ b: '2' }), true);
    assert.deepEqual((w.live as any).spec.selector, { matchLabels: { b: '2' } });
    assert.deepEqual(Object.keys(w.owners), ['two Apply']);
  });

  it('hands a field on: the new owner applies it, the old one applies it no more', () => {
    const w = new World(DEPLOYMENT);
    w.apply('user', { spec: { replicas: 3, paused: true } });
    w.apply('autoscaler', { spec: { replicas: 3 } });
    w.apply('user', { spec: { paused: true } });
    w.apply('autoscaler', { spec: { replicas: 9 } });
    assert.equal((w.live as any).spec.replicas, 9);
    assert.deepEqual(w.owners, {
      'user Apply': { 'f:spec': { 'f:paused': {} } },
      'autoscaler Apply': { 'f:spec': { 'f:replicas': {} } },
    });
  });

  it('of a subresource is another applier, and owns nothing of what the subresource leaves alone', () => {
    const w = new World(DEPLOYMENT);
    w.apply('me', { spec: { replicas: 1 } });
    w.apply('me', { spec: { replicas: 2 }, status: { replicas: 1 } }, false, STATUS);
    assert.deepEqual(w.owners, {
      'me Apply': { 'f:spec': { 'f:replicas': {} } },
      'me Apply status': { 'f:status': { 'f:replicas': {} } },
    });
  });

  it('refuses configurations of something else and with managedFields', () => {
    const w = new World(CONFIG_MAP);
    assert.throws(
      () => w.apply('me', { kind: 'Secret' }),
      refusal(400, 'invalid object type: /v1, Kind=Secret'),
    );
    assert.throws(
      () => w.apply('me', { apiVersion: 'apps/v1' }),
      refusal(400, 'invalid object type: apps/v1, Kind=ConfigMap'),
    );
    assert.throws(
      () => w.apply('me', { metadata: { managedFields: [] } }),
      refusal(400, 'metadata.managedFields must be nil'),
    );
    assert.throws(
      () => w.apply('me', { metadata: { namespace: 'ns' }, foo: 1 }),
      refusal(
        500,
        'failed to create typed patch object (ns/x; /v1, Kind=ConfigMap): .foo: field not declared in schema',
      ),
    );
  });
});

describe('server-side apply by kubectl', () => {
  const LAST = 'kubectl.kubernetes.io/last-applied-configuration';
  const config = (data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data });
  const clientSide = (data: Record<string, string>, live = data) => {
    const w = new World(CONFIG_MAP, {
      metadata: { annotations: { [LAST]: JSON.stringify(config(data)) } },
      data: live,
    });
    w.update('kubectl-client-side-apply', () => undefined);
    return w;
  };
  const annotation = (w: World) => w.live?.metadata.annotations?.[LAST];

  it('takes over what client-side apply owns, and keeps its annotation up to date', () => {
    const w = clientSide({ a: '1', b: '1' });
    w.apply('kubectl', { data: { a: '2' } });
    assert.deepEqual(w.data, { a: '2', b: '1' });
    assert.equal(
      annotation(w),
      `${JSON.stringify({ apiVersion: 'v1', data: { a: '2' }, kind: 'ConfigMap', metadata: { name: 'x' } })}\n`,
    );
    assert.deepEqual(w.owners['kubectl Apply'], data('a'));
  });

  it('does so for no other manager', () => {
    const w = clientSide({ a: '1' });
    assert.throws(
      () => w.apply('me', { data: { a: '2' } }),
      refusal(
        409,
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.a',
      ),
    );
    w.apply('me', { data: { c: '2' } });
    assert.match(annotation(w)!, /"a":"1"/);
  });

  it('does so for no field that was changed since', () => {
    const w = clientSide({ a: '1', b: '1' }, { a: 'changed', b: '1' });
    assert.throws(
      () => w.apply('kubectl', { data: { a: '2', b: '2' } }),
      refusal(
        409,
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.a',
      ),
    );
  });

  it('does so by no annotation that can not be read', () => {
    for (const text of [
      '{',
      '[]',
      JSON.stringify({ ...config({ a: '1' }), apiVersion: 'v2' }),
      JSON.stringify({ ...config({ a: '1' }), x: 1 }),
    ]) {
      const w = new World(CONFIG_MAP, { metadata: { annotations: { [LAST]: text } }, data: { a: '1' } });
      w.update('kubectl-client-side-apply', () => undefined);
      assert.throws(
        () => w.apply('kubectl', { data: { a: '2' } }),
        refusal(
          409,
          'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.a',
        ),
        text,
      );
    }
  });

  it('drops an annotation that would grow too large', () => {
    const w = clientSide({ a: '1' });
    w.apply('kubectl', { data: { a: 'x'.repeat(300_000) } });
    assert.equal(annotation(w), undefined);
  });
});
