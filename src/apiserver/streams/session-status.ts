/** How a session ended, as clients are told on its error stream. */
import type { Status } from '#types';
import { asStatusError } from '../../api/machinery/status.js';

/** The Status of a process that ended with this code. */
export function exitStatus(exitCode: number, command: string[]): Status {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: error executing command [${command.join(' ')}], exit code ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

/** The Status of a session that broke. */
export function failureStatus(error: unknown): Status {
  const { message, code } = asStatusError(error);
  return {
    metadata: {},
    status: 'Failure',
    message: `error executing command in container: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: Math.min(code, 500),
  };
}
