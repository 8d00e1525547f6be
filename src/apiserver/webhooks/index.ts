export { type CallOptions, WebhookCallError, WebhookClient, type WebhookTarget } from './client.js';
