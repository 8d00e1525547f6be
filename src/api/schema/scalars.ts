/** Scalars with a text form of their own: times and base64, checked and brought to the form that is stored. */

/** A text that is not of its form; the message is the Go decoder's. */
export class FormatError extends Error {}

const LAYOUT: readonly (readonly [string, RegExp])[] = [
  ['2006', /^\d{4}/],
  ['-', /^-/],
  ['01', /^\d{2}/],
  ['-', /^-/],
  ['02', /^\d{2}/],
  ['T', /^T/],
  ['15', /^\d{2}/],
  [':', /^:/],
  ['04', /^\d{2}/],
  [':', /^:/],
  ['05', /^\d{2}(?:[.,]\d+)?/],
  ['Z07:00', /^(?:Z|[-+]\d{2}:\d{2})/],
];

const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const PARTS = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[-+]\d\d:\d\d)$/;

function timeError(text: string, layout: string): FormatError {
  const quoted = JSON.stringify(text);
  let rest = text;
  for (const [element, shape] of LAYOUT) {
    const match = shape.exec(rest);
    if (!match)
      return new FormatError(
        `parsing time ${quoted} as "${layout}": cannot parse ${JSON.stringify(rest)} as "${element}"`,
      );
    rest = rest.slice(match[0].length);
  }
  return new FormatError(`parsing time ${quoted}: extra text: ${JSON.stringify(rest)}`);
}

function rangeError(parts: RegExpExecArray): string | undefined {
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12) return 'month';
  if (day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return 'day';
  if (hour > 23) return 'hour';
  if (minute > 59) return 'minute';
  return second > 59 ? 'second' : undefined;
}

function parse(text: string, layout: string): { seconds: string; micros: string } {
  const parts = PARTS.exec(text);
  if (!parts) throw timeError(text, layout);
  const wrong = rangeError(parts);
  if (wrong) throw new FormatError(`parsing time ${JSON.stringify(text)}: ${wrong} out of range`);
  const micros = (parts[7] ?? '').padEnd(6, '0').slice(0, 6);
  const zone = parts[8] as string;
  if (zone === 'Z') return { seconds: text.slice(0, 19), micros };
  return { seconds: new Date(`${text.slice(0, 19)}${zone}`).toISOString().slice(0, 19), micros };
}

/** A `metav1.Time` in UTC and whole seconds. Throws FormatError. */
export function canonicalTime(text: string): string {
  const { seconds } = parse(text, '2006-01-02T15:04:05Z07:00');
  return CANONICAL.test(text) ? text : `${seconds}Z`;
}

/** A `metav1.MicroTime` in UTC with six digits of a second. Throws FormatError. */
export function canonicalMicroTime(text: string): string {
  const { seconds, micros } = parse(text, '2006-01-02T15:04:05.000000Z07:00');
  return `${seconds}.${micros}Z`;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Bytes in standard base64 with padding; line breaks in it are dropped. Throws FormatError. */
export function canonicalBytes(text: string): string {
  const packed = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text;
  if (!BASE64.test(packed)) throw new FormatError(`illegal base64 data at input byte ${firstBad(text)}`);
  return packed;
}

/** Where Go's decoder gives up: at the first foreign character, else at the group that is not complete. */
function firstBad(text: string): number {
  const foreign = text.search(/[^A-Za-z0-9+/\r\n]/);
  if (foreign >= 0) return foreign;
  const characters = text.replace(/[\r\n]/g, '').length;
  return text.length - (characters % 4);
}
