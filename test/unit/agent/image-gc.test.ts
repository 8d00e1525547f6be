import assert from 'node:assert/strict';
import { pino } from 'pino';
import { ImageGc, imageGcSettings } from '../../../src/agent/node/image-gc.js';
import type { Image, ImageStore } from '../../../src/runtime/types.js';
import { FakeClock, settled } from '../../fixtures/fake-clock.js';

const MINUTE = 60_000;

/** A disk of 1000 bytes with images of 100 each. */
function node(names: string[], other: number, flags = {}) {
  const clock = new FakeClock();
  const list = names.map((name) => ({ id: `sha256:${name}`, tags: [`x/${name}:1`], digests: [], size: 100 }));
  const used = new Set<string>();
  const events: string[] = [];
  const images = {
    list: () => list as unknown as Image[],
    remove: async (id: string) => {
      const at = list.findIndex((image) => image.id === id);
      if (at >= 0) list.splice(at, 1);
    },
  } as unknown as ImageStore;
  const gc = new ImageGc({
    ...{ images, clock, logger: pino({ level: 'silent' }) },
    settings: imageGcSettings(flags, (_option, text) => Number.parseFloat(text) * MINUTE),
    inUse: async () => used,
    disk: () => ({ capacity: 1000, available: 1000 - other - list.length * 100 }),
    dropBuildSteps: async () => undefined,
    changed: () => {},
    event: (reason, message) => events.push(`${reason}: ${message}`),
  });
  const left = () => list.map(({ tags }) => tags[0]!.slice(2, -2)).join('');
  return { gc, clock, used, events, left };
}

describe('the garbage collection of images', () => {
  it('begins at the high threshold, and takes the least recently used first', async () => {
    const { gc, clock, used, left } = node(['a', 'b', 'c', 'd'], 450);
    used.add('sha256:a').add('sha256:b');
    await settled();
    clock.advance(2 * MINUTE);
    used.delete('sha256:a');
    await gc.collect();
    // 850 of 1000 are used: 50 are to be won.
    assert.equal(left(), 'abd');
    gc.close();
  });

  it('leaves a disk below the threshold as it is, and images that have just come', async () => {
    const below = node(['a', 'b'], 640);
    await settled();
    below.clock.advance(10 * MINUTE);
    await settled();
    assert.equal(below.left(), 'ab');
    below.gc.close();
    const fresh = node(['a', 'b'], 700);
    await settled();
    fresh.clock.advance(MINUTE);
    await assert.rejects(fresh.gc.collect(), /only found 0 bytes eligible to free/);
    assert.equal(fresh.left(), 'ab');
    fresh.gc.close();
  });

  it('tells when it cannot win enough', async () => {
    const { gc, clock, used, events, left } = node(['a', 'b'], 750);
    used.add('sha256:a');
    await clock.pass(10 * MINUTE);
    await settled();
    assert.equal(left(), 'a');
    const short = (wanted: number, found: number) =>
      `Failed to garbage collect required amount of images. Attempted to free ${wanted} bytes, but only found ${found} bytes eligible to free.`;
    assert.deepEqual(events, [
      `FreeDiskSpaceFailed: ${short(150, 100)}`,
      `FreeDiskSpaceFailed: ${short(50, 0)}`,
      // The first failure is told by no event of its own.
      `ImageGCFailed: ${short(50, 0)}`,
    ]);
    gc.close();
  });

  it('takes images that nobody used for too long', async () => {
    const { gc, clock, used, left } = node(['a', 'b', 'c'], 0, { imageMaximumGcAge: '60' });
    used.add('sha256:b');
    await settled();
    clock.advance(61 * MINUTE);
    await gc.collect();
    assert.equal(left(), 'b');
    gc.close();
  });

  it('says which option is wrong', () => {
    const minutes = () => 0;
    assert.throws(() => imageGcSettings({ imageGcHighThreshold: 101 }, minutes), /--image-gc-high-threshold/);
    assert.throws(
      () => imageGcSettings({ imageGcLowThreshold: 85 }, minutes),
      /below --image-gc-high-threshold/,
    );
  });
});
