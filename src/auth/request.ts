/** Certificate requests made on a thread that ends: the library they need stays in no long-lived process's memory. */
import { Worker } from 'node:worker_threads';
import type { Subject } from './certificates.js';

/** A new key and a request to certify it, both PEM, for a node that joins or renews. */
export function requestApart(subject: Subject): Promise<{ csr: string; key: string }> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./request-worker.js', import.meta.url), { workerData: subject });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) =>
      reject(new Error(`the certificate request was not made (exit code ${code})`)),
    );
  });
}
