import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fields, FieldWriter, FrameReader, frameHead } from '../../../src/runtime/shim/wire.js';

describe('shim protocol codec', () => {
  const frame = new FieldWriter()
    .text(1, 'pod')
    .number(2, 42)
    .number(3, -998)
    .texts(4, ['a', 'ä b', ''])
    .nested(5, new FieldWriter().text(1, 'inner'))
    .frame(3, 7);

  it('gives back what was written', () => {
    const [read] = new FrameReader().push(frame);
    assert.equal(read!.type, 3);
    assert.equal(read!.request, 7);
    const fields = new Fields(read!.payload);
    assert.equal(fields.text(1), 'pod');
    assert.equal(fields.number(2), 42);
    assert.equal(fields.number(3), -998);
    assert.deepEqual(
      fields.all(4).map((b) => b.toString()),
      ['a\0', 'ä b\0', '\0'],
    );
    assert.equal(new Fields(fields.all(5)[0]!).text(1), 'inner');
    assert.equal(fields.text(99), '');
    assert.equal(fields.number(99), 0);
  });

  it('finds frames however the stream is cut', () => {
    const stream = Buffer.concat([frame, frame, frameHead(17, 0, 0), frame]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (sizes) => {
        const reader = new FrameReader();
        const types: number[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = sizes[i % sizes.length]!;
          for (const { type } of reader.push(stream.subarray(at, at + size))) types.push(type);
          at += size;
        }
        assert.deepEqual(types, [3, 3, 17, 3]);
      }),
    );
  });

  const broken: [what: string, bytes: number[]][] = [
    ['a length below the header', [4, 0, 0, 0, 1, 0, 0, 0, 0]],
    ['a length beyond the limit', [1, 0, 64, 0, 1, 0, 0, 0, 0]],
  ];
  for (const [what, bytes] of broken)
    it(`refuses ${what}`, () => assert.throws(() => new FrameReader().push(Buffer.from(bytes)), RangeError));

  it('refuses cut fields', () => {
    assert.throws(() => new Fields(Buffer.from([1, 5, 0, 0, 0, 65])), /cut field/);
    assert.throws(() => new Fields(Buffer.from([1, 5])), /cut field/);
  });

  it('refuses NUL inside of a string', () => {
    assert.throws(() => new FieldWriter().text(1, 'a\0b'), RangeError);
  });
});
