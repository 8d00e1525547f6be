/** Encryption at rest: the key file, old plain databases, rotation, wrong and missing keys. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Encryption, loadEncryption } from '../../../src/server/encryption.js';
import { parseEncryption } from '../../../src/server/encryption-file.js';
import { openLevelStore, type Store } from '../../../src/store/index.js';

const KEY = 'core/secrets/default/s';
const secret = (value: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's' },
  data: { value },
});

describe('encryption at rest', function () {
  this.timeout(20_000);
  let dir: string;
  let file: string;
  let open: { encryption: Encryption; store: Store } | undefined;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-encryption-'));
    file = join(dir, 'encryption.yaml');
  });
  afterEach(async () => {
    await open?.store.close();
    open = undefined;
    rmSync(dir, { recursive: true });
  });

  async function start(own = true): Promise<Store> {
    const encryption = await loadEncryption(file, own);
    const store = await openLevelStore(join(dir, 'db'), { transformer: encryption.transformer }).catch(
      (error) => {
        throw encryption.explain(error);
      },
    );
    await encryption.keep();
    open = { encryption, store };
    return store;
  }
  async function stop(): Promise<void> {
    await open?.store.close();
    open = undefined;
  }
  const onDisk = (text: string): boolean =>
    readdirSync(join(dir, 'db')).some((name) => readFileSync(join(dir, 'db', name)).includes(text));
  const storedValue = (store: Store) => (store.get(KEY)?.object['data'] as any)?.value;

  it('encrypts Secrets, and nothing else, with a key of its own file', async () => {
    const store = await start();
    await store.commit([{ key: KEY, object: secret('TREASURE') }]);
    await store.commit([
      { key: 'core/configmaps/default/c', object: { ...secret('PEBBLES'), kind: 'ConfigMap' } },
    ]);
    await stop();
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(onDisk('TREASURE'), false);
    assert.equal(onDisk('PEBBLES'), true);
    assert.equal(storedValue(await start()), 'TREASURE');
  });

  it('reads a database from before, and encrypts it', async () => {
    const plain = await openLevelStore(join(dir, 'db'));
    await plain.commit([{ key: KEY, object: secret('OLD-TREASURE') }]);
    await plain.commit([{ key: KEY, object: secret('TREASURE') }]);
    await plain.close();
    assert.equal(onDisk('TREASURE'), true);
    const store = await start();
    assert.equal(storedValue(store), 'TREASURE');
    assert.equal(await open!.encryption.finish(store), 2);
    assert.equal(onDisk('TREASURE'), false);
    assert.equal(await open!.encryption.finish(store), 0);
    await stop();
    assert.equal(storedValue(await start()), 'TREASURE');
  });

  it('changes the key while others write, and takes no revision for it', async () => {
    const store = await start();
    for (let i = 0; i < 30; i++) await store.commit([{ key: `${KEY}${i}`, object: secret('x') }]);
    const before = readFileSync(file, 'utf8');
    const { revision } = store;
    const [one, two] = await Promise.all([open!.encryption.rotate(store), open!.encryption.rotate(store)]);
    assert.deepEqual([one, one.rewritten], [two, 30]);
    assert.equal(store.revision, revision);
    const after = readFileSync(file, 'utf8');
    assert.ok(after.includes(one.key) && !before.includes(one.key));
    assert.equal(after.match(/name:/g)?.length, 1);
    await Promise.all([
      open!.encryption.rotate(store),
      ...Array.from({ length: 30 }, (_, i) => store.commit([{ key: `${KEY}${i}`, object: secret('y') }])),
    ]);
    await stop();
    const again = await start();
    for (let i = 0; i < 30; i++) assert.equal((again.get(`${KEY}${i}`)!.object['data'] as any).value, 'y');
  });

  it('says which key is missing or wrong, and loses nothing', async () => {
    const store = await start();
    await store.commit([{ key: KEY, object: secret('TREASURE') }]);
    await stop();
    const good = readFileSync(file, 'utf8');
    const name = /key-\w+/.exec(good)![0];
    rmSync(file);
    await assert.rejects(start(), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(`core/secrets/default/s.*encrypted with the key "${name}".*is missing`),
      );
      assert.ok(!error.message.includes('\n'));
      return true;
    });
    assert.equal(existsSync(file), false, 'no other key takes its place');
    writeFileSync(file, good.replace(/secret: .*/, `secret: ${Buffer.alloc(32).toString('base64')}`));
    await assert.rejects(start(), new RegExp(`does not open with the key "${name}"`));
    writeFileSync(file, good);
    assert.equal(storedValue(await start()), 'TREASURE');
  });

  it('goes on with a change that was cut off', async () => {
    const store = await start();
    await store.commit([{ key: KEY, object: secret('TREASURE') }]);
    await stop();
    const [, name, value] = /name: (\S+)\s+secret: (\S+)/.exec(readFileSync(file, 'utf8'))!;
    const next = Buffer.alloc(32, 7).toString('base64');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(
        /- name: /,
        `- name: next\n              secret: ${next}\n            - name: `,
      ),
    );
    const again = await start();
    assert.equal(await open!.encryption.finish(again), 1);
    assert.ok(!readFileSync(file, 'utf8').includes(value!) && !readFileSync(file, 'utf8').includes(name!));
    await stop();
    assert.equal(storedValue(await start()), 'TREASURE');
  });

  it('encrypts what a file of somebody else asks for', async () => {
    const key = { name: 'mine', secret: Buffer.alloc(32, 3).toString('base64') };
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'EncryptionConfiguration',
        resources: [
          { resources: ['secrets', '*.apps'], providers: [{ aesgcm: { keys: [key] } }, { identity: {} }] },
        ],
      }),
    );
    const store = await start(false);
    await store.commit([{ key: 'apps/deployments/default/d', object: secret('TREASURE') }]);
    await store.commit([{ key: 'core/pods/default/d', object: secret('PEBBLES') }]);
    await stop();
    assert.deepEqual([onDisk('TREASURE'), onDisk('PEBBLES')], [false, true]);
  });

  it('refuses files that it can not use, in one sentence', async () => {
    const config = (resources: unknown) =>
      JSON.stringify({
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'EncryptionConfiguration',
        resources,
      });
    const provider = (p: unknown) => config([{ resources: ['secrets'], providers: [p] }]);
    const rows: [string, RegExp][] = [
      ['{', /is not YAML/],
      ['a: 1', /not an EncryptionConfiguration/],
      [config([]), /has no resources/],
      [config([{ resources: ['secrets'] }]), /has no providers/],
      [provider({ kms: {} }), /the provider "kms"; aesgcm and identity are known/],
      [provider({ aesgcm: { keys: [] } }), /has no keys/],
      [provider({ aesgcm: { keys: [{ name: 'a', secret: 'AAAA' }] } }), /3 bytes instead of 32/],
      [provider({ aesgcm: { keys: [{ name: 'a:b', secret: 'AAAA' }] } }), /whose name is not/],
    ];
    for (const [text, message] of rows) assert.throws(() => parseEncryption(text, 'f.yaml'), message);
    await assert.rejects(loadEncryption(file, false), /encryption\.yaml, is missing/);
  });
});
