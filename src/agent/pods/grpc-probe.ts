/** gRPC probes: the health protocol's Check (grpc.health.v1), with its two messages written by hand. */
import { Client, credentials } from '@grpc/grpc-js';
import type { GRPCAction } from '#types';
import type { HandlerTarget, Outcome } from './handlers.js';

const SERVING = 1;
const PATH = '/grpc.health.v1.Health/Check';

/** `HealthCheckRequest`: field 1, the service's name (below 16 KiB, so that its length takes two bytes at most). */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  if (name.length === 0) return name;
  const length = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), name]);
}

/** `HealthCheckResponse`: field 1, an enum below 128. */
export function healthStatus(response: Buffer): number {
  return response[0] === 0x08 ? (response[1] ?? 0) : 0;
}

export function grpcHandler(
  { podIP }: HandlerTarget,
  { port, service = '' }: GRPCAction,
  signal: AbortSignal,
): Promise<Outcome> {
  const client = new Client(`${podIP}:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  return new Promise((resolve) => {
    const done = (outcome: Outcome) => {
      client.close();
      resolve(outcome);
    };
    const call = client.makeUnaryRequest(PATH, healthRequest, healthStatus, service, (error, status) => {
      if (error) {
        const why = signal.aborted ? `timeout: failed to connect service ${podIP}:${port}` : error.details;
        done({ ok: false, output: `error: ${why}` });
      } else if (status === SERVING) done({ ok: true, output: '' });
      else done({ ok: false, output: 'service unhealthy (responded with "NOT_SERVING")' });
    });
    signal.addEventListener('abort', () => call.cancel(), { once: true });
  });
}
