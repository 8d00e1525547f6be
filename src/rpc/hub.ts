/** The Hub service for grpc-js: typed messages, method definitions, limits. */
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { keelson } from '#generated/rpc/hub.js';
import { methodsOf } from './method.js';

const v1 = keelson.v1;
const method = methodsOf('keelson.v1.Hub');

/** A generated message as it is written. What was not sent is undefined or null when it is read. */
type Message<T> = T extends Uint8Array | string | number | boolean
  ? T
  : T extends (infer E)[]
    ? Message<E>[]
    : T extends object
      ? { [K in keyof T as K extends '$unknowns' ? never : K]: Message<Exclude<T[K], null>> }
      : T;

export type JoinRequest = Message<keelson.v1.JoinRequest.$Properties>;
export type RenewRequest = Message<keelson.v1.RenewRequest.$Properties>;
export type Certificate = Message<keelson.v1.Certificate.$Properties>;
export type AgentMessage = Message<keelson.v1.AgentMessage.$Properties>;
export type HubMessage = Message<keelson.v1.HubMessage.$Properties>;
export type Hello = Message<keelson.v1.Hello.$Properties>;
export type Welcome = Message<keelson.v1.Welcome.$Properties>;
export type Known = Message<keelson.v1.Known.$Properties>;
export type Change = Message<keelson.v1.Change.$Properties>;
export type ApiRequest = Message<keelson.v1.ApiRequest.$Properties>;
export type ApiReply = Message<keelson.v1.ApiReply.$Properties>;
export type Open = Message<keelson.v1.Open.$Properties>;
export type Frame = Message<keelson.v1.Frame.$Properties>;
export type Failure = Message<keelson.v1.Failure.$Properties>;

export const Channel = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** What `Open.kind` may be. */
export type StreamKind = 'logs' | 'exec' | 'attach' | 'portforward' | 'stats' | 'kubelet';

export type SyncCall = ClientDuplexStream<AgentMessage, HubMessage>;
export type StreamCall = ClientDuplexStream<Frame, Frame>;
export type SyncServerCall = ServerDuplexStream<AgentMessage, HubMessage>;
export type StreamServerCall = ServerDuplexStream<Frame, Frame>;

/** Bytes of one message: from the hub, and from an agent. */
export const MAX_DOWN = 16 << 20;
export const MAX_UP = 4 << 20;
/** Bytes of one data frame. */
export const MAX_CHUNK = 64 << 10;

/** Both sides notice a dead connection after about 15 s. */
export const KEEPALIVE = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
};

export const hubService = {
  join: method<JoinRequest, Certificate>('Join', v1.JoinRequest, v1.Certificate),
  renew: method<RenewRequest, Certificate>('Renew', v1.RenewRequest, v1.Certificate),
  sync: method<AgentMessage, HubMessage>('Sync', v1.AgentMessage, v1.HubMessage, { up: true, down: true }),
  stream: method<Frame, Frame>('Stream', v1.Frame, v1.Frame, { up: true, down: true }),
};
