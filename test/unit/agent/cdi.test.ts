import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cdiEdits } from '../../../src/agent/cdi/registry.js';

describe('CDI devices', () => {
  let dir: string;
  let dirs: string[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-cdi-'));
    dirs = [join(dir, 'etc'), join(dir, 'run')];
    for (const one of dirs) mkdirSync(one);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const file = (where: 'etc' | 'run', name: string, spec: object) =>
    writeFileSync(
      join(dir, where, name),
      JSON.stringify({ cdiVersion: '0.6.0', kind: 'v.test/gpu', devices: [], ...spec }),
    );
  const device = (name: string, containerEdits: object) => ({ devices: [{ name, containerEdits }] });
  const edits = (...names: string[]) => cdiEdits(names, dirs);

  it('change the container as their files say, what is common once', async () => {
    writeFileSync(
      join(dir, 'etc/gpu.yaml'),
      `cdiVersion: 0.5.0
kind: v.test/gpu
containerEdits:
  env: [COMMON=1]
devices:
- name: a
  containerEdits:
    env: [A=1]
    deviceNodes:
    - { path: /dev/gpu0, permissions: rw }
    - { path: /dev/ctl, hostPath: /dev/host-ctl }
    mounts:
    - { hostPath: /usr/lib/gpu, containerPath: /lib/gpu, options: [ro, nosuid, rbind] }
    additionalGids: [44]
- name: b
  containerEdits: { env: [B=1] }
`,
    );
    assert.deepEqual(await edits('v.test/gpu=a', 'v.test/gpu=b', 'v.test/gpu=a'), {
      env: ['COMMON=1', 'A=1', 'B=1'],
      mounts: [{ source: '/usr/lib/gpu', target: '/lib/gpu', readOnly: true }],
      devices: [
        { source: '/dev/gpu0', target: '/dev/gpu0', access: 'rw' },
        { source: '/dev/host-ctl', target: '/dev/ctl', access: 'rwm' },
      ],
      groups: [44],
    });
  });

  it('are those of the later folder', async () => {
    file('etc', 'a.json', device('a', { env: ['FROM=etc'] }));
    file('run', 'a.json', device('a', { env: ['FROM=run'] }));
    assert.deepEqual((await edits('v.test/gpu=a')).env, ['FROM=run']);
  });

  for (const [what, prepare, why] of [
    ['what is nowhere', () => {}, /unresolvable CDI devices v\.test\/gpu=a$/],
    [
      'what two files define',
      () => {
        file('run', 'a.json', device('a', {}));
        file('run', 'b.json', device('a', {}));
      },
      /unresolvable CDI devices v\.test\/gpu=a$/,
    ],
    [
      'hooks',
      () => file('run', 'a.json', device('a', { hooks: [{ hookName: 'createRuntime', path: '/bin/x' }] })),
      /v\.test\/gpu=a: createRuntime hooks are not supported$/,
    ],
    [
      'mounts of other types',
      () =>
        file(
          'run',
          'a.json',
          device('a', { mounts: [{ hostPath: 'x', containerPath: '/x', type: 'tmpfs' }] }),
        ),
      /mounts of type tmpfs are not supported$/,
    ],
    [
      'paths that are none',
      () => file('run', 'a.json', device('a', { deviceNodes: [{ path: '../dev/x' }] })),
      /"\.\.\/dev\/x" is no absolute path$/,
    ],
  ] as const)
    it(`refuse ${what}`, async () => {
      writeFileSync(join(dir, 'etc/broken.json'), '{');
      prepare();
      await assert.rejects(edits('v.test/gpu=a'), (error: Error) => {
        assert.match(error.message, /^CDI device injection failed: /);
        assert.match(error.message, why);
        return true;
      });
    });
});
