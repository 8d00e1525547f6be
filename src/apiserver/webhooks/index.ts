export { type CallOptions, WebhookCallError, WebhookClient, type WebhookTarget } from './client.js';
export type { ServiceReference } from './service.js';
