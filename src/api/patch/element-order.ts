/** The order of a merged list: what the patch names keeps the patch's order, the rest keeps the server's. */

/** What tells elements apart: the value of the merge key, or the element itself. */
export type Identity = (element: unknown) => unknown;

export function identityBy(mergeKey: string | undefined): Identity {
  if (!mergeKey) return (element) => element;
  return (element) => (element as Record<string, unknown> | null)?.[mergeKey];
}

/** Positions of identities in a list; the first of equal ones counts. */
function positions(list: readonly unknown[], identity: Identity): Map<unknown, number> {
  const found = new Map<unknown, number>();
  list.forEach((element, i) => {
    const id = identity(element);
    if (!found.has(id)) found.set(id, i);
  });
  return found;
}

/**
 * Orders `merged`: elements named in `order` stand in that order; an element that only the server has comes
 * before one of those if it did so in `server`, else after all that must precede it.
 */
export function orderElements(
  merged: readonly unknown[],
  order: readonly unknown[],
  server: readonly unknown[],
  identity: Identity,
): unknown[] {
  const wanted = positions(order, identity);
  const before = positions(server, identity);
  const at = (place: Map<unknown, number>, element: unknown) => place.get(identity(element)) ?? -1;
  const right = merged
    .filter((element) => wanted.has(identity(element)))
    .sort((a, b) => at(wanted, a) - at(wanted, b));
  const left = merged
    .filter((element) => !wanted.has(identity(element)))
    .sort((a, b) => at(before, a) - at(before, b));
  const out: unknown[] = [];
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    const [l, r] = [at(before, left[i]), at(before, right[j])];
    out.push(l >= 0 && r >= 0 && l < r ? left[i++] : right[j++]);
  }
  return [...out, ...left.slice(i), ...right.slice(j)];
}

/** Whether the elements of `list` occur in `order` in the same order. */
export function followsOrder(
  list: readonly unknown[],
  order: readonly unknown[],
  identity: Identity,
): boolean {
  let at = 0;
  for (const element of list) {
    while (at < order.length && identity(order[at]) !== identity(element)) at++;
    if (at++ >= order.length) return false;
  }
  return true;
}
