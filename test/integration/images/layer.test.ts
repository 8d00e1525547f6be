import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../../src/runtime/native.js';
import { run } from '../../fixtures/tools.js';
import { sh, temporaryFolder } from './fixture.js';

interface Entry {
  name: string;
  /** '0' file, '1' hard link, '2' symlink, '3' character device, '5' folder, 'x' PAX header … */
  type?: string;
  link?: string;
  content?: Buffer | string;
  mode?: number;
  major?: number;
  minor?: number;
  pax?: Record<string, string | Buffer>;
}

function block(entry: Entry, size: number): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(entry.name.slice(0, 100), 0);
  header.write(octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 7), 100);
  header.write(octal(0, 7) + octal(0, 7), 108);
  header.write(octal(size, 11) + octal(1_000_000_000, 11), 124);
  header.write(`        ${entry.type ?? '0'}${entry.link ?? ''}`, 148);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(octal(entry.major ?? 0, 7) + octal(entry.minor ?? 0, 7), 329);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function tar(entries: Entry[]): Buffer {
  const parts: Buffer[] = [];
  const add = (entry: Entry, content: Buffer) =>
    parts.push(block(entry, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512));
  for (const entry of entries) {
    if (entry.pax)
      add(
        { name: 'pax', type: 'x' },
        Buffer.concat(Object.entries(entry.pax).map(([key, value]) => record(key, value))),
      );
    add(entry, Buffer.from(entry.content ?? ''));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

describe('unpacking a layer', () => {
  let dir: string;
  let root: string;
  beforeEach(() => {
    dir = temporaryFolder('layer');
    root = join(dir, 'root');
    mkdirSync(root);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** In pieces of `step` bytes, so that every state meets a border. */
  async function unpack(stream: Buffer, step = stream.length, parents: string[] = []) {
    const unpacker = new native.LayerUnpacker(root, parents);
    for (let at = 0; at < stream.length; at += step) await unpacker.write(stream.subarray(at, at + step));
    return unpacker.close();
  }
  const isWhiteout = (path: string) =>
    lstatSync(join(root, path)).isCharacterDevice() && lstatSync(join(root, path)).rdev === 0;
  const isOpaque = async (path: string) =>
    (
      await run('python3', [
        '-c',
        `import os; print(os.getxattr(${JSON.stringify(join(root, path))}, "trusted.overlay.opaque"))`,
      ])
    ).stdout.trim() === "b'y'";

  for (const format of ['gnu', 'pax', 'ustar', 'v7'])
    it(`reads what GNU tar writes as ${format}`, async () => {
      const source = join(dir, 'source');
      await sh(
        'sh',
        '-ec',
        `mkdir -p ${source}/a/b; cd ${source}; echo hi > a/b/f; ln a/b/f a/hard; ln -s ../x a/soft
         ${format === 'v7' ? '' : 'mkfifo a/fifo;'} chmod 4711 a/b/f; touch -d 2001-02-03 a/b/f a/b`,
      );
      if (format === 'gnu' || format === 'pax') {
        const long = join(source, 'a', 'l'.repeat(150), 'm'.repeat(150));
        mkdirSync(long, { recursive: true });
        await sh('ln', '-s', 't'.repeat(200), join(long, 'link'));
      }
      await sh('tar', `--format=${format}`, '-C', source, '-cf', join(dir, 'tar'), '.');
      await unpack(readFileSync(join(dir, 'tar')), 777);
      // Only PAX keeps parts of a second.
      const time = format === 'pax' ? '%T@' : '%Ty%Tm%Td%TH%TM';
      const list = (folder: string) =>
        sh(
          'sh',
          '-c',
          `cd ${folder}; find . -printf '%p %y %m %U %G %l ${time} %n\\n' | sed '/^\\. /d' | sort`,
        );
      assert.equal(await list(root), await list(source));
      assert.equal(readFileSync(join(root, 'a/hard'), 'utf8'), 'hi\n');
    });

  for (const options of [
    ['gnu'],
    ['pax', '--sparse-version=0.0'],
    ['pax', '--sparse-version=0.1'],
    ['pax', '--sparse-version=1.0'],
  ])
    it(`keeps the holes of a sparse file (${options.join(' ')})`, async () => {
      const source = join(dir, 'sparse');
      // More pieces than fit into a header.
      await sh(
        'sh',
        '-ec',
        `truncate -s 40M ${source}; for i in 1 5 9 13 17 21 25 29; do echo piece $i | dd of=${source} bs=1M seek=$i conv=notrunc status=none; done`,
      );
      await sh(
        'tar',
        `--format=${options[0]}`,
        ...options.slice(1),
        '-S',
        '-C',
        dir,
        '-cf',
        join(dir, 'tar'),
        'sparse',
      );
      const stream = readFileSync(join(dir, 'tar'));
      assert.ok(stream.length < 200_000);
      await unpack(stream, 999);
      await sh('cmp', source, join(root, 'sparse'));
      assert.ok(statSync(join(root, 'sparse')).blocks * 512 < 1_000_000);
    });

  it('sets capabilities and attributes from PAX records, but none of overlayfs', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    await unpack(
      tar([
        {
          name: 'f',
          mode: 0o755,
          pax: {
            'SCHILY.xattr.security.capability': capability,
            'SCHILY.xattr.user.note': 'x=y\nz',
            'SCHILY.xattr.trusted.overlay.redirect': '/etc',
          },
        },
      ]),
    );
    const { stdout } = await run('python3', [
      '-c',
      `import os; p=${JSON.stringify(join(root, 'f'))}; print(os.getxattr(p, "security.capability").hex(), os.getxattr(p, "user.note"), os.listxattr(p))`,
    ]);
    assert.match(stdout, /^0100000200200000000000000000000000000000 b'x=y\\nz' /);
    assert.doesNotMatch(stdout, /overlay/);
  });

  it('turns whiteouts into what overlayfs knows', async () => {
    await unpack(
      tar([
        { name: 'a', type: '5' },
        { name: 'a/.wh.gone' },
        { name: 'a/.wh..wh..opq' },
        { name: 'a/.wh..wh.plnk' },
        { name: 'b/.wh.c' },
      ]),
    );
    assert.deepEqual(readdirSync(join(root, 'a')), ['gone']);
    assert.ok(isWhiteout('a/gone'));
    assert.ok(isWhiteout('b/c'));
    assert.ok(await isOpaque('a'));
    assert.ok(!(await isOpaque('b')));
  });

  it('hides only lower layers, whatever the order of entries', async () => {
    await unpack(
      tar([
        { name: 'file', content: 'kept' },
        { name: '.wh.file' },
        { name: '.wh.folder' },
        { name: 'folder', type: '5' },
        { name: 'folder/new' },
        { name: 'early', type: '5' },
        { name: 'early/new' },
        { name: '.wh.early' },
      ]),
    );
    assert.equal(readFileSync(join(root, 'file'), 'utf8'), 'kept');
    for (const folder of ['folder', 'early']) {
      assert.ok(await isOpaque(folder), folder);
      assert.deepEqual(readdirSync(join(root, folder)), ['new']);
    }
  });

  it('lets later entries replace earlier ones of another kind', async () => {
    await unpack(
      tar([
        { name: 'a', type: '5' },
        { name: 'a/deep', type: '5' },
        { name: 'a/deep/file' },
        { name: 'a', content: 'file' },
        { name: 'b', content: 'file' },
        { name: 'b', type: '5' },
        { name: 'b/c' },
        { name: 'd', type: '2', link: 'b' },
        { name: 'd', content: 'no longer a link' },
        { name: 'e', content: '1' },
        { name: 'f', type: '1', link: 'e' },
        { name: 'e', content: '2' },
      ]),
    );
    assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'file');
    assert.deepEqual(readdirSync(join(root, 'b')), ['c']);
    assert.equal(readFileSync(join(root, 'd'), 'utf8'), 'no longer a link');
    assert.equal(readFileSync(join(root, 'f'), 'utf8'), '1', 'the hard link keeps the content it had');
  });

  it('makes device nodes', async () => {
    await unpack(tar([{ name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 }]));
    const info = statSync(join(root, 'null'));
    assert.ok(info.isCharacterDevice());
    assert.equal(info.rdev, 0x103);
    assert.equal(info.mode & 0o7777, 0o666);
  });

  it('stays in its folder', async () => {
    const outside = join(dir, 'outside');
    mkdirSync(outside);
    for (const entries of [
      [{ name: '../outside/x' }],
      [{ name: `${outside}/x` }],
      [{ name: 'l', type: '2', link: outside }, { name: 'l/x' }],
      [{ name: 'l', type: '2', link: '../outside' }, { name: 'l/x' }],
      [{ name: 'l', type: '2', link: '../outside' }, { name: 'l/.wh.x' }],
      [
        { name: 'l', type: '2', link: outside },
        { name: 'h', type: '1', link: 'l/secret' },
      ],
      [{ name: 'h', type: '1', link: '../../../etc/passwd' }],
      [
        { name: 'l', type: '2', link: '/etc/passwd' },
        { name: 'l', content: 'x' },
      ],
    ])
      await unpack(tar(entries)).catch((error) => assert.match(error.code, /EBADMSG|EEXIST|ENOENT/));
    assert.deepEqual(readdirSync(outside), []);
    assert.match(readFileSync('/etc/passwd', 'utf8'), /^root:/);
    assert.equal(statSync('/etc/passwd').nlink, 1);
  });

  it('follows a symlink to a folder inside of the layer', async () => {
    await unpack(
      tar([
        { name: 'usr/lib', type: '5' },
        { name: 'lib', type: '2', link: '/usr/lib' },
        { name: 'lib/x', content: 'here' },
      ]),
    );
    assert.equal(readFileSync(join(root, 'usr/lib/x'), 'utf8'), 'here');
    assert.equal(readlinkSync(join(root, 'lib')), '/usr/lib');
  });

  for (const [what, stream, why] of [
    ['a wrong checksum', tar([{ name: 'a' }]).fill(1, 0, 4), /checksum/],
    [
      'an end in the middle of a file',
      tar([{ name: 'a', content: 'x'.repeat(5000) }]).subarray(0, 3000),
      /unexpected end in a/,
    ],
    ['an end in the middle of a header', tar([{ name: 'a' }]).subarray(0, 300), /unexpected end/],
    ['an unknown type', tar([{ name: 'a', type: 'V' }]), /unknown type V/],
    [
      'a hard link to nothing',
      tar([{ name: 'a', type: '1', link: 'b' }]),
      /hard link to b, which the layer lacks/,
    ],
    ['an entry below a file', tar([{ name: 'a' }, { name: 'a/b' }]), /below something that is no folder/],
    ['a broken PAX record', tar([{ name: 'p', type: 'x', content: '99 path=x\n' }]), /bad PAX record/],
    ['a hidden nothing', tar([{ name: '.wh.' }]), /hides nothing/],
  ] as const)
    it(`refuses ${what}`, async () => {
      await assert.rejects(unpack(Buffer.from(stream)), (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, 'EBADMSG');
        assert.match(error.message, why);
        return true;
      });
    });

  it('survives whatever comes', async () => {
    const stream = tar([
      { name: 'a', type: '5' },
      {
        name: 'a/f',
        content: 'x'.repeat(1500),
        pax: { mtime: '1.5', 'GNU.sparse.map': '0,10', 'GNU.sparse.size': '10' },
      },
      { name: 'a/.wh.x' },
      { name: 'l', type: '2', link: 'a' },
    ]);
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    for (let i = 0; i < 300; i++) {
      const broken = Buffer.from(stream);
      for (let n = 0; n < 4; n++) {
        const at = random(broken.length);
        broken[at] = random(256);
        // A header that holds again reaches the code behind it.
        const header = broken.subarray(at - (at % 512), at - (at % 512) + 512);
        header.write('        ', 148);
        header.write(
          `${header
            .reduce((sum, byte) => sum + byte, 0)
            .toString(8)
            .padStart(6, '0')}\0 `,
          148,
        );
      }
      await unpack(broken, 512 + random(512)).catch((error) => assert.ok(error.code, error));
    }
  });
});
