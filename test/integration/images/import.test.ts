import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { sha256 } from '../../../src/runtime/images/digest.js';
import type { LocalImageStore } from '../../../src/runtime/images/index.js';
import type { Image } from '../../../src/runtime/types.js';
import { lookInto, makeLayout, openStore, rejectsWith, sh, temporaryFolder } from './fixture.js';

describe('importing images', () => {
  let dir: string;
  let layout: string;
  let store: LocalImageStore;
  let count = 0;

  before(async function () {
    this.timeout(20_000);
    dir = temporaryFolder('import');
    layout = await makeLayout(dir);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(async () => {
    store = await openStore(join(dir, `store-${++count}`));
  });
  afterEach(() => store.close());

  const leftovers = () => readdirSync(join(dir, `store-${count}`, 'tmp'));

  async function assertContent(image: Image): Promise<void> {
    assert.deepEqual(image.config, {
      entrypoint: ['/bin/busybox'],
      command: ['sh', '-c'],
      env: ['COLOR=blue'],
      workingDirectory: '/opt',
      user: '1000:1000',
      stopSignal: '',
      labels: { a: 'b' },
      exposedPorts: ['8080/tcp'],
    });
    assert.equal(image.layers.length, 3);
    assert.ok(image.size > 7_000_000 && image.size < 10_000_000, String(image.size));
    const seen = await lookInto(
      image,
      `ls etc opt; cat opt/new; readlink etc/out; stat -c '%u:%g' etc/kept; stat -c %a bin/busybox tmp
       stat -c %h bin/sh; tail -c 4 etc/sparse; stat -c '%s' etc/sparse; cmp bin/sh /bin/busybox && echo same`,
    );
    assert.equal(
      seen.replaceAll('\n', ' ').trim(),
      'etc: kept out sparse  opt: new new ../../../../../../etc/passwd 1234:5678 4755 1777 2 end 5242884 same',
    );
  }

  it('takes an OCI layout as a folder, by the name given', async () => {
    const [image, ...more] = await store.import(layout, 'example.com/app:1');
    assert.deepEqual(more, []);
    assert.deepEqual(image!.tags, ['example.com/app:1']);
    assert.match(image!.digests[0]!, /^example\.com\/app@sha256:[0-9a-f]{64}$/);
    await assertContent(image!);
    assert.deepEqual(store.find('example.com/app:1'), image);
    assert.deepEqual(store.find(image!.digests[0]!), image);
    assert.deepEqual(store.find(image!.id), image);
    assert.deepEqual(leftovers(), []);
  });

  it('takes an OCI layout as a tar file, packed or not, and names it by file and tag', async () => {
    await sh('tar', '-C', layout, '-cf', join(dir, 'My_App.tar'), '.');
    await sh('tar', '-C', layout, '-czf', join(dir, 'other.tar.gz'), '.');
    const [image] = await store.import(join(dir, 'My_App.tar'));
    assert.deepEqual(image!.tags, ['docker.io/library/my-app:v1']);
    const [other] = await store.import(join(dir, 'other.tar.gz'));
    assert.equal(other!.id, image!.id);
    assert.deepEqual(store.find('my-app:v1')!.tags.sort(), [
      'docker.io/library/my-app:v1',
      'docker.io/library/other:v1',
    ]);
    await assertContent(image!);
  });

  it('takes a docker-archive with its tags', async () => {
    const archive = join(dir, 'docker.tar');
    await sh('skopeo', 'copy', '-q', `oci:${layout}:v1`, `docker-archive:${archive}:example.com/app:2`);
    const [image] = await store.import(archive);
    assert.deepEqual(image!.tags, ['example.com/app:2']);
    await assertContent(image!);
  });

  it('takes layers that zstd packed', async () => {
    const packed = join(dir, 'zstd');
    cpSync(layout, packed, { recursive: true });
    const blobs = join(packed, 'blobs/sha256');
    const read = (digest: string) => readFileSync(join(blobs, digest.slice(7)));
    const write = (data: Buffer) => {
      const digest = sha256(data);
      writeFileSync(join(blobs, digest.slice(7)), data);
      return { digest, size: data.length };
    };
    const index = JSON.parse(readFileSync(join(packed, 'index.json'), 'utf8'));
    const manifest = JSON.parse(read(index.manifests[0].digest).toString());
    for (const layer of manifest.layers) {
      const zstd = execFileSync('zstd', ['-c'], {
        input: gunzipSync(read(layer.digest)),
        maxBuffer: 64 << 20,
      });
      Object.assign(layer, write(zstd), { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' });
    }
    Object.assign(index.manifests[0], write(Buffer.from(JSON.stringify(manifest))));
    writeFileSync(join(packed, 'index.json'), JSON.stringify(index));
    await assertContent((await store.import(packed))[0]!);
  });

  it('shares layers between images and removes them with the last', async () => {
    const second = join(dir, 'second');
    cpSync(layout, second, { recursive: true });
    const extra = join(dir, 'extra');
    mkdirSync(extra, { recursive: true });
    writeFileSync(join(extra, 'more'), 'more');
    await sh('umoci', 'insert', '--image', `${second}:v1`, extra, '/');
    const [one] = await store.import(layout, 'one');
    const [two] = await store.import(second, 'two');
    assert.deepEqual(two!.layers.slice(0, 3), one!.layers);
    await store.remove('two');
    assert.equal(store.find('two'), undefined);
    assert.deepEqual(readdirSync(join(dir, `store-${count}`, 'layers')).length, 3);
    await assertContent(store.find('one')!);
    await store.remove('one');
    assert.deepEqual(store.list(), []);
    assert.deepEqual(readdirSync(join(dir, `store-${count}`, 'layers')), []);
    assert.deepEqual(readdirSync(join(dir, `store-${count}`, 'blobs/sha256')), []);
  });

  it('keeps an image as long as it has another name', async () => {
    await store.import(layout, 'one');
    await store.import(layout, 'two');
    await store.remove('one');
    assert.equal(store.find('one'), undefined);
    assert.deepEqual(store.find('two')!.tags, ['docker.io/library/two:latest']);
  });

  it('gives the folders that a layer does not describe the owner and mode of the layer below', async () => {
    const image = await importLayers(
      ['mkdir -m 1777 tmp; chown 12:34 tmp', 'mkdir -p tmp/a; touch tmp/a/b'],
      {
        second: ['tmp/a/b'],
      },
    );
    assert.equal(await lookInto(image, `stat -c '%a %u:%g' tmp tmp/a`), '1777 12:34\n755 0:0\n');
  });

  it('writes nothing through a symlink out of the layer', async () => {
    const outside = join(dir, 'outside');
    mkdirSync(outside, { recursive: true });
    const link = `link -> ${outside}`;
    const tar = join(dir, 'evil.tar');
    await sh(
      'sh',
      '-ec',
      `rm -rf ${dir}/e1 ${dir}/e2; mkdir -p ${dir}/e1 ${dir}/e2/link; ln -s ${outside} ${dir}/e1/link; echo x > ${dir}/e2/link/file
       tar -C ${dir}/e1 -cf ${tar} link; tar -C ${dir}/e2 -rf ${tar} link/file`,
    );
    await store.import(await dockerArchive([tar]), 'evil').catch(() => undefined);
    assert.deepEqual(readdirSync(outside), [], link);
  });

  it('refuses and names a blob that does not match its digest', async () => {
    const broken = join(dir, 'broken');
    cpSync(layout, broken, { recursive: true });
    const blobs = join(broken, 'blobs/sha256');
    const largest = readdirSync(blobs)
      .map((name) => ({ name, data: readFileSync(join(blobs, name)) }))
      .sort((a, b) => b.data.length - a.data.length)[0]!;
    largest.data[largest.data.length >> 1]! ^= 1;
    writeFileSync(join(blobs, largest.name), largest.data);
    await rejectsWith(
      store.import(broken, 'broken'),
      'Corrupt',
      new RegExp(`layer sha256:${largest.name} of .*/broken`),
    );
    assert.deepEqual(store.list(), []);
    assert.deepEqual(leftovers(), []);
    rmSync(join(blobs, largest.name));
    await rejectsWith(store.import(broken, 'broken'), 'Corrupt', /lacks blobs\/sha256/);
  });

  it('refuses what is no archive', async () => {
    writeFileSync(join(dir, 'text'), 'hello '.repeat(1000));
    await rejectsWith(store.import(join(dir, 'text')), 'Corrupt', /text is neither a tar file nor a folder/);
    await rejectsWith(store.import(join(dir, 'missing')), 'NotFound', /cannot open .*missing/);
    await rejectsWith(store.import(join(dir, 'base')), 'Unsupported', /neither a docker-archive nor an OCI/);
    await rejectsWith(store.import(layout, 'Not A Name'), 'InvalidName', /invalid reference format/);
  });

  it('removes at open what a killed import left', async () => {
    const [image] = await store.import(layout, 'one');
    await store.close();
    const root = join(dir, `store-${count}`);
    mkdirSync(join(root, 'tmp/dead/root'), { recursive: true });
    writeFileSync(join(root, 'tmp/dead/lock'), '');
    mkdirSync(join(root, 'layers/0123456789abcdef01234567'));
    store = await openStore(root);
    assert.deepEqual(readdirSync(join(root, 'tmp')), []);
    assert.equal(readdirSync(join(root, 'layers')).length, 3);
    await assertContent(store.get(image!.id)!);
  });

  it('is one store for several processes', async () => {
    const other = await openStore(join(dir, `store-${count}`));
    const [[one], [two]] = await Promise.all([store.import(layout, 'one'), other.import(layout, 'two')]);
    assert.equal(one!.id, two!.id);
    assert.deepEqual(other.find('one'), store.find('two'));
    await other.close();
  });

  /** A docker-archive of layers that are tar files. */
  async function dockerArchive(tars: string[]): Promise<string> {
    const folder = temporaryFolder('archive');
    const diffIds = tars.map((tar) => sha256(readFileSync(tar)));
    tars.forEach((tar, i) => {
      cpSync(tar, join(folder, `${i}.tar`));
    });
    writeFileSync(
      join(folder, 'config.json'),
      JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: diffIds } }),
    );
    writeFileSync(
      join(folder, 'manifest.json'),
      JSON.stringify([{ Config: 'config.json', Layers: tars.map((_, i) => `${i}.tar`) }]),
    );
    const archive = join(dir, `archive-${count}.tar`);
    await sh('tar', '-C', folder, '-cf', archive, '.');
    rmSync(folder, { recursive: true });
    return archive;
  }

  /** Layers made by shell scripts; `second`: only these paths go into the second. */
  async function importLayers(scripts: string[], only: { second?: string[] }): Promise<Image> {
    const tars: string[] = [];
    for (const [i, script] of scripts.entries()) {
      const folder = temporaryFolder('layer');
      const tar = join(dir, `layer-${count}-${i}.tar`);
      await sh('sh', '-ec', `cd ${folder}; ${script}`);
      await sh('tar', '-C', folder, '-cf', tar, ...((i === 1 && only.second) || ['.']));
      rmSync(folder, { recursive: true });
      tars.push(tar);
    }
    return (await store.import(await dockerArchive(tars), 'layers'))[0]!;
  }
});
