/** The options of list, watch and write requests, parsed and checked as upstream checks them. */
import { type FieldError, forbidden, notSupported } from '../../api/machinery/field.js';
import { badRequest, invalid, StatusError, timeout } from '../../api/machinery/status.js';

export interface ListQuery {
  labelSelector: string;
  fieldSelector: string;
  limit: number;
  continue: string;
  resourceVersion: string;
  resourceVersionMatch: string;
  allowWatchBookmarks: boolean;
  sendInitialEvents: boolean | undefined;
  timeoutSeconds: number | undefined;
}

export function boolean(query: URLSearchParams, name: string): boolean | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  return value !== 'false' && value !== '0' && value !== 'False';
}

export function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  if (!/^[+-]?\d{1,18}$/.test(value)) {
    throw badRequest(
      `strconv.ParseInt: parsing ${JSON.stringify(value)}: ${/^[+-]?\d+$/.test(value) ? 'value out of range' : 'invalid syntax'}`,
    );
  }
  return Number(value);
}

export function listQuery(query: URLSearchParams, watch: boolean): ListQuery {
  const options: ListQuery = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, integer(query, 'limit') ?? 0),
    continue: query.get('continue') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    allowWatchBookmarks: boolean(query, 'allowWatchBookmarks') ?? false,
    sendInitialEvents: boolean(query, 'sendInitialEvents'),
    timeoutSeconds: integer(query, 'timeoutSeconds'),
  };
  const errors = watch ? watchErrors(options) : listErrors(options);
  if (errors.length > 0) throw invalid('meta.k8s.io', 'ListOptions', '', errors);
  return options;
}

const MATCHES = ['Exact', 'NotOlderThan', ''];

function watchErrors(o: ListQuery): FieldError[] {
  const errors: FieldError[] = [];
  if (o.sendInitialEvents === undefined) {
    if (o.resourceVersionMatch !== '') {
      errors.push(
        forbidden(
          'resourceVersionMatch',
          'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        ),
      );
    }
    return errors;
  }
  if (o.resourceVersionMatch !== 'NotOlderThan') {
    errors.push(
      forbidden(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      ),
    );
  }
  return errors;
}

function listErrors(o: ListQuery): FieldError[] {
  const errors: FieldError[] = [];
  if (o.sendInitialEvents !== undefined)
    errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  if (o.resourceVersionMatch === '') return errors;
  if (!MATCHES.includes(o.resourceVersionMatch))
    errors.push(notSupported('resourceVersionMatch', o.resourceVersionMatch, MATCHES));
  if (o.resourceVersion === '') {
    errors.push(
      forbidden(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden unless resourceVersion is provided',
      ),
    );
  }
  if (o.continue !== '')
    errors.push(
      forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'),
    );
  if (o.resourceVersionMatch === 'Exact' && o.resourceVersion === '0') {
    errors.push(
      forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    );
  }
  return errors;
}

const MAX_UINT64 = 2n ** 64n - 1n;

/**
 * The number that a get's or watch's resourceVersion stands for; undefined for ''.
 * Throws 500 without a reason: upstream takes a bad one for a failure of its own there.
 */
export function readVersion(text: string): number | undefined {
  if (text === '') return undefined;
  const digits = /^\d+$/.test(text);
  if (digits && BigInt(text) <= MAX_UINT64) return Number(text);
  const quoted = JSON.stringify(text);
  const why = `strconv.ParseUint: parsing ${quoted}: ${digits ? 'value out of range' : 'invalid syntax'}`;
  throw new StatusError(500, '', `resourceVersion: Invalid value: ${quoted}: ${why}`);
}

/** The same of a list. Throws 400. */
export function listVersion(text: string): number | undefined {
  try {
    return readVersion(text);
  } catch (error) {
    throw badRequest(`invalid resource version: ${(error as Error).message}`);
  }
}

/** 504 with upstream's cause, which client-go waits for. */
export function tooLargeResourceVersion(requested: number, current: number): StatusError {
  return timeout(`Too large resource version: ${requested}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** Whether the write is only tried: `dryRun=All`. Throws 422 for other values. */
export function isDryRun(query: URLSearchParams, kind = 'CreateOptions'): boolean {
  const values = query.getAll('dryRun').filter((v) => v !== '');
  const wrong = values.find((v) => v !== 'All');
  if (wrong !== undefined) throw invalid('meta.k8s.io', kind, '', [notSupported('dryRun', values, ['All'])]);
  return values.length > 0;
}
