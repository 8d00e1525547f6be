/** Merges an applied configuration into the live object. */
import { itemElement } from './list-items.js';
import { deduce, isBlank, type JsonObject, memberShape, type Shape } from './shape.js';

type KeyedList = Extract<Shape, { form: 'list'; atomic: false }>;

/**
 * The live value with the configuration's over it; nothing is removed. Lists keep the live order where the
 * configuration has nothing to say about it, and else take the configuration's.
 */
export function merge(shape: Shape, live: unknown, config: unknown): unknown {
  if (live === undefined) return config;
  if (config === undefined) return live;
  const right = deduce(shape, config);
  const left = deduce(shape, live);
  const deduced = config === null ? left : right;
  if (live !== null && config !== null && left.form !== right.form) return config;
  if (deduced.form === 'scalar' || deduced.form === 'untyped' || ('atomic' in deduced && deduced.atomic))
    return config;
  if (isBlank(live) && isBlank(config)) return config;
  if (deduced.form === 'untracked') return config ?? live;
  if (deduced.form === 'list') {
    const items = mergeItems(deduced as KeyedList, (live ?? []) as unknown[], (config ?? []) as unknown[]);
    return items.length > 0 ? items : undefined;
  }
  return mergeMembers(deduced, (live ?? {}) as JsonObject, (config ?? {}) as JsonObject);
}

function mergeMembers(shape: Shape, live: JsonObject, config: JsonObject): JsonObject {
  const out: JsonObject = { ...live };
  for (const key in config) {
    const member = memberShape(shape, key);
    const merged = merge(
      member ?? { form: 'untyped' },
      Object.hasOwn(live, key) ? live[key] : undefined,
      config[key],
    );
    if (merged === undefined) delete out[key];
    else if (key === '__proto__')
      Object.defineProperty(out, key, {
        value: merged,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    else out[key] = merged;
  }
  return out;
}

interface Side {
  elements: string[];
  /** The item of each element; null where several share it. */
  items: Map<string, unknown>;
}

function sideOf(list: KeyedList, items: readonly unknown[]): Side {
  const side: Side = { elements: [], items: new Map() };
  for (const item of items) {
    const element = itemElement(list, item);
    side.items.set(element, side.items.has(element) ? null : item);
    side.elements.push(element);
  }
  return side;
}

/** Walks both lists at once: shared items come in the configuration's order, and live ones stay around them. */
function mergeItems(list: KeyedList, live: readonly unknown[], config: readonly unknown[]): unknown[] {
  const left = sideOf(list, live);
  const right = sideOf(list, config);
  const shared = right.elements.filter((element) => left.items.has(element));
  const merged = new Set<string>();
  const out: unknown[] = [];
  let next = shared.shift();
  const take = (element: string, leftItem: unknown) => {
    merged.add(element);
    const item = merge(list.item, leftItem, right.items.get(element));
    if (item !== undefined) out.push(item);
  };
  let [l, r] = [0, 0];
  while (l < left.elements.length || r < right.elements.length) {
    const mine = left.elements[l];
    const theirs = right.elements[r];
    if (mine !== undefined && theirs !== undefined) {
      if (mine === theirs) {
        take(mine, left.items.get(mine));
        l++;
        r++;
        next = shared.shift();
        continue;
      }
      if (right.items.has(mine) && next !== undefined && next !== mine) {
        l++;
        continue;
      }
    }
    if (mine !== undefined) {
      if (!right.items.has(mine)) {
        out.push(live[l]);
        l++;
        continue;
      }
      if (merged.has(mine)) l++;
    }
    if (theirs !== undefined) {
      take(theirs, left.items.get(theirs));
      r++;
      if (next === theirs) next = shared.shift();
    }
  }
  return out;
}
