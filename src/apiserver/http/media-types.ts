/** Media types: which form of an answer a client accepts, and what a request's body is written in. */
import { notAcceptable, type StatusError, unsupportedMediaType } from '../../api/machinery/status.js';

export type ObjectForm = 'object' | 'table' | 'partial';

/** The chosen form of an answer. */
export interface Accepted {
  format: 'json' | 'yaml' | 'protobuf';
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

export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const FORMATS: Record<string, Accepted['format']> = {
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
  'application/yaml': 'yaml',
  [PROTOBUF]: 'protobuf',
};

/** What is spoken of kinds without a protobuf form: custom resources. */
const TEXTS = ['application/json', 'application/yaml'];

/** What can be served. */
export interface Offer {
  forms: readonly ObjectForm[];
  /** Whether the kind has a protobuf form. */
  protobuf: boolean;
}

export const offered = (protobuf: boolean): string[] => (protobuf ? [...TEXTS, PROTOBUF] : TEXTS);

/** The content type of an answer, and of a watch, which is a stream of messages in protobuf. */
export function contentType(format: Accepted['format'], stream: boolean): string {
  if (format !== 'protobuf') return `application/${format}`;
  return stream ? `${PROTOBUF};stream=watch` : PROTOBUF;
}

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
export function negotiate(accept: string | undefined, offer: Offer): Accepted {
  if (accept === undefined || accept === '') return JSON_ACCEPTED;
  for (const { type, parameters } of mediaRanges(accept)) {
    const format = FORMATS[type];
    if (format === undefined || (format === 'protobuf' && !offer.protobuf)) continue;
    const accepted = formOf(format, parameters, offer.forms);
    if (accepted) return accepted;
  }
  throw notAcceptableFor(offered(offer.protobuf));
}

export function notAcceptableFor(types: readonly string[]): StatusError {
  return notAcceptable(`only the following media types are accepted: ${types.join(', ')}`);
}

/** Watches are streams, which YAML has no form of. Throws 406. */
export function requireStream(format: Accepted['format'], protobuf: boolean): void {
  if (format === 'yaml')
    throw notAcceptableFor(
      offered(protobuf)
        .filter((type) => type !== 'application/yaml')
        .map((type) => `${type};stream=watch`),
    );
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
  // Tables hold values of any type: they have no protobuf form.
  if (form === 'table' && format === 'protobuf') return undefined;
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
