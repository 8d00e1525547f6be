/** What an API server is made from. */
import type { Logger } from 'pino';
import type { Clock } from '../api/machinery/clock.js';
import type { Authenticate } from '../auth/authenticate.js';
import type { ReviewToken } from '../auth/index.js';
import type { ServiceAccountTokens } from '../auth/tokens/service-account.js';
import type { Authorizer } from '../auth/user.js';
import type { NodeStreams } from '../hub/node-streams.js';
import type { ResourceMetrics } from '../hub/usage.js';
import type { Store } from '../store/store.js';
import type { PodSecurityConfiguration } from './admission/pod-security/configuration.js';
import type { AuditSettings } from './audit/index.js';
import type { FrontProxy } from './extensions/aggregation/remote.js';

export type OnRevoked = (user: string, listener: () => void) => () => void;

export interface ApiServerOptions {
  store: Store;
  authenticate: Authenticate;
  authorizer: Authorizer;
  /** Calls `listener` when credentials of `user` are taken back; returns what ends that. */
  onRevoked?: OnRevoked;
  /** Reaches containers for logs, exec and the like; may be set later by `setNodeStreams`. */
  nodeStreams?: NodeStreams;
  /** CPU and memory in use, for metrics.k8s.io; made from `nodeStreams` when absent. */
  metrics?: ResourceMetrics;
  /** Where cluster IPs of Services come from, such as `10.96.0.0/16`; with a comma one of each IP family. */
  serviceCidr: string;
  /** Inclusive; `30000-32767` when absent. */
  nodePorts?: { from: number; to: number };
  clusterName: string;
  /** Keelson's own version, which follows Kubernetes' in `/version`. */
  version: string;
  /** The policy of namespaces without Pod Security labels, and exemptions; privileged and none when absent. */
  podSecurity?: PodSecurityConfiguration;
  /** What an administrator may have done by a POST to `/keelson/<name>`; each resolves with what it did. */
  operations?: Record<string, () => Promise<object>>;
  /** Makes and checks service account tokens, for the TokenRequest API. */
  tokens?: ServiceAccountTokens;
  /** With what other API servers are told who a request is from; absent: they are reached without. */
  frontProxy?: FrontProxy;
  /** PEM of the CA of clients' certificates, for other API servers to know. */
  clientCa?: string;
  /** Folder of the dashboard's files, served at `/ui/`; not served when absent. */
  dashboard?: string;
  /** Answers TokenReviews; by `tokens` alone when absent. */
  review?: ReviewToken;
  /** Which requests are recorded, and where. */
  audit?: AuditSettings | undefined;
  /** Regular expressions of origins whose pages may use the API from a browser. */
  corsAllowedOrigins?: string[] | undefined;
  /** Whether `/debug` tells of queues and levels. */
  profiling?: boolean | undefined;
  clock?: Clock;
  logger: Logger;
}

export interface ListenOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** PEM. */
  cert: string;
  key: string;
  /** PEM of the CA that client certificates must come from. */
  clientCa: string;
  /** PEM of the CA that certificates of front proxies must come from. */
  proxyCa?: string;
  /** What the `kubernetes` Service leads to; addresses of this server as pods reach it. */
  advertise?: { address: string; port?: number };
}
