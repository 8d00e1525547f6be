/** Errors of the API as Kubernetes `Status` objects (apimachinery `api/errors`). */
import type { Status, StatusCause, StatusDetails } from '#types';
import { describe, type FieldError } from './field.js';
import type { GroupResource } from './types.js';

/** An API error: `code` is the HTTP status, `reason` a machine-readable word such as `NotFound`. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'StatusError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The `Status` object that is sent to the client. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    } as Status;
  }

  /** The error that a received `Status` object tells of. */
  static from(status: Status): StatusError {
    return new StatusError(status.code ?? 500, status.reason ?? '', status.message ?? '', status.details);
  }
}

/** Whether `error` is a StatusError with this reason, such as `NotFound`, `Conflict` or `AlreadyExists`. */
export function isReason(error: unknown, reason: string): error is StatusError {
  return error instanceof StatusError && error.reason === reason;
}

/** `deployments.apps`, or `pods` for the core group. */
export function qualified({ group, resource }: GroupResource): string {
  return group === '' ? resource : `${resource}.${group}`;
}

const details = (gr: GroupResource, name: string): StatusDetails => ({
  ...(name === '' ? {} : { name }),
  ...(gr.group === '' ? {} : { group: gr.group }),
  kind: gr.resource,
});

export const notFound = (gr: GroupResource, name: string): StatusError =>
  new StatusError(404, 'NotFound', `${qualified(gr)} "${name}" not found`, details(gr, name));

export const alreadyExists = (gr: GroupResource, name: string): StatusError =>
  new StatusError(409, 'AlreadyExists', `${qualified(gr)} "${name}" already exists`, details(gr, name));

export const conflict = (gr: GroupResource, name: string, why: string): StatusError =>
  new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(gr)} "${name}": ${why}`,
    details(gr, name),
  );

/** Upstream's words for a lost compare-and-swap. */
export const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

export const forbidden = (gr: GroupResource, name: string, why: string): StatusError =>
  new StatusError(
    403,
    'Forbidden',
    gr.resource === ''
      ? `forbidden: ${why}`
      : name === ''
        ? `${qualified(gr)} is forbidden: ${why}`
        : `${qualified(gr)} "${name}" is forbidden: ${why}`,
    details(gr, name),
  );

/** 422 with a cause for each field; `kind` is qualified by its group in the message (`Deployment.apps`). */
export function invalid(group: string, kind: string, name: string, errors: FieldError[]): StatusError {
  const all = errors.map(describe);
  const text = all.length === 1 ? all[0] : `[${all.join(', ')}]`;
  const causes: StatusCause[] = errors.map((e) => ({ reason: e.type, message: e.message, field: e.field }));
  const gk = group === '' ? kind : `${kind}.${group}`;
  return new StatusError(422, 'Invalid', `${gk} "${name}" is invalid: ${text}`, {
    name,
    ...(group === '' ? {} : { group }),
    kind,
    causes,
  });
}

export const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message);

export const unauthorized = (message = 'Unauthorized'): StatusError =>
  new StatusError(401, 'Unauthorized', message);

export const methodNotAllowed = (message: string): StatusError =>
  new StatusError(405, 'MethodNotAllowed', message);

export const expired = (message: string): StatusError => new StatusError(410, 'Expired', message);

export const tooLarge = (message: string): StatusError =>
  new StatusError(413, 'RequestEntityTooLarge', message);

export const unsupportedMediaType = (message: string): StatusError =>
  new StatusError(415, 'UnsupportedMediaType', message);

export const notAcceptable = (message: string): StatusError => new StatusError(406, 'NotAcceptable', message);

export const tooManyRequests = (message: string, retryAfterSeconds: number): StatusError =>
  new StatusError(429, 'TooManyRequests', message, { retryAfterSeconds });

export const internalError = (error: unknown): StatusError =>
  new StatusError(
    500,
    'InternalError',
    `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
  );

export const serviceUnavailable = (message: string): StatusError =>
  new StatusError(503, 'ServiceUnavailable', message);

export const timeout = (message: string, details?: StatusDetails): StatusError =>
  new StatusError(504, 'Timeout', `Timeout: ${message}`, details);

/** Any thrown value as a StatusError. */
export function asStatusError(error: unknown): StatusError {
  return error instanceof StatusError ? error : internalError(error);
}
