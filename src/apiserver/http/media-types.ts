/** Media types: which form of an answer a client accepts, and what a request's body is written in. */
import { notAcceptable, type StatusError, unsupportedMediaType } from '../../api/machinery/status.js';

export type ObjectForm = 'object' | 'table' | 'partial';

/** The chosen form of an answer. */
export interface Accepted {
  format: 'json' | 'yaml';
  form: ObjectForm;
  /** meta.k8s.io version of a Table or PartialObjectMetadata. */
  version: 'v1' | 'v1beta1';
}

export interface MediaRange {
  type: string;
  parameters: Record<string, string>;
  quality: number;
}

export const JSON_ACCEPTED: Accepted = { format: 'json', form: 'object', version: 'v1' };

const FORMATS: Record<string, Accepted['format']> = {
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
  'application/yaml': 'yaml',
};

export const OFFERED = ['application/json', 'application/yaml'];

/** Read, but not written. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const rangesCache = new Map<string, MediaRange[]>();

/** The ranges of an `Accept` header by falling quality. */
export function mediaRanges(header: string): MediaRange[] {
  const known = rangesCache.get(header);
  if (known) return known;
  const ranges = header
    .split(',')
    .map((part) => {
      const [type, ...rest] = part.split(';').map((piece) => piece.trim());
      const parameters = Object.fromEntries(
        rest.map((piece) => {
          const at = piece.indexOf('=');
          return [
            piece.slice(0, at).trim().toLowerCase(),
            piece
              .slice(at + 1)
              .trim()
              .replace(/^"|"$/g, ''),
          ];
        }),
      );
      return { type: type!.toLowerCase(), parameters, quality: Number(parameters['q'] ?? 1) || 0 };
    })
    .filter((range) => range.type !== '' && range.quality > 0)
    .sort((a, b) => b.quality - a.quality);
  if (rangesCache.size > 100) rangesCache.clear();
  rangesCache.set(header, ranges);
  return ranges;
}

/** Chooses the first range that can be served. Throws 406. */
export function negotiate(accept: string | undefined, forms: readonly ObjectForm[]): Accepted {
  if (accept === undefined || accept === '') return JSON_ACCEPTED;
  for (const { type, parameters } of mediaRanges(accept)) {
    const format = FORMATS[type];
    if (format === undefined) continue;
    const accepted = formOf(format, parameters, forms);
    if (accepted) return accepted;
  }
  throw notAcceptableFor(OFFERED);
}

export function notAcceptableFor(offered: readonly string[]): StatusError {
  return notAcceptable(`only the following media types are accepted: ${offered.join(', ')}`);
}

const FORMS: Record<string, ObjectForm> = {
  Table: 'table',
  PartialObjectMetadata: 'partial',
  PartialObjectMetadataList: 'partial',
};

function formOf(
  format: Accepted['format'],
  parameters: Record<string, string>,
  forms: readonly ObjectForm[],
): Accepted | undefined {
  const { as, g, v } = parameters;
  if (as === undefined) return { format, form: 'object', version: 'v1' };
  const form = FORMS[as];
  if (form === undefined || !forms.includes(form)) return undefined;
  if ((g ?? 'meta.k8s.io') !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) return undefined;
  return { format, form, version: v };
}

/** `application/json; charset=utf-8` → `application/json`. */
export function bareType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

export function unsupportedBody(accepted: readonly string[]): StatusError {
  return unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}
