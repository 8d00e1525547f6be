/** Keys that lead somewhere, outside of fields that take text. */

const PAGES: Record<string, string> = {
  w: 'workloads',
  p: 'pods',
  s: 'network',
  c: 'config',
  d: 'storage',
  e: 'events',
  n: 'nodes',
  a: 'all',
};

/** Listens until what it returns is called. */
export function listenToKeys(): () => void {
  let going = false;
  const press = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    const writing = target.closest('input, textarea, select, [contenteditable], .xterm') !== null;
    if (event.key === 'Escape' && target.id === 'filter') target.blur();
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = going ? PAGES[event.key] : undefined;
    going = event.key === 'g';
    if (page) location.hash = `#/${page}`;
    else if (event.key === '/') document.getElementById('filter')?.focus();
    else if (event.key === 'j') move(1);
    else if (event.key === 'k') move(-1);
    else return;
    event.preventDefault();
  };
  addEventListener('keydown', press);
  return () => removeEventListener('keydown', press);
}

/** The next or the last row's link. */
function move(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('a.row')];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus();
}
