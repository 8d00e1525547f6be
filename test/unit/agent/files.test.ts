/** What the agent reads and writes: config volumes, hostPath checks, log files. */
import assert from 'node:assert/strict';
import {
  appendFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { LineFormatter } from '../../../src/agent/logs/cri-lines.js';
import { type LogOptions, type LogSource, readLog } from '../../../src/agent/logs/reader.js';
import { logTail } from '../../../src/agent/logs/tail.js';
import { writePayload } from '../../../src/agent/volumes/atomic-writer.js';
import { hostPath } from '../../../src/agent/volumes/host-path.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'keelson-test-agent-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const files = (entries: Record<string, string>, mode = 0o644) =>
  new Map(Object.entries(entries).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));

describe('writePayload', () => {
  it('shows files through ..data, with their modes', async () => {
    await writePayload(dir, files({ a: '1', 'sub/b': '2' }, 0o400));
    assert.equal(await readlink(join(dir, 'a')), '..data/a');
    assert.equal(await readlink(join(dir, 'sub')), '..data/sub');
    assert.equal(await readFile(join(dir, 'sub/b'), 'utf8'), '2');
    assert.equal((await stat(join(dir, 'a'))).mode & 0o777, 0o400);
    assert.match(await readlink(join(dir, '..data')), /^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\./);
  });

  it('exchanges all files at once, and leaves nothing behind', async () => {
    await writePayload(dir, files({ a: '1', gone: 'x' }));
    const old = await readlink(join(dir, '..data'));
    assert.equal(await writePayload(dir, files({ a: '2', fresh: 'y' })), true);
    assert.notEqual(await readlink(join(dir, '..data')), old);
    const names = (await readdir(dir)).filter((name) => !/^\.\.\d/.test(name));
    assert.deepEqual(names.sort(), ['..data', 'a', 'fresh']);
    assert.equal((await readdir(dir)).length, 4);
    assert.equal(await readFile(join(dir, 'a'), 'utf8'), '2');
  });

  it('makes the links that one who was killed did not come to', async () => {
    await writePayload(dir, files({ a: '1', 'sub/b': '2' }));
    await rm(join(dir, 'sub'));
    assert.equal(await writePayload(dir, files({ a: '1', 'sub/b': '2' })), false);
    assert.equal(await readFile(join(dir, 'sub/b'), 'utf8'), '2');
  });

  it('does not touch what is as it should be', async () => {
    await writePayload(dir, files({ a: '1' }));
    const before = await readlink(join(dir, '..data'));
    assert.equal(await writePayload(dir, files({ a: '1' })), false);
    assert.equal(await readlink(join(dir, '..data')), before);
  });

  for (const path of ['../x', '/x', 'a/../../x', '..data'])
    it(`refuses the path ${path}`, () =>
      assert.rejects(writePayload(dir, files({ [path]: '' })), /invalid path/));
});

describe('hostPath', () => {
  const refused: [string, string, string][] = [
    ['file', 'Directory', 'is not a directory'],
    ['dir', 'File', 'is not a file'],
    ['none', 'Directory', 'is not a directory'],
    ['file', 'Socket', 'is not a socket file'],
    ['file', 'DirectoryOrCreate', 'is not a directory'],
  ];
  for (const [name, type, message] of refused)
    it(`${type} on ${name} is refused`, async () => {
      await writeFile(join(dir, 'file'), '');
      await mkdir(join(dir, 'dir'));
      await assert.rejects(
        hostPath(join(dir, name), type),
        new RegExp(`hostPath type check failed: .*${message}`),
      );
    });

  it('makes what may be made', async () => {
    await hostPath(join(dir, 'a/b'), 'DirectoryOrCreate');
    await hostPath(join(dir, 'c/d'), 'FileOrCreate');
    assert.ok((await lstat(join(dir, 'a/b'))).isDirectory());
    assert.ok((await lstat(join(dir, 'c/d'))).isFile());
  });
});

const line = (i: number, text: string, stream = 'stdout', tag = 'F') =>
  `2026-01-01T00:00:${String(i).padStart(2, '0')}.000000000Z ${stream} ${tag} ${text}\n`;

const over: LogSource = { isOver: () => true, onOver: () => () => {} };

