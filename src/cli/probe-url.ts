/** Whether something is served at an address. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** The status code of a HEAD request. Rejects when nobody answers within 10 s. `ca`: PEM. */
export function statusOf(
  url: string,
  { ca, insecure }: { ca?: string | Buffer; insecure?: boolean },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const options = {
      method: 'HEAD',
      ca,
      rejectUnauthorized: insecure !== true,
      agent: false,
      timeout: 10_000,
    };
    const outgoing = send(url, options as object, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 10 s')));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
