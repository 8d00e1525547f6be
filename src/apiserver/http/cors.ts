/** Lets pages of other origins use the API from a browser, where an administrator wants that. */
import type { IncomingRequest } from './listener.js';
import type { Response } from './respond.js';

const HEADERS = {
  'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE, PATCH',
  'access-control-allow-headers':
    'Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since',
  'access-control-expose-headers': 'Date',
  'access-control-allow-credentials': 'true',
};

/** Says what an allowed origin may do. True: the request was only a question about that, and is answered. */
export function answerCors(allowed: RegExp[], request: IncomingRequest, response: Response): boolean {
  const { origin } = request.headers;
  if (allowed.length === 0 || origin === undefined || !allowed.some((pattern) => pattern.test(origin)))
    return false;
  response.setHeader('access-control-allow-origin', origin);
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  if (request.method !== 'OPTIONS') return false;
  response.statusCode = 204;
  response.end();
  return true;
}
