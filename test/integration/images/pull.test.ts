import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalImageStore } from '../../../src/runtime/images/index.js';
import { type FakeRegistry, startFakeRegistry } from './fake-registry.js';
import {
  freePort,
  lookInto,
  makeLayout,
  openStore,
  rejectsWith,
  sh,
  startRegistry,
  type TestRegistry,
  temporaryFolder,
} from './fixture.js';

describe('pulling images', () => {
  let dir: string;
  let layout: string;
  let store: LocalImageStore;
  let storeDir: string;
  let count = 0;

  before(async function () {
    this.timeout(20_000);
    dir = temporaryFolder('pull');
    layout = await makeLayout(dir);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(async () => {
    storeDir = join(dir, `store-${++count}`);
    store = await openStore(storeDir);
  });
  afterEach(() => store.close());

  const push = (registry: TestRegistry, name: string, ...options: string[]) =>
    sh(
      'skopeo',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      ...options,
      `oci:${layout}:v1`,
      `docker://${registry.host}/${name}`,
    );

  describe('from docker-registry', () => {
    let registry: TestRegistry;
    before(async function () {
      this.timeout(20_000);
      registry = await startRegistry(dir);
      await push(registry, 'team/app:1');
      await push(registry, 'team/app:docker', '--format=v2s2');
    });
    after(() => registry.stop());

    it('takes an image by tag and by digest, as OCI and as Docker has it', async () => {
      const image = await store.pull(`${registry.host}/team/app:1`);
      assert.deepEqual(image.tags, [`${registry.host}/team/app:1`]);
      assert.equal(
        await lookInto(image, 'ls etc opt; cmp bin/sh /bin/busybox && echo same'),
        'etc:\nkept\nout\nsparse\n\nopt:\nnew\nsame\n',
      );
      const byDigest = await store.pull(image.digests[0]!);
      assert.equal(byDigest.id, image.id);
      const docker = await store.pull(`${registry.host}/team/app:docker`);
      assert.deepEqual(docker.layers, image.layers);
      assert.deepEqual(readdirSync(join(storeDir, 'partial')), []);
      assert.deepEqual(readdirSync(join(storeDir, 'tmp')), []);
    });

    it('tells what is missing as containerd does', async () => {
      const name = `${registry.host}/team/app:none`;
      await assert.rejects(store.pull(name), {
        code: 'NotFound',
        message: `failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
      });
      await rejectsWith(store.pull(`${registry.host}/UPPER:1`), 'InvalidName', /must be lowercase/);
    });

    it('refuses and names a corrupt layer, and pulls it when it is whole again', async () => {
      await push(registry, 'broken/app:1');
      const manifest = JSON.parse(await sh('skopeo', 'inspect', '--raw', `oci:${layout}:v1`));
      const digest: string = manifest.layers.sort((a: any, b: any) => b.size - a.size)[0].digest;
      const path = registry.blob(digest);
      const data = readFileSync(path);
      const whole = Buffer.from(data);
      data[data.length >> 1]! ^= 1;
      writeFileSync(path, data);
      const name = `${registry.host}/broken/app:1`;
      await rejectsWith(
        store.pull(name),
        'Corrupt',
        new RegExp(`pull and unpack image "${name}": layer ${digest}`),
      );
      assert.deepEqual(store.list(), []);
      writeFileSync(path, whole);
      assert.ok(await store.pull(name));
    });
  });

  it('shows its credentials to a registry with basic authentication', async () => {
    // user:secret
    const registry = await startRegistry(
      dir,
      'user:$2b$04$ahdiCcrGvTKLEbqeKVT7eOfRKQnFoEs9mMTxys.aa1NCEOhpBlxLK\n',
    );
    try {
      await push(registry, 'private/app:1', '--dest-creds=user:secret');
      const name = `${registry.host}/private/app:1`;
      await rejectsWith(
        store.pull(name),
        'Unauthorized',
        /failed to resolve reference .*: pull access denied/,
      );
      const wrong = { username: 'user', password: 'wrong' };
      await rejectsWith(store.pull(name, { auth: wrong }), 'Unauthorized', /pull access denied/);
      assert.ok(await store.pull(name, { auth: { username: 'user', password: 'secret' } }));
    } finally {
      await registry.stop();
    }
  }).timeout(10_000);

  describe('from a registry that misbehaves', () => {
    let registry: FakeRegistry;
    let largest: { digest: string; size: number };
    beforeEach(async () => {
      registry = await startFakeRegistry(layout);
      const manifest = JSON.parse(await sh('skopeo', 'inspect', '--raw', `oci:${layout}:v1`));
      largest = manifest.layers.sort((a: any, b: any) => b.size - a.size)[0];
    });
    afterEach(() => registry.stop());

    it('fetches a token, for the scope that it is told, and keeps it for the pull', async () => {
      registry.hook = (request, response) => {
        if (request.url!.startsWith('/token')) {
          response.end(JSON.stringify({ token: 'abc' }));
          return true;
        }
        if (request.headers.authorization === 'Bearer abc') return false;
        const challenge = `Bearer realm="http://${registry.host}/token",service="test",scope="repository:a/b:pull"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end('{}');
        return true;
      };
      await store.pull(`${registry.host}/a/b:1`);
      assert.deepEqual(
        registry.requests.filter((request) => request.includes('token')),
        ['GET /token?service=test&scope=repository%3Aa%2Fb%3Apull'],
      );
    });

    it('says what the registry says against a pull', async () => {
      registry.hook = (request, response) => {
        if (request.url!.startsWith('/token')) response.end('{"token":"abc"}');
        else
          response
            .writeHead(401, {
              'www-authenticate': `Bearer realm="http://${registry.host}/token",error="insufficient_scope"`,
            })
            .end();
        return true;
      };
      const name = `${registry.host}/a:1`;
      await assert.rejects(store.pull(name), {
        code: 'Unauthorized',
        message: `failed to pull and unpack image "${name}": failed to resolve reference "${name}": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`,
      });
    });

    it('does not show credentials to the host it is redirected to', async () => {
      const other = await startFakeRegistry(layout);
      const seen: (string | undefined)[] = [];
      other.hook = (request) => {
        seen.push(request.headers.authorization);
        return false;
      };
      registry.hook = (request, response) => {
        if (request.headers.authorization === undefined) {
          response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
          return true;
        }
        if (!request.url!.includes('/blobs/')) return false;
        response.writeHead(307, { location: `http://${other.host}${request.url}` }).end();
        return true;
      };
      await store.pull(`${registry.host}/a:1`, { auth: { username: 'u', password: 'p' } });
      assert.equal(seen.length, 4);
      assert.deepEqual([...new Set(seen)], [undefined]);
      await other.stop();
    });

    it('goes on where a broken download stopped', async () => {
      let breaks = 2;
      registry.hook = (request, response) => {
        if (!request.url!.endsWith(largest.digest) || breaks-- <= 0) return false;
        const data = readFileSync(join(layout, 'blobs/sha256', largest.digest.slice(7)));
        const start = Number(/(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
        response.writeHead(start ? 206 : 200, { 'content-length': data.length - start });
        response.write(data.subarray(start, start + 200_000), () => setTimeout(() => response.destroy(), 20));
        return true;
      };
      const progress: number[] = [];
      await store.pull(`${registry.host}/a:1`, { onProgress: (done, total) => progress.push(done / total) });
      const ranges = registry.requests.filter((request) => request.includes(largest.digest));
      assert.deepEqual(
        ranges.map((request) => /bytes=(\d+)/.exec(request)?.[1]),
        [undefined, '200000', '400000'],
      );
      assert.equal(progress.at(-1), 1);
      assert.ok(progress.every((part, i) => part >= (progress[i - 1] ?? 0)));
    });

    it('tries again after 5xx answers and reset connections', async () => {
      let failures = 2;
      registry.hook = (request, response) => {
        if (!request.url!.includes('/manifests/') || failures-- <= 0) return false;
        if (failures === 1) request.socket.destroy();
        else response.writeHead(503).end();
        return true;
      };
      assert.ok(await store.pull(`${registry.host}/a:1`));
    });

    it('pulls once for all who ask at the same time', async () => {
      const name = `${registry.host}/a:1`;
      const images = await Promise.all([store.pull(name), store.pull(name), store.pull(name)]);
      assert.equal(new Set(images.map((image) => image.id)).size, 1);
      assert.equal(registry.requests.filter((request) => request.includes('/manifests/')).length, 1);
      assert.equal(registry.requests.length, new Set(registry.requests).size);
    });

    it('asks for the manifest only when the image is here', async () => {
      await store.pull(`${registry.host}/a:1`);
      registry.requests.length = 0;
      const image = await store.pull(`${registry.host}/a:2`);
      assert.deepEqual(registry.requests, ['GET /v2/a/manifests/2']);
      assert.deepEqual(image.tags.length, 2);
    });

    it('ends when it is aborted, leaves others be, and resumes later', async () => {
      let held = true;
      registry.hook = (request, response) => {
        if (!held || !request.url!.endsWith(largest.digest)) return false;
        const data = readFileSync(join(layout, 'blobs/sha256', largest.digest.slice(7)));
        response.writeHead(200, { 'content-length': data.length });
        response.write(data.subarray(0, 300_000));
        return true;
      };
      const name = `${registry.host}/a:1`;
      const abort = new AbortController();
      const pull = assert.rejects(store.pull(name, { signal: abort.signal }), { name: 'AbortError' });
      const partial = join(storeDir, 'partial', largest.digest.slice(7));
      while ((statSync(partial, { throwIfNoEntry: false })?.size ?? 0) < 300_000) await sleep(10);
      abort.abort();
      await pull;
      held = false;
      registry.requests.length = 0;
      assert.ok(await store.pull(name));
      assert.ok(registry.requests.some((request) => request.endsWith(`${largest.digest} bytes=300000-`)));
    });

    it('lets a second pull live when the first is aborted', async () => {
      let held = 1;
      registry.hook = (request) => request.url!.endsWith(largest.digest) && held-- > 0;
      const abort = new AbortController();
      const first = store.pull(`${registry.host}/a:1`, { signal: abort.signal });
      while (!registry.requests.some((request) => request.includes(largest.digest))) await sleep(5);
      const second = store.pull(`${registry.host}/b:1`);
      await sleep(50);
      abort.abort();
      await assert.rejects(first, { name: 'AbortError' });
      assert.equal((await second).layers.length, 3);
    });

    it('chooses the manifest for this machine from an index', async () => {
      const { createHash } = await import('node:crypto');
      const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
      const { digest, size } = index.manifests[0];
      const entry = (os: string, architecture: string, extra = {}) => ({
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: `sha256:${'0'.repeat(64)}`,
        size: 1,
        platform: { os, architecture },
        ...extra,
      });
      const document = JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [
          entry('linux', 's390x'),
          entry('unknown', 'unknown'),
          entry('linux', process.arch === 'x64' ? 'amd64' : process.arch, { digest, size }),
        ],
      });
      registry.hook = (request, response) => {
        if (!/manifests\/(multi|other)$/.test(request.url!)) return false;
        response.end(
          request.url!.endsWith('other') ? document.replaceAll(/amd64|"arm64"/g, 'riscv') : document,
        );
        return true;
      };
      const image = await store.pull(`${registry.host}/a:multi`);
      const sum = createHash('sha256').update(document).digest('hex');
      assert.deepEqual(image.digests, [`${registry.host}/a@sha256:${sum}`]);
      await rejectsWith(
        store.pull(`${registry.host}/a:other`),
        'NotFound',
        /no match for platform in manifest/,
      );
    });

    it('refuses a manifest that is none', async () => {
      registry.hook = (request, response) => {
        if (!request.url!.includes('/manifests/')) return false;
        response.end(request.url!.endsWith('1') ? '<html>' : '{"schemaVersion":1}');
        return true;
      };
      await rejectsWith(store.pull(`${registry.host}/a:1`), 'Corrupt', /manifest of .*a:1 is corrupt/);
      await rejectsWith(store.pull(`${registry.host}/a:2`), 'Unsupported', /schema version 1/);
    });

    it('trusts whom the settings tell it to trust', async () => {
      const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
      await sh(
        'openssl',
        ...[
          'req',
          '-x509',
          '-nodes',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-subj',
          '/CN=test',
        ],
        ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
      );
      const secure = await startFakeRegistry(layout, { cert: readFileSync(cert), key: readFileSync(key) });
      const name = `${secure.host}/a:1`;
      const open = (settings: string) => {
        const registries = join(dir, `tls-${settings}.yaml`.replace(/\W+/g, '-'));
        writeFileSync(registries, `registries: { "${secure.host}": { http: false, ${settings} } }`);
        return openStore(`${registries}-store`, { registries });
      };
      const strict = await open('');
      await rejectsWith(strict.pull(name), 'Unreachable', /self-signed certificate/);
      for (const settings of [`ca: ${cert}`, 'insecure: true']) {
        const trusting = await open(settings);
        assert.deepEqual((await trusting.pull(name)).tags, [name]);
        await trusting.close();
      }
      await strict.close();
      await secure.stop();
    });

    it('asks mirrors first', async () => {
      const settings = join(dir, 'registries.yaml');
      writeFileSync(settings, `registries:\n  example.invalid:\n    mirrors: ["http://${registry.host}"]\n`);
      const mirrored = await openStore(join(dir, `mirrored-${count}`), { registries: settings });
      const image = await mirrored.pull('example.invalid/x/y:1');
      assert.deepEqual(image.tags, ['example.invalid/x/y:1']);
      await mirrored.close();
    });
  });

  it('takes from the registry what a mirror lacks or has damaged', async () => {
    const [mirror, registry] = [await startFakeRegistry(layout), await startFakeRegistry(layout)];
    try {
      for (const [name, status] of [
        ['lacking', 404],
        ['damaged', 200],
      ] as const) {
        mirror.hook = ({ url }, response) => {
          if (!url!.includes('/blobs/')) return false;
          response.writeHead(status).end('damaged');
          return true;
        };
        const settings = join(dir, `${name}.yaml`);
        const mirrors = [`http://${mirror.host}`];
        writeFileSync(settings, JSON.stringify({ registries: { [registry.host]: { mirrors } } }));
        const mirrored = await openStore(join(dir, `${name}-${count}`), { registries: settings });
        mirror.requests.splice(0);
        registry.requests.splice(0);
        const image = await mirrored.pull(`${registry.host}/x/y:1`);
        assert.deepEqual(image.tags, [`${registry.host}/x/y:1`]);
        assert.ok(mirror.requests.some((request) => request.includes('/blobs/')));
        assert.ok(registry.requests.some((request) => request.includes('/blobs/')));
        await mirrored.close();
      }
    } finally {
      await mirror.stop();
      await registry.stop();
    }
  });

  describe('with aliases', () => {
    let aliases: string;
    let registry: FakeRegistry;
    let dead: string;
    let aliased: LocalImageStore;
    beforeEach(async () => {
      registry = await startFakeRegistry(layout);
      dead = `127.0.0.1:${await freePort()}`;
      aliases = join(dir, `aliases-${count}.yaml`);
      aliased = await openStore(join(dir, `aliased-${count}`), { aliases });
      await aliased.import(layout, 'keelson.dev/demo:blue');
    });
    afterEach(async () => {
      await aliased.close();
      await registry.stop();
    });
    const write = (match: string, when: string) =>
      writeFileSync(
        aliases,
        `aliases:\n- { match: "${match}", image: "keelson.dev/demo:{tag}", when: ${when} }\n`,
      );

    it('writes a default file that a user can change', () => {
      assert.match(readFileSync(aliases, 'utf8'), /kuard/);
    });

    it('serves them when the registry does not answer, and finds them afterwards', async () => {
      write(`${dead}/kuard:*`, 'unreachable');
      assert.equal(aliased.find(`${dead}/kuard:blue`), undefined);
      const image = await aliased.pull(`${dead}/kuard:blue`);
      assert.deepEqual(image.tags, ['keelson.dev/demo:blue']);
      assert.equal(aliased.find(`${dead}/kuard:blue`)?.id, image.id);
      await rejectsWith(
        aliased.pull(`${dead}/kuard:red`),
        'Unreachable',
        /failed to resolve reference .*: failed to do request: .*connection refused/,
      );
    });

    it('does so within two seconds when the registry is silent', async () => {
      registry.hook = () => true;
      write(`${registry.host}/kuard:*`, 'unreachable');
      const start = Date.now();
      await aliased.pull(`${registry.host}/kuard:blue`);
      const first = Date.now() - start;
      assert.ok(first < 2000, `${first} ms`);
      await aliased.pull(`${registry.host}/kuard:blue`);
      assert.ok(Date.now() - start - first < 100, 'the verdict is remembered');
    }).timeout(5000);

    it('pulls the real image when the registry answers', async () => {
      write(`${registry.host}/*`, 'unreachable');
      const image = await aliased.pull(`${registry.host}/kuard:blue`);
      assert.ok(image.tags.includes(`${registry.host}/kuard:blue`));
    });

    it('does not ask the registry when the rule says always', async () => {
      write(`${registry.host}/*`, 'always');
      await aliased.pull(`${registry.host}/kuard:blue`);
      assert.deepEqual(registry.requests, []);
      assert.ok(aliased.find(`${registry.host}/kuard:blue`));
    });

    it('never asks a registry for built-in images', async () => {
      const name = 'keelson.dev/demo:nope';
      await rejectsWith(aliased.pull(name), 'NotFound', /keelson\.dev\/demo:nope: not found/);
      assert.ok(await aliased.pull('keelson.dev/demo:blue'));
    });
  });
});
