/** How values are written. */

const SUFFIXES: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A quantity of the API as a number; 0 for what is none. */
export function quantity(text: string): number {
  const [, number = '0', exponent = '', suffix = ''] =
    /^([+-]?[\d.]+)([eE][+-]?\d+)?([A-Za-z]*)$/.exec(text) ?? [];
  return Number(number + exponent) * (SUFFIXES[suffix] ?? 1);
}

/** `1.50 cores`, `12m`. */
export function cores(value: number): string {
  return value >= 1 ? value.toFixed(2) : `${Math.round(value * 1000)}m`;
}

/** `12.3 MiB`. */
export function bytes(value: number): string {
  let left = value;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (left < 1024 || unit === 'TiB')
      return `${left < 10 && unit !== 'B' ? left.toFixed(1) : Math.round(left)} ${unit}`;
    left /= 1024;
  }
  return '';
}

/** As kubectl's AGE: `42s`, `5m30s`, `7h12m`, `3d4h`, `90d`, `2y`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  return two(Math.floor(days / 365), 'y', days % 365, 'd');
}

const two = (large: number, a: string, small: number, b: string): string =>
  small === 0 ? `${large}${a}` : `${large}${a}${small}${b}`;

/** `matchLabels` or a plain selector, for `labelSelector`; undefined for what a text can't say. */
export function selectorText(selector: any): string | undefined {
  if (!selector) return undefined;
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }: any) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
  });
  const plain = selector.matchLabels ?? (selector.matchExpressions ? {} : selector);
  const labels = Object.entries(plain).map(([key, value]) => `${key}=${value}`);
  const text = [...labels, ...expressions].join(',');
  return text === '' ? undefined : text;
}
