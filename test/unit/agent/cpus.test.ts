import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Container } from '#types';
import { formatCpus, parseCpus } from '../../../src/agent/node/cpu/cpu-set.js';
import { CpuManager } from '../../../src/agent/node/cpu/manager.js';
import { type Cpu, takeCpus } from '../../../src/agent/node/cpu/topology.js';
import { nodeSettings } from '../../../src/agent/node/settings.js';
import { makePod } from './fakes.js';

/** Two sockets of two cores of two threads: threads of one core are n and n + 4, as the kernel counts. */
const TOPOLOGY: Cpu[] = Array.from({ length: 8 }, (_, id) => {
  const socket = `${Math.floor((id % 4) / 2)}`;
  return { id, socket, core: `${socket} ${id % 4}` };
});

describe('sets of CPUs', () => {
  for (const [text, cpus] of [
    ['', []],
    ['3', [3]],
    ['0-2,5', [0, 1, 2, 5]],
    ['7,1-2', [1, 2, 7]],
  ] as const)
    it(`reads "${text}"`, () => assert.deepEqual(parseCpus(text), cpus));

  it('writes them in ranges', () => assert.equal(formatCpus([5, 0, 1, 2, 7, 6]), '0-2,5-7'));
  for (const text of ['a', '3-1', '1-'])
    it(`refuses "${text}"`, () => assert.throws(() => parseCpus(text), /is not a list of CPUs/));

  const all = new Set(TOPOLOGY.map(({ id }) => id));
  for (const [title, free, count, taken] of [
    ['whole sockets', all, 4, [0, 1, 4, 5]],
    ['whole cores', all, 2, [0, 4]],
    ['cores that are whole still', new Set([1, 2, 3, 4, 5]), 2, [1, 5]],
    ['what is left', new Set([0, 1]), 2, [0, 1]],
  ] as const)
    it(`takes ${title}`, () => assert.deepEqual(takeCpus(TOPOLOGY, free, count), taken));
});

describe('the CPU manager', () => {
  let dir: string;
  let updates: [string, string | undefined][];
  const running: { uid: string; name: string; cpus: string }[] = [];
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-cpus-'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(() => {
    updates = [];
    running.length = 0;
    rmSync(join(dir, 'state'), { force: true });
  });

  const open = (policy: 'none' | 'static' = 'static') =>
    new CpuManager({
      settings: { policy, reserved: policy === 'static' ? [0] : [] },
      ...{ topology: TOPOLOGY, file: join(dir, 'state'), logger: pino({ level: 'silent' }) },
      runtime: {
        sandboxes: () =>
          running.map(({ uid, name }) => ({
            id: uid,
            containers: [{ id: `${uid}/${name}`, name, state: 'running' }],
          })),
        containerConfig: (id: string) => ({
          limits: { cpus: running.find((c) => `${c.uid}/${c.name}` === id)!.cpus },
        }),
        updateLimits: async (id: string, { cpus }: { cpus?: string }) => void updates.push([id, cpus]),
      } as never,
    });
  const container = (name: string, cpu: string): Container => ({
    ...{ name, image: 'demo:1' },
    resources: { limits: { cpu, memory: '1Mi' }, requests: { cpu, memory: '1Mi' } },
  });
  const pod = (uid: string, containers: Container[], initContainers: Container[] = []) =>
    makePod({ containers, initContainers }, { uid });

  it('gives whole CPUs alone, and what is left to all others, who follow', async () => {
    const cpus = open();
    running.push({ uid: 'other', name: 'o', cpus: '0-7' });
    assert.equal(cpus.of('other', 'o'), '0-7');
    cpus.allocate(pod('a', [container('one', '2'), container('two', '1500m')]));
    assert.equal(cpus.of('a', 'one'), '1,5');
    assert.equal(cpus.of('a', 'two'), '0,2-4,6-7');
    assert.deepEqual(
      [cpus.hasOwn('a'), cpus.hasOwn('a', 'one'), cpus.hasOwn('a', 'two')],
      [true, true, false],
    );
    assert.equal(cpus.hasOwn('other'), false);
    await new Promise(setImmediate);
    assert.deepEqual(updates, [['other/o', '0,2-4,6-7']]);
    // Once more changes nothing.
    cpus.allocate(pod('a', [container('one', '2')]));
    cpus.release('a');
    assert.equal(cpus.of('a', 'one'), '0-7');
  });

  it('gives the CPUs of init containers to those that come after', () => {
    const cpus = open();
    const sidecar = { ...container('sidecar', '1'), restartPolicy: 'Always' };
    cpus.allocate(pod('a', [container('main', '4')], [container('init', '4'), sidecar]));
    const of = (name: string) => parseCpus(cpus.of('a', name)!);
    assert.equal(of('init').length, 4);
    assert.equal(of('main').length, 4);
    assert.ok(!of('main').some((id) => of('sidecar').includes(id)));
  });

  it('refuses what it can not give, in the words of upstream', () => {
    const cpus = open();
    assert.throws(() => cpus.allocate(pod('a', [container('main', '8')])), {
      reason: 'UnexpectedAdmissionError',
      message:
        'Allocate failed due to not enough cpus available to satisfy request: requested=8, available=7, which is unexpected',
    });
    assert.equal(cpus.of('a', 'main'), '0-7');
  });

  it('knows after a restart who has what, and forgets pods that are gone', () => {
    open().allocate(pod('a', [container('main', '2')]));
    const next = open();
    assert.equal(next.of('a', 'main'), '1,5');
    next.retain(new Set(['b']));
    assert.equal(next.of('a', 'main'), '0-7');
    writeFileSync(join(dir, 'state'), '{"entries"');
    assert.equal(open().of('a', 'main'), '0-7');
  });

  it('leaves everything to the kernel without the policy', () => {
    const cpus = open('none');
    cpus.allocate(pod('a', [container('main', '2')]));
    assert.equal(cpus.of('a', 'main'), undefined);
  });

  for (const [flags, expected] of [
    [{}, { policy: 'none', reserved: [] }],
    [{ cpuManagerPolicy: 'static' }, { policy: 'static', reserved: [0] }],
    [
      { cpuManagerPolicy: 'static', systemReserved: 'cpu=1500m' },
      { policy: 'static', reserved: [0, 1] },
    ],
    [
      { cpuManagerPolicy: 'static', reservedCpus: '2,4' },
      { policy: 'static', reserved: [2, 4] },
    ],
  ] as const)
    it(`takes ${JSON.stringify(flags)}`, () => assert.deepEqual(nodeSettings(flags).cpus, expected));
  for (const [flags, says] of [
    [{ cpuManagerPolicy: 'some' }, /--cpu-manager-policy is "none" or "static"/],
    [{ cpuManagerPolicy: 'static', reservedCpus: 'x' }, /--reserved-cpus: "x" is not a list of CPUs/],
    [{ cpuManagerPolicy: 'static', kubeReserved: 'memory=1Mi' }, /the static policy requires/],
  ] as const)
    it(`refuses ${JSON.stringify(flags)}`, () => assert.throws(() => nodeSettings(flags), says));
});
