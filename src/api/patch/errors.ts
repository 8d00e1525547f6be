/** The errors that applying a patch can end with, in upstream's words. */
import { badRequest, StatusError } from '../machinery/status.js';

/** 400: the patch is no patch of its type. */
export const malformed = (message: string): StatusError => badRequest(message);

/**
 * 422: the patch is well-formed and can't be applied to this object (a failed `test`, a missing path). Upstream
 * keeps the reason from the client (`NewGenericServerResponse`); `cause` is for logs.
 */
export function unprocessable(cause: string): StatusError {
  const error = new StatusError(
    422,
    'Invalid',
    'the server rejected our request due to an error in our request',
    {},
  );
  error.cause = cause;
  return error;
}
