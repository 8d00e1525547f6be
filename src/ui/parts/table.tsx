/** Rows of objects: sorted by any column, narrowed by the filter, reached by keyboard. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Collection, Column, Item } from '../api/follow.js';
import { type Kind, objectHref } from '../api/kinds.js';
import { namespace } from '../api/session.js';
import { filter } from '../lib/filter.js';
import { useStore } from '../lib/store.js';
import { Age, Badge, Problem } from './basics.js';

/** A column that the API does not have. */
export interface ExtraColumn {
  name: string;
  cell(item: Item): ComponentChildren;
}

interface TableProps {
  kind: Kind;
  collection: Collection;
  /** Columns beyond the usual ones, by name. */
  wide?: readonly string[];
  extra?: readonly ExtraColumn[];
  /** Instead of what the chosen namespace says. */
  showNamespace?: boolean;
  empty?: string;
}

const PAGE = 200;
const STATES = new Set(['Status', 'Phase']);
const AGES = new Set(['Age', 'Created At']);

export function Table({
  kind,
  collection,
  wide = [],
  extra = [],
  showNamespace,
  empty = 'None.',
}: TableProps) {
  const [sorted, sort] = useState<{ by: number; down: boolean }>({ by: -1, down: false });
  const [most, setMost] = useState(PAGE);
  const wanted = useStore(filter).toLowerCase();
  const chosen = useStore(namespace);
  const { loaded, error, items } = collection;
  if (!loaded) return error === undefined ? <p class="faint">Loading…</p> : <Problem error={error} />;
  const withNamespace = showNamespace ?? (kind.namespaced && chosen === '');
  const columns = collection.columns
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => column.priority === 0 || wide.includes(column.name));
  const matching = items.filter((item) => matches(item, wanted));
  const rows = matching.sort((a, b) => (sorted.down ? -1 : 1) * compare(a, b, sorted.by, collection.columns));
  const head = (name: string, index: number) => (
    <th key={name} aria-sort={sorted.by === index ? (sorted.down ? 'descending' : 'ascending') : 'none'}>
      <button type="button" onClick={() => sort({ by: index, down: sorted.by === index && !sorted.down })}>
        {name}
      </button>
    </th>
  );
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      {rows.length === 0 ? (
        <p class="faint">{items.length > 0 ? 'None that the filter lets through.' : empty}</p>
      ) : (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {withNamespace && head('Namespace', -1)}
                {columns.map(({ column, index }) => head(column.name, index))}
                {extra.map(({ name }) => (
                  <th key={name}>{name}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, most).map((item) => (
                <tr
                  key={item.object.metadata.uid}
                  class={item.object.metadata.deletionTimestamp ? 'going' : ''}
                >
                  {withNamespace && <td class="faint">{item.object.metadata.namespace}</td>}
                  {columns.map(({ column, index }) => (
                    <td key={column.name}>{cell(kind, column, item, item.cells[index])}</td>
                  ))}
                  {extra.map(({ name, cell: show }) => (
                    <td key={name}>{show(item)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > most && (
        <button type="button" onClick={() => setMost(most + PAGE)}>
          {rows.length - most} more
        </button>
      )}
    </>
  );
}

function cell(kind: Kind, column: Column, { object }: Item, value: unknown): ComponentChildren {
  const { metadata } = object;
  if (column.name === 'Name')
    return (
      <a class="row" href={objectHref(kind, metadata.namespace, metadata.name)} title={metadata.name}>
        {metadata.name}
      </a>
    );
  if (AGES.has(column.name)) return <Age since={metadata.creationTimestamp} />;
  const text = value === null || value === undefined ? '' : String(value);
  if (STATES.has(column.name) && text !== '') return <Badge text={text} tone={tone(text)} />;
  return text;
}

/** `Ready,SchedulingDisabled` is of two words. */
const tone = (text: string): string | undefined => (text.includes(',') ? 'busy' : undefined);

function matches({ object: { metadata }, cells }: Item, wanted: string): boolean {
  if (wanted === '') return true;
  return [metadata.name, metadata.namespace ?? '', ...cells].some((value) =>
    String(value).toLowerCase().includes(wanted),
  );
}

const collator = new Intl.Collator(undefined, { numeric: true });

function compare(a: Item, b: Item, by: number, columns: Column[]): number {
  const [one, two] = [a.object.metadata, b.object.metadata];
  const names = () =>
    collator.compare(one.namespace ?? '', two.namespace ?? '') || collator.compare(one.name, two.name);
  if (by < 0) return names();
  if (AGES.has(columns[by]?.name ?? ''))
    return Date.parse(two.creationTimestamp ?? '') - Date.parse(one.creationTimestamp ?? '') || names();
  return collator.compare(String(a.cells[by] ?? ''), String(b.cells[by] ?? '')) || names();
}
