/** What others use of the client. */
export * from './client.js';
export {
  type EventDetails,
  EventRecorder,
  type EventRecorderOptions,
  type Regarding,
} from './event-recorder.js';
export { ConnectionError, type HttpsTransportOptions, httpsTransport } from './https.js';
export type { Indexes, IndexFunction } from './indexer.js';
export { type Handlers, Informer, type InformerOptions } from './informer.js';
export { Informers, type InformersOptions, type SharedInformerOptions } from './informers.js';
export { type KubeconfigContext, loadKubeconfig } from './kubeconfig.js';
export { generateName, randomSuffix, safeEncode } from './names.js';
export { WorkQueue } from './queue.js';
export { Backoff, type BackoffOptions, retryOnConflict, sleep } from './retry.js';
export type { Request, Transport } from './transport.js';
export { runWorkers, type WorkerOptions } from './workers.js';