describe('readLog', () => {
  const log = [
    line(1, 'one'),
    line(2, 'two', 'stderr'),
    line(3, 'thr', 'stdout', 'P'),
    line(3, 'ee', 'stdout', 'F'),
    line(4, ''),
    line(5, 'five ü'),
  ].join('');

  async function read(options: Partial<LogOptions>, text = log): Promise<string> {
    await writeFile(join(dir, 'log'), text);
    const all: LogOptions = { follow: false, timestamps: false, ...options };
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(join(dir, 'log'), all, over, new AbortController().signal))
      chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  const cases: [string, Partial<LogOptions>, string][] = [
    ['everything, partial lines joined', {}, 'one\ntwo\nthree\n\nfive ü\n'],
    ['one stream', { stream: 'stderr' }, 'two\n'],
    ['since', { since: Date.UTC(2026, 0, 1, 0, 0, 4) }, '\nfive ü\n'],
    ['since then nothing', { since: Date.UTC(2027, 0, 1) }, ''],
    ['limit', { limitBytes: 6 }, 'one\ntw'],
    ['the last two', { tailLines: 2 }, '\nfive ü\n'],
    ['the last none', { tailLines: 0 }, ''],
    ['more than there are', { tailLines: 100 }, 'one\ntwo\nthree\n\nfive ü\n'],
    ['times', { tailLines: 1, timestamps: true }, '2026-01-01T00:00:05.000000000Z five ü\n'],
  ];
  for (const [what, options, expected] of cases)
    it(what, async () => assert.equal(await read(options), expected));

  it('finds the tail of a log of many chunks', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => line(i % 60, `line ${i}`)).join('');
    const text = await read({ tailLines: 3000 }, many);
    assert.deepEqual([text.split('\n').length - 1, text.split('\n')[0]], [3000, 'line 17000']);
  });

  it('leaves out the line that is being written', async () =>
    assert.equal(await read({}, `${line(1, 'a')}2026-`), 'a\n'));

  it('follows what is appended, and ends with the last line when its container ends', async () => {
    const path = join(dir, 'log');
    await writeFile(path, line(1, 'one'));
    let ended = false;
    let tell = () => {};
    const source: LogSource = {
      isOver: () => ended,
      onOver: (listener) => {
        tell = listener;
        return () => {};
      },
    };
    const options = { follow: true, timestamps: false };
    const log = readLog(path, options, source, new AbortController().signal);
    const next = async () => String((await log.next()).value);
    assert.equal(await next(), 'one\n');
    const second = next();
    await appendFile(path, line(2, 'two'));
    assert.equal(await second, 'two\n');
    await appendFile(path, line(3, 'three'));
    ended = true;
    tell();
    assert.equal(await next(), 'three\n');
    assert.equal((await log.next()).done, true);
  });

  it('ends a follow that nobody wants any more', async () => {
    await writeFile(join(dir, 'log'), '');
    const abort = new AbortController();
    const source = { isOver: () => false, onOver: () => () => {} };
    const next = readLog(join(dir, 'log'), { follow: true, timestamps: false }, source, abort.signal).next();
    setTimeout(() => abort.abort(), 20);
    assert.equal((await next).done, true);
  });
});

describe('LineFormatter', () => {
  it('gives the same for any division into chunks', () => {
    const text = Buffer.from([line(1, 'one'), line(2, 'zwei ü'), line(3, 'x'.repeat(50))].join(''));
    const whole = new LineFormatter({ timestamps: true }).push(text).toString();
    for (let size = 1; size < 40; size++) {
      const formatter = new LineFormatter({ timestamps: true });
      const parts: Buffer[] = [];
      for (let i = 0; i < text.length; i += size) parts.push(formatter.push(text.subarray(i, i + size)));
      assert.equal(Buffer.concat(parts).toString(), whole, `chunks of ${size}`);
    }
  });
});

describe('logTail', () => {
  it('gives the last lines within the bytes, and nothing of a log that is not there', async () => {
    const path = join(dir, 'log');
    await writeFile(path, Array.from({ length: 200 }, (_, i) => line(i % 60, `line ${i}`)).join(''));
    const tail = logTail(path, 80, 2048).split('\n');
    assert.deepEqual([tail.length - 1, tail[0]], [80, 'line 120']);
    assert.equal(Buffer.byteLength(logTail(path, 80, 100)), 100);
    assert.equal(logTail(join(dir, 'none'), 80, 2048), '');
  });
});
