import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signalNumber } from '../../../src/runtime/runtime.js';
import { Tag } from '../../../src/runtime/shim/protocol.js';
import { Fields } from '../../../src/runtime/shim/wire.js';
import {
  ALL_CAPABILITIES,
  capabilitySet,
  containerCapabilities,
} from '../../../src/runtime/spec/capabilities.js';
import { containerMounts } from '../../../src/runtime/spec/mounts.js';
import { profileRules } from '../../../src/runtime/spec/seccomp.js';
import { processStartTime, SandboxState } from '../../../src/runtime/state.js';
import type { Mount } from '../../../src/runtime/types.js';

describe('capabilities', () => {
  const hex = (set: bigint) => set.toString(16);
  it('are numbered as the kernel does', () => {
    assert.equal(hex(capabilitySet(['CHOWN', 'CAP_SYS_ADMIN', 'checkpoint_restore'])), '10000200001');
    assert.equal(hex(ALL_CAPABILITIES), '1ffffffffff');
    assert.throws(() => capabilitySet(['FLY']), /unknown capability "FLY"/);
  });

  const cases: [add: string[], drop: string[], set: string][] = [
    [[], [], 'a80425fb'],
    [['NET_ADMIN'], ['CHOWN'], 'a80435fa'],
    [['ALL'], ['SYS_ADMIN'], '1ffffdfffff'],
    [['NET_BIND_SERVICE'], ['ALL'], '400'],
    [['ALL'], ['ALL'], '0'],
    [['CHOWN'], ['CHOWN'], 'a80425fa'],
  ];
  for (const [add, drop, set] of cases)
    it(`with ${add} and without ${drop} are ${set}`, () =>
      assert.equal(hex(containerCapabilities(add, drop)), set));
});

describe('mounts', () => {
  const targets = (mounts: Mount[]) =>
    containerMounts({ mounts, privileged: false, hostIpc: false, cgroups: [] }).map((m) =>
      new Fields(m.payload()).text(Tag.target),
    );
  const mount = (target: string): Mount => ({ source: '/s', target, readOnly: false });

  it('come parents first', () => {
    const list = targets([mount('/a/b/c'), mount('/a'), mount('/a/b')]);
    assert.deepEqual(list.slice(-3), ['/a', '/a/b', '/a/b/c']);
  });

  it('of the pod take the place of the standard ones', () => {
    const list = targets([mount('/dev/shm/')]);
    assert.equal(list.filter((t) => t === '/dev/shm').length, 1);
  });

  for (const target of ['relative', '/', '/a/../..'])
    it(`are not made at ${target}`, () => assert.throws(() => targets([mount(target)]), { code: 'Invalid' }));
});

describe('seccomp profiles', () => {
  it('become rules with the numbers of libseccomp', () => {
    const rules = new Fields(
      profileRules({
        defaultAction: 'SCMP_ACT_ERRNO',
        syscalls: [
          { names: ['a', 'b'], action: 'SCMP_ACT_ALLOW' },
          {
            name: 'c',
            action: 'SCMP_ACT_ERRNO',
            errnoRet: 38,
            args: [{ index: 1, value: 2, valueTwo: 3, op: 'SCMP_CMP_MASKED_EQ' }],
          },
        ],
      }).payload(),
    );
    assert.equal(rules.number(Tag.data), 0x00050001);
    const calls = rules.all(Tag.mount).map((bytes) => new Fields(bytes));
    assert.deepEqual(
      calls.map((c) => [c.text(Tag.source), c.number(Tag.mountFlags), c.all(Tag.data)[0]!.length]),
      [
        ['a', 0x7fff0000, 0],
        ['b', 0x7fff0000, 0],
        ['c', 0x00050026, 24],
      ],
    );
    assert.deepEqual([...calls[2]!.all(Tag.data)[0]!.subarray(0, 9)], [1, 0, 0, 0, 7, 0, 0, 0, 2]);
  });

  it('are refused with actions and operators that do not exist', () => {
    assert.throws(() => profileRules({ defaultAction: 'SCMP_ACT_NOTIFY' }), /unknown action SCMP_ACT_NOTIFY/);
    const args = [{ index: 0, value: 0, op: 'LIKE' }];
    assert.throws(
      () =>
        profileRules({
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ name: 'a', action: 'SCMP_ACT_LOG', args }],
        }),
      /unknown operator LIKE/,
    );
  });
});

describe('signals', () => {
  const cases: [name: string, number: number][] = [
    ['SIGTERM', 15],
    ['term', 15],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['RTMIN', 34],
  ];
  for (const [name, number] of cases)
    it(`${name} is ${number}`, () => assert.equal(signalNumber(name), number));
  for (const name of ['SIGNOPE', '0', '65', ''])
    it(`"${name}" is none`, () => assert.throws(() => signalNumber(name), { code: 'Invalid' }));
});

describe('state files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keelson-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('tell a live process from another with its id', () => {
    const state = new SandboxState(folder);
    assert.equal(state.liveShim(), 0);
    state.writeShim(process.pid);
    assert.equal(state.liveShim(), process.pid);
    assert.notEqual(processStartTime(process.pid), '');
    assert.equal(processStartTime(2 ** 22 + 1), '');
  });

  it('keep how a container ended', () => {
    const state = new SandboxState(folder);
    state.create({ config: {} as never, createdAt: 1 });
    const exit = { exitCode: 137, signal: 9, finishedAt: 1_700_000_000_000, oomKilled: true };
    assert.equal(state.readExit('c'), undefined);
    state.writeExit('c', exit);
    assert.deepEqual(state.readExit('c'), exit);
    state.removeContainer('c');
    assert.equal(state.readExit('c'), undefined);
  });
});
