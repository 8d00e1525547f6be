/** Volumes that need mounts: memory, parts of volumes, and their end. Needs root. */
import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Pod, Secret, Volume } from '#types';

import { mountSubPath } from '../../../src/agent/volumes/sub-path.js';
import { PodVolumes, type VolumeSources } from '../../../src/agent/volumes/volumes.js';
import { removeTree } from '../../../src/runtime/mount-points.js';

const TMPFS = 0x01021994;

describe('volumes', () => {
  let dir: string;
  let password: string;
  let volumes: PodVolumes;
  const sources = {
    node: { name: 'n', ip: '', allocatable: {} },
    podIP: '',
    configMap: () => undefined,
    secret: () => ({ data: { password: Buffer.from(password).toString('base64') } }) as unknown as Secret,
    token: async () => 'token',
    csi: { tearDown: async () => {} },
  } as unknown as VolumeSources;
  const pod = (volume: object, securityContext: object = {}) =>
    ({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', uid: 'u' } },
      spec: { containers: [{ name: 'c' }], volumes: [{ name: 'v', ...volume } as Volume], securityContext },
    }) as Pod;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'keelson-test-volumes-'));
    password = 'first';
    volumes = new PodVolumes(join(dir, 'pod'), sources);
  });
  afterEach(() => removeTree(dir));

  async function setUp(volume: object, securityContext: object = {}): Promise<string> {
    await volumes.setUp(pod(volume, securityContext));
    return volumes.paths.get('v')!;
  }

  it('keeps what is secret in memory, and changes it at once', async () => {
    const path = await setUp({ secret: { secretName: 's', defaultMode: 0o400 } });
    assert.equal((await statfs(path)).type, TMPFS);
    assert.equal(await readFile(join(path, 'password'), 'utf8'), 'first');
    assert.equal((await stat(join(path, 'password'))).mode & 0o777, 0o400);
    password = 'second';
    await volumes.refresh(pod({ secret: { secretName: 's' } }));
    assert.equal(await readFile(join(path, 'password'), 'utf8'), 'second');
  });

  it('gives memory of the size that is asked for, and what was written stays when set up again', async () => {
    const volume = { emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } };
    const path = await setUp(volume);
    const { type, blocks, bsize } = await statfs(path);
    assert.deepEqual([type, blocks * bsize], [TMPFS, 1 << 20]);
    await writeFile(join(path, 'f'), 'x');
    await setUp(volume);
    assert.equal(await readFile(join(path, 'f'), 'utf8'), 'x');
  });

  it('lets everybody write to an emptyDir, and gives it to fsGroup', async () => {
    assert.equal((await stat(await setUp({ emptyDir: {} }))).mode & 0o7777, 0o777);
    const { mode, gid } = await stat(await setUp({ emptyDir: {} }, { fsGroup: 1234 }));
    assert.deepEqual([mode & 0o7777, gid], [0o2777, 1234]);
  });

  it('lets fsGroup and the one user read what is projected', async () => {
    const own = async (volume: object, file: string, security: object) => {
      await volumes.tearDown();
      const { mode, uid, gid } = await stat(join(await setUp(volume, security), file));
      return [(mode & 0o777).toString(8), uid, gid];
    };
    const secret = { secret: { secretName: 's', defaultMode: 0o400 } };
    assert.deepEqual(await own(secret, 'password', { fsGroup: 1234 }), ['440', 0, 1234]);
    const within = { secret: { secretName: 's', items: [{ key: 'password', path: 'a/b' }] } };
    assert.deepEqual(await own(within, 'a', { fsGroup: 1234 }), ['755', 0, 1234]);
    const token = { projected: { sources: [{ serviceAccountToken: { path: 't' } }] } };
    assert.deepEqual(await own(token, 't', {}), ['644', 0, 0]);
    assert.deepEqual(await own(token, 't', { fsGroup: 1234 }), ['640', 0, 1234]);
    assert.deepEqual(await own(token, 't', { runAsUser: 1000 }), ['600', 1000, 0]);
    assert.deepEqual(await own(token, 't', { runAsUser: 1000, fsGroup: 1234 }), ['640', 1000, 1234]);
  });

  it('takes everything down, and nothing of the host', async () => {
    const host = join(dir, 'host');
    await mkdir(host);
    await writeFile(join(host, 'keep'), '');
    await setUp({ secret: { secretName: 's' } });
    await mountSubPath(host, '', join(dir, 'pod/mounted'));
    await volumes.tearDown();
    assert.deepEqual(await readdir(host), ['keep']);
    assert.deepEqual(await readdir(dir), ['host']);
  });

  it('says what it cannot do', async () => {
    await assert.rejects(
      setUp({ nfs: { server: 'x', path: '/' } }),
      /MountVolume.SetUp failed for volume "v" : .*nfs/,
    );
  });

  describe('subPath', () => {
    let volume: string;
    let target: string;
    beforeEach(async () => {
      volume = join(dir, 'volume');
      target = join(dir, 'pod/target');
      await mkdir(join(volume, 'sub'), { recursive: true });
      await writeFile(join(volume, 'sub/file'), 'inside');
      await writeFile(join(dir, 'secret'), 'outside');
    });

    it('mounts a folder or a file', async () => {
      await mountSubPath(volume, 'sub', target);
      assert.equal(await readFile(join(target, 'file'), 'utf8'), 'inside');
      await mountSubPath(volume, 'sub/file', join(dir, 'pod/other'));
      assert.equal(await readFile(join(dir, 'pod/other'), 'utf8'), 'inside');
    });

    it('makes a folder where there is nothing, as open as the volume', async () => {
      await chmod(volume, 0o777);
      await mountSubPath(volume, 'a/b', target);
      for (const made of ['a', 'a/b']) assert.equal((await stat(join(volume, made))).mode, 0o40777);
    });

    for (const [path, message] of [
      ['/abs', /^Error: error SubPath `\/abs` must not be an absolute path$/],
      ['a/../../b', /^Error: unable to provision SubPath `a\/..\/..\/b`: must not contain '..'$/],
    ] as const)
      it(`refuses ${path}`, () => assert.rejects(mountSubPath(volume, path, target), message));

    it('follows links within the volume', async () => {
      await symlink('sub', join(volume, 'link'));
      await mountSubPath(volume, 'link', target);
      assert.equal(await readFile(join(target, 'file'), 'utf8'), 'inside');
    });

    for (const [what, link, subPath] of [
      ['a link that leads out', '../secret', 'bad'],
      ['a link to an absolute path', '/etc', 'bad'],
      ['a link on the way', '..', 'bad/secret'],
      ['a dangling link', '../nowhere', 'bad/x'],
    ] as const)
      it(`refuses ${what}`, async () => {
        await symlink(link, join(volume, 'bad'));
        await assert.rejects(mountSubPath(volume, subPath, target), /leads out|a link is in the way/);
        await rm(join(volume, 'bad'));
      });

    it('refuses to climb', async () => {
      await assert.rejects(mountSubPath(volume, '../secret', target), /must not contain/);
    });
  });
});
