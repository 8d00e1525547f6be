/** Requests of the API with the user's token. Whatever it refuses becomes an ApiError with its Status. */
import { expiry, logOut, token } from './session.js';

export interface Status {
  kind?: string;
  code?: number;
  reason?: string;
  message?: string;
  details?: { causes?: { field?: string; message?: string; reason?: string }[] };
}

/** What the API server says no with, in its words. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly causes: { field?: string; message?: string }[];

  constructor(code: number, status: Status) {
    super(status.message || `the server answered with status ${code}`);
    this.code = code;
    this.reason = status.reason ?? '';
    this.causes = status.details?.causes ?? [];
  }
}

export interface RequestOptions {
  method?: string;
  query?: Record<string, string>;
  body?: string;
  contentType?: string;
  accept?: string;
  signal?: AbortSignal | undefined;
}

/** Resolves with a successful response; rejects with ApiError, or TypeError when the server is away. */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', query = {}, body, contentType, accept = 'application/json', signal } = options;
  const search = new URLSearchParams(query).toString();
  const send = () =>
    fetch(search ? `${path}?${search}` : path, {
      method,
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
      headers: {
        accept,
        authorization: `Bearer ${token.get()}`,
        ...(contentType ? { 'content-type': contentType } : {}),
      },
      cache: 'no-store',
      credentials: 'omit',
    });
  // A connection that ended under a request is no answer: what only reads is asked again, on another one.
  const response = await send().catch((cause) => {
    if (method !== 'GET' || signal?.aborted) throw cause;
    return send();
  });
  if (response.ok) return response;
  const error = await errorOf(response);
  if (error.code === 401) {
    const isOver = (expiry(token.get()) ?? Number.POSITIVE_INFINITY) <= Date.now();
    logOut(isOver ? 'The session has ended.' : 'The API server does not accept this token.');
  }
  throw error;
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return new ApiError(response.status, status);
  } catch {
    // Not from the API server itself: its text is all there is.
  }
  return new ApiError(response.status, { message: text.trim() });
}

export async function getJson<T>(path: string, options: RequestOptions = {}): Promise<T> {
  return (await request(path, options)).json();
}

export async function getText(path: string, options: RequestOptions = {}): Promise<string> {
  return (await request(path, options)).text();
}

/** The pieces of a body that does not end, as text. */
export async function* pieces(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return 'The API server does not answer.';
  return error instanceof Error ? error.message : String(error);
}
