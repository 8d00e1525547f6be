import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { demoTags, ensureBuiltinImages } from '../../../src/runtime/images/builtin.js';
import type { LocalImageStore } from '../../../src/runtime/images/index.js';
import { lookInto, openStore, temporaryFolder } from './fixture.js';

describe('the built-in images', () => {
  let dir: string;
  let store: LocalImageStore;
  const demoBinary = () => join(dir, 'demo');
  const options = () => ({ demoBinary: demoBinary(), busybox: '/bin/busybox' });
  const ids = () =>
    store
      .list()
      .map((image) => image.id)
      .sort();

  beforeEach(async () => {
    dir = temporaryFolder('builtin');
    copyFileSync('build/Release/keelson-demo', demoBinary());
    store = await openStore(join(dir, 'store'), { aliases: join(dir, 'aliases.yaml') });
    await ensureBuiltinImages(store, options());
  });
  afterEach(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('are there without any network, and run', async () => {
    for (const tag of demoTags)
      assert.ok(store.find(`keelson.dev/demo:${tag}`)?.config.env.includes(`KEELSON_DEMO_VERSION=${tag}`));
    const busybox = store.find('keelson.dev/busybox')!;
    assert.deepEqual(busybox.config.command, ['sh']);
    const seen = await lookInto(
      busybox,
      `chroot . /bin/sh -c 'whoami; stat -c %a /tmp; ls /bin | wc -l; /usr/bin/env A=b sh -c "echo \\$A"; ls -l /keelson-demo'`,
    );
    const [user, mode, applets, env, link] = seen.split('\n');
    assert.deepEqual([user, mode, env], ['root', '1777', 'b']);
    assert.ok(Number(applets) > 200);
    assert.match(link!, /-> kuard$/);
  });

  it('serve where the aliases say so', async () => {
    assert.equal(store.find('keelson.dev/demo:blue')?.config.command[0], '/kuard');
    const rules = await import('../../../src/runtime/images/aliases.js');
    const { parseReference } = await import('../../../src/runtime/images/reference.js');
    const aliases = new rules.Aliases(join(dir, 'aliases.yaml'));
    for (const name of ['gcr.io/kuar-demo/kuard-amd64:blue', 'busybox', 'busybox:1.36']) {
      const alias = aliases.find(parseReference(name));
      assert.ok(store.find(alias!.target.full), name);
    }
  });

  it('are the same on every node, and made once', async () => {
    const first = ids();
    await ensureBuiltinImages(store, options());
    assert.deepEqual(ids(), first);
    assert.equal(readdirSync(join(dir, 'store/layers')).length, 1);
    const other = await openStore(join(dir, 'other'));
    await ensureBuiltinImages(other, options());
    assert.deepEqual(
      other
        .list()
        .map((image) => image.id)
        .sort(),
      first,
    );
    await other.close();
  });

  it('follow their binaries, and leave the old ones to containers that use them', async () => {
    const old = store.find('keelson.dev/demo:blue')!;
    appendFileSync(demoBinary(), 'x');
    await ensureBuiltinImages(store, options());
    const fresh = store.find('keelson.dev/demo:blue')!;
    assert.notEqual(fresh.id, old.id);
    assert.deepEqual(store.get(old.id)?.layers, old.layers);
    await store.prune(new Set([old.id]));
    assert.equal(store.list().length, demoTags.length + 2);
    await store.prune(new Set());
    assert.equal(store.get(old.id), undefined);
    assert.equal(store.list().length, demoTags.length + 1);
    assert.equal(readdirSync(join(dir, 'store/layers')).length, 1);
  });

  it('come back when somebody removed them', async () => {
    await store.remove('keelson.dev/demo:blue');
    assert.equal(store.find('keelson.dev/demo:blue'), undefined);
    await ensureBuiltinImages(store, options());
    assert.ok(store.find('keelson.dev/demo:blue'));
  });
});
