import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { readLog } from '../../../src/agent/logs/reader.js';
import { LogRotation, removeLog } from '../../../src/agent/logs/rotation.js';
import type { Runtime } from '../../../src/runtime/types.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

const line = (text: string) => `2026-01-01T00:00:00.000000000Z stdout F ${text}\n`;

describe('LogRotation', () => {
  let dir: string;
  let path: string;
  let state: string;
  let failure: Error | undefined;
  let clock: FakeClock;
  let rotation: LogRotation;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'keelson-test-'));
    path = join(dir, '0.log');
    state = 'running';
    failure = undefined;
    clock = new FakeClock();
    const runtime = {
      sandboxes: () => [{ containers: [{ id: 'c', state, logPath: path }] }],
      reopenLog: async () => {
        if (failure) throw failure;
        await writeFile(path, '');
      },
    } as unknown as Runtime;
    rotation = new LogRotation({
      ...{ runtime, clock, logger: pino({ level: 'silent' }) },
      ...{ maxBytes: 100, maxFiles: 3 },
    });
  });
  afterEach(async () => {
    rotation.close();
    await rm(dir, { recursive: true });
  });

  /** Writes a log that is too large, and lets a look at it pass. */
  async function grow(text: string): Promise<void> {
    await writeFile(path, line(text) + line('x'.repeat(100)));
    await rotation.rotate();
    await clock.advance(1000);
  }
  const all = async (tailLines?: number) => {
    const chunks: Buffer[] = [];
    const options = { follow: false, timestamps: false, ...(tailLines ? { tailLines } : {}) };
    const over = { isOver: () => true, onOver: () => () => {} };
    for await (const chunk of readLog(path, options, over, new AbortController().signal)) chunks.push(chunk);
    return Buffer.concat(chunks)
      .toString()
      .split('\n')
      .filter((text) => text && !text.startsWith('x'));
  };

  it('leaves a small log alone', async () => {
    await writeFile(path, line('small'));
    await rotation.rotate();
    assert.deepEqual(await readdir(dir), ['0.log']);
  });

  it('leaves the log of what has ended alone', async () => {
    state = 'exited';
    await grow('over');
    assert.deepEqual(await readdir(dir), ['0.log']);
  });

  it('keeps as many files as it may, which are read as one log', async () => {
    for (const text of ['one', 'two', 'three']) await grow(text);
    await writeFile(path, line('four') + line('five'));
    assert.equal((await readdir(dir)).length, 3);
    assert.deepEqual(await all(), ['two', 'three', 'four', 'five']);
    assert.deepEqual(await all(1), ['five']);
    assert.deepEqual(await all(4), ['three', 'four', 'five']);
    assert.deepEqual(await all(5), ['three', 'four', 'five']);
    assert.deepEqual(await all(6), ['two', 'three', 'four', 'five']);
  });

  it('puts the file back when the container cannot be told', async () => {
    failure = new Error('gone');
    await grow('kept');
    assert.deepEqual(await readdir(dir), ['0.log']);
    assert.match(await readFile(path, 'utf8'), /kept/);
  });

  it('removes all files of a log, and no others', async () => {
    await grow('one');
    await writeFile(join(dir, '1.log'), '');
    await writeFile(join(dir, '.hidden'), '');
    await removeLog(path);
    await removeLog('');
    assert.deepEqual((await readdir(dir)).sort(), ['.hidden', '1.log']);
  });
});
