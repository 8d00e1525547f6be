/** The thread of `requestApart`: makes one certificate request, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { createRequest } from './certificates.js';

parentPort!.postMessage(await createRequest(workerData));
