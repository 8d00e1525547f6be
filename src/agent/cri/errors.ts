/** Errors as gRPC tells them, and messages as plain objects. */
import { status } from '@grpc/grpc-js';
import { ImageError, RuntimeError } from '../../runtime/types.js';

/** An error with a gRPC code. */
export class CriFailure extends Error {
  constructor(
    readonly code: status,
    message: string,
  ) {
    super(message);
  }
}

const IMAGE_CODES: Record<ImageError['code'], status> = {
  InvalidName: status.INVALID_ARGUMENT,
  NotFound: status.NOT_FOUND,
  Unauthorized: status.UNAUTHENTICATED,
  Unreachable: status.UNAVAILABLE,
  Corrupt: status.DATA_LOSS,
  Unsupported: status.UNIMPLEMENTED,
  Internal: status.INTERNAL,
};

export function failure(error: unknown): { code: status; details: string } {
  const details = error instanceof Error ? error.message : String(error);
  if (error instanceof CriFailure) return { code: error.code, details };
  if (error instanceof ImageError) return { code: IMAGE_CODES[error.code], details };
  if (error instanceof RuntimeError && error.code === 'NotFound') return { code: status.NOT_FOUND, details };
  return { code: status.UNKNOWN, details };
}

export const notFound = (what: string, id: string): CriFailure =>
  new CriFailure(status.NOT_FOUND, `${what} ${JSON.stringify(id)} not found`);

export const invalid = (message: string): CriFailure => new CriFailure(status.INVALID_ARGUMENT, message);

/** A decoded message with numbers for 64-bit integers, and without what was not sent. */
export function plain<T>(value: T): T {
  if (Array.isArray(value)) return value.map(plain) as T;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if ('toNumber' in value) return (value as unknown as { toNumber(): number }).toNumber() as T;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)])) as T;
}

const NANOS_A_MS = 1_000_000;

/** Milliseconds as the interface has times. */
export const nanos = (ms: number): number => ms * NANOS_A_MS;
