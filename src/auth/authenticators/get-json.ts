/** One JSON document over HTTPS. */
import { get } from 'node:https';

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 4 << 20;

/** Rejects unless the answer is a 200 with JSON. `ca`: PEM, instead of the system's authorities. */
export function getJson(url: string, ca?: string): Promise<unknown> {
  const trust = ca ? { ca, allowPartialTrustChain: true } : {};
  return new Promise((resolve, reject) => {
    const request = get(url, { ...trust, timeout: TIMEOUT_MS, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BYTES) request.destroy(new Error(`${url}: more than ${MAX_BYTES} bytes`));
      });
      response.on('end', () => {
        try {
          if (response.statusCode !== 200) throw new Error(`${url}: status ${response.statusCode}`);
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(error);
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${url}: no answer`)));
    request.on('error', reject);
  });
}
