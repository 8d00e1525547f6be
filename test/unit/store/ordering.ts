/** The property that holds it all together: whoever looks, from wherever, sees the same history. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ConflictError, type Store, type StoreEvent, type Write } from '../../../src/store/store.js';
import type { Place } from './suite.js';

interface Step {
  writes: { key: string; delete: boolean; expect: 'any' | 'absent' | 'seen' }[];
  /** Whether the next step waits for this one. */
  wait: boolean;
  /** Whether a watcher starts here, and how far back. */
  watch: number | undefined;
  prefix: string;
}

const KEYS = ['core/pods/a/x', 'core/pods/a/y', 'core/pods/b/x', 'apps/deployments/a/x'];
const PREFIXES = ['', 'core/', 'core/pods/', 'core/pods/a/', 'apps/deployments/'];

const step: fc.Arbitrary<Step> = fc.record({
  writes: fc.uniqueArray(
    fc.record({
      key: fc.constantFrom(...KEYS),
      delete: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
      expect: fc.constantFrom('any' as const, 'absent' as const, 'seen' as const),
    }),
    { minLength: 1, maxLength: 3, selector: (write) => write.key },
  ),
  wait: fc.boolean(),
  watch: fc.option(fc.nat({ max: 10 }), { nil: undefined }),
  prefix: fc.constantFrom(...PREFIXES),
});

/** One event as text: enough to tell any two apart. */
const line = ({ type, revision, stored, previous }: StoreEvent) =>
  `${revision} ${type} ${stored.key} ${stored.json} after ${previous?.revision}`;

type State = Map<string, number>;

export function orderingProperty(open: () => Promise<Place>): void {
  describe('ordering', () => {
    it('every watcher from any revision sees the history, and every list is its replay', async function () {
      this.timeout(60_000);
      const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const place = await open();
        try {
          const run = new Run(place.store);
          await run.all(steps);
          await run.check(place.store);
          await run.check(await place.reopen());
        } finally {
          await place.remove();
        }
      });
      await fc.assert(property, { numRuns: 40 });
    });
  });
}

class Run {
  readonly start: number;
  readonly watchers: { prefix: string; from: number; seen: Promise<StoreEvent[]>; stop: AbortController }[] =
    [];
  readonly outcomes: { writes: Write[]; revision: number | undefined; lost: ConflictError | undefined }[] =
    [];

  constructor(readonly store: Store) {
    this.start = store.revision;
  }

  async all(steps: Step[]): Promise<void> {
    const commits: Promise<void>[] = [];
    for (const [i, { writes, wait, watch, prefix }] of steps.entries()) {
      if (watch !== undefined) this.watch(prefix, Math.max(this.start, this.store.revision - watch));
      const commit = this.commit(
        writes.map((w) => ({
          key: w.key,
          object: w.delete ? null : { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x' }, step: i },
          expected: { any: undefined, absent: 0, seen: this.store.get(w.key)?.revision ?? 0 }[w.expect],
        })),
      );
      commits.push(commit);
      if (wait) await commit;
    }
    await Promise.all(commits);
  }

  watch(prefix: string, from: number): void {
    const watcher = this.store.watch(prefix, from);
    const stop = new AbortController();
    const collect = async () => {
      const seen: StoreEvent[] = [];
      for (;;) {
        const events = await watcher.next(stop.signal);
        seen.push(...events);
        if (stop.signal.aborted) return seen;
      }
    };
    this.watchers.push({ prefix, from, seen: collect(), stop });
  }

  async commit(writes: Write[]): Promise<void> {
    const outcome: Run['outcomes'][number] = { writes, revision: undefined, lost: undefined };
    this.outcomes.push(outcome);
    try {
      const stored = (await this.store.commit(writes)).find((s) => s !== undefined);
      outcome.revision = stored?.revision;
      if (stored !== undefined) assert.ok(this.store.revision >= stored.revision);
    } catch (error) {
      assert.ok(error instanceof ConflictError, String(error));
      outcome.lost = error;
    }
  }

  async check(store: Store): Promise<void> {
    const history = await historyOf(store, this.start);
    const states = replay(history, this.start);
    for (const { prefix, from, seen, stop } of this.watchers) {
      stop.abort();
      const expected = history.filter((e) => e.revision > from && e.stored.key.startsWith(prefix));
      assert.deepEqual((await seen).map(line), expected.map(line));
    }
    this.checkOutcomes(history, states);
    for (let revision = this.start; revision <= store.revision; revision++)
      for (const prefix of PREFIXES) await checkList(store, prefix, revision, states.get(revision)!);
  }

  /** Each acknowledged commit found what it expected, and each lost one could not have. */
  checkOutcomes(history: StoreEvent[], states: Map<number, State>): void {
    let acknowledged = 0;
    for (const { writes, revision, lost } of this.outcomes) {
      if (lost !== undefined) {
        const { expected } = writes.find((w) => w.key === lost.key)!;
        assert.notEqual(expected, lost.actual);
      }
      if (revision === undefined) continue;
      const before = states.get(revision - 1)!;
      for (const { key, expected } of writes)
        if (expected !== undefined) assert.equal(before.get(key) ?? 0, expected);
      acknowledged++;
    }
    assert.equal(new Set(history.map((e) => e.revision)).size, acknowledged);
  }
}

async function historyOf(store: Store, start: number): Promise<StoreEvent[]> {
  const watcher = store.watch('', start);
  const history: StoreEvent[] = [];
  while (watcher.revision < store.revision) history.push(...(await watcher.next()));
  watcher.close();
  return history;
}

/** The revision of each key after each revision. */
function replay(history: StoreEvent[], start: number): Map<number, State> {
  const states = new Map<number, State>([[start, new Map()]]);
  let state: State = new Map();
  for (const { revision, type, stored } of history) {
    state = new Map(state);
    if (type === 'DELETED') state.delete(stored.key);
    else {
      assert.equal(type, state.has(stored.key) ? 'MODIFIED' : 'ADDED');
      state.set(stored.key, revision);
    }
    states.set(revision, state);
  }
  return states;
}

async function checkList(store: Store, prefix: string, revision: number, state: State): Promise<void> {
  const { items } = await store.list(prefix, { revision });
  const expected = [...state].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(
    items.map((s) => [s.key, s.revision]),
    expected,
  );
}
