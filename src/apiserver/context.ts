/** What handlers work with: the request as parsed, the parts of the server, and the kinds of answers. */
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Clock } from '../api/machinery/clock.js';
import type { KubeObject } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import type { ReviewToken } from '../auth/index.js';
import type { ServiceAccountTokens } from '../auth/tokens/service-account.js';
import type { Attributes, Authorizer, User } from '../auth/user.js';
import type { NodeStreams } from '../hub/node-streams.js';
import type { ResourceMetrics } from '../hub/usage.js';
import type { Store, Stored } from '../store/store.js';
import type { Admission } from './admission/admission.js';
import type { ServiceAddresses } from './admission/service-addresses.js';
import type { Auditor } from './audit/auditor.js';
import type { Aggregator } from './extensions/aggregation/aggregator.js';
import type { Extensions } from './extensions/index.js';
import type { WebhookClient } from './webhooks/index.js';

/** What a request carries: bytes from the network, or an object from within the process. */
export type Body =
  | { type: 'none' }
  | { type: 'bytes'; bytes: Buffer; contentType: string }
  | { type: 'object'; value: unknown; contentType: string };

/** A request free of its protocol. */
export interface Call {
  method: string;
  /** Without the query; percent-encoded as it came. */
  path: string;
  query: URLSearchParams;
  /** As it came, without the question mark; absent: `query` in its own encoding. */
  rawQuery?: string;
  /** Where the client is, if it is not in this process. */
  remoteAddress?: string | undefined;
  header(name: string): string | undefined;
  /** The names of all headers, in lower case. */
  headerNames?(): string[];
  body: Body;
  /** The body of a request that is passed on, not read here. */
  stream?: Readable | undefined;
  user: User;
  signal: AbortSignal;
}

/** A page of a list. */
export interface ListPage {
  items: Stored[];
  revision: number;
  /** The token of the next page. */
  continue?: string;
  remaining?: number;
}

/** One event of a watch before it is encoded. `object` is given where it differs from `stored`'s. */
export interface WatchMessage {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  stored?: Stored;
  object?: KubeObject;
}

export type Result =
  | { type: 'object'; code: number; object: KubeObject; stored?: Stored }
  | { type: 'list'; page: ListPage }
  | { type: 'watch'; batches: AsyncGenerator<WatchMessage[], void> }
  | {
      type: 'raw';
      code: number;
      headers: Record<string, string | string[]>;
      body: string | Buffer | Readable;
    };

/** The parts of the server that handlers use. */
export interface Deps {
  store: Store;
  clock: Clock;
  logger: Logger;
  authorizer: Authorizer;
  admission: Admission;
  addresses: ServiceAddresses;
  webhooks: WebhookClient;
  nodeStreams: NodeStreams | undefined;
  /** CPU and memory in use; undefined where no node can be asked. */
  metrics: ResourceMetrics | undefined;
  /** Makes and checks service account tokens; undefined where no key is configured. */
  tokens: ServiceAccountTokens | undefined;
  /** Serves group versions of other servers; undefined where there are none. */
  aggregator: Aggregator | undefined;
  /** Answers TokenReviews. */
  review: ReviewToken;
  /** Kinds that are declared at run time. */
  extensions: Extensions;
  /** Records requests; undefined where nothing is recorded. */
  auditor: Auditor | undefined;
  /** Aborts when the server closes: watches and streams end. */
  closing: AbortSignal;
}

/** A request for a resource on its way through the handlers. */
export interface Context extends Deps {
  call: Call;
  attributes: Attributes;
  resource: Resource;
  /** Texts for `Warning:` headers, filled on the way. */
  warnings: string[];
  /** Tells the audit log something of the request. */
  annotate?(key: string, value: string): void;
}
