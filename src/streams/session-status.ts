/** What sessions tell and are told besides their streams: how they ended, and the terminal's size. */
import type { Readable, Writable } from 'node:stream';
import type { Status } from '#types';

/** An open exec or attach. Streams that were not asked for are undefined. */
export interface StreamSession {
  stdin: Writable | undefined;
  stdout: Readable | undefined;
  stderr: Readable | undefined;
  resize(columns: number, rows: number): void;
  exited: Promise<{ exitCode: number }>;
  close(): void;
}

export interface OpenedSession {
  request: { command: string[]; stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean };
  session: StreamSession;
}

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

/** The Status of a session that broke, or whose command could not be started; an attachment has none. */
export function failureStatus(error: unknown, command: string[]): Status {
  const what = command.length > 0 ? 'executing command in' : 'attaching to';
  const message = `error ${what} container: ${(error as Error).message}`;
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  };
}

/** Applies a message of the terminal's size: `{"Width":80,"Height":24}`. */
export function resizeSession(session: StreamSession, data: Buffer): void {
  try {
    const { Width, Height } = JSON.parse(data.toString());
    if (Number.isInteger(Width) && Number.isInteger(Height) && Width > 0 && Height > 0)
      session.resize(Width, Height);
  } catch {
    // Not a size: nothing to do.
  }
}
