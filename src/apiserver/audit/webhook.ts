/** Audit events in batches to a webhook, as a kubeconfig file names it. */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import { loadKubeconfig } from '../../client/kubeconfig.js';
import type { WebhookClient, WebhookTarget } from '../webhooks/index.js';
import type { Sink } from './sink.js';

export interface WebhookSinkOptions {
  /** A kubeconfig whose current context is the webhook. */
  config: string;
  client: WebhookClient;
  /** 400 events when absent. */
  maxBatch?: number | undefined;
  /** How long (ms) an event may wait for others; 30 s when absent. */
  maxWaitMs?: number | undefined;
  clock: Clock;
  logger: Logger;
}

const MAX_WAITING = 10_000;
const MAX_BATCH = 400;
const MAX_WAIT_MS = 30_000;
const TIMEOUT_MS = 30_000;
const ATTEMPTS = 5;
const RETRY_MS = 10_000;
/** What may take so long when the server ends. */
const CLOSE_MS = 5000;

export class WebhookSink implements Sink {
  readonly name = 'webhook';
  readonly #options: WebhookSinkOptions;
  readonly #target: WebhookTarget;
  readonly #headers: Record<string, string>;
  #waiting: object[] = [];
  #cancel: (() => void) | undefined;
  #sending: Promise<void> = Promise.resolve();
  #closing = false;
  lost = 0;

  private constructor(options: WebhookSinkOptions, target: WebhookTarget, headers: Record<string, string>) {
    this.#options = options;
    this.#target = target;
    this.#headers = headers;
  }

  /** Rejects with what is wrong about the file. */
  static async open(options: WebhookSinkOptions): Promise<WebhookSink> {
    const { transport } = await loadKubeconfig(options.config);
    const { server, ca, cert, key, token } = transport;
    const target: WebhookTarget = {
      url: String(server),
      ...(ca ? { caBundle: Buffer.from(ca as any).toString('base64') } : {}),
      ...(cert && key ? { clientCertificate: { cert: cert.toString(), key: key.toString() } } : {}),
    };
    const bearer = typeof token === 'function' ? await token() : token;
    return new WebhookSink(options, target, bearer ? { authorization: `Bearer ${bearer}` } : {});
  }

  write(event: object): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.lost++;
      return;
    }
    this.#waiting.push(event);
    const { maxBatch = MAX_BATCH, maxWaitMs = MAX_WAIT_MS, clock } = this.#options;
    if (this.#waiting.length >= maxBatch) this.#flush();
    else this.#cancel ??= clock.after(maxWaitMs, () => this.#flush());
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#flush();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const { maxBatch = MAX_BATCH } = this.#options;
    while (this.#waiting.length > 0) {
      const items = this.#waiting.splice(0, maxBatch);
      this.#sending = this.#sending.then(() => this.#send(items));
    }
  }

  async #send(items: object[]): Promise<void> {
    const { client, clock, logger } = this.#options;
    const list = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items };
    for (let attempt = 1; ; attempt++) {
      try {
        await client.post(this.#target, list, { timeoutMs: TIMEOUT_MS, headers: this.#headers });
        return;
      } catch (error) {
        const status = (error as { status?: number }).status ?? 0;
        // It has taken them: that its answer is no JSON does not matter.
        if (status >= 200 && status < 300) return;
        if (attempt >= ATTEMPTS || this.#closing) {
          this.lost += items.length;
          logger.error({ err: error, lost: this.lost }, 'audit events are lost: the webhook takes none');
          return;
        }
        await new Promise<void>((resolve) => clock.after(RETRY_MS * 1.5 ** (attempt - 1), resolve));
      }
    }
  }
}
